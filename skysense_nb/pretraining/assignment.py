"""Balanced soft assignment by the Sinkhorn–Knopp algorithm: who belongs where, if all places must be used alike."""

from __future__ import annotations

import torch
from torch import Tensor

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.distributed import global_logsumexp


@torch.no_grad()
def sinkhorn(
    scores: Tensor,
    epsilon: float = 0.05,
    iterations: int = 3,
    across_ranks: bool = True,
    mask: Tensor | None = None,
) -> Tensor:
    """Assigns rows to columns by their scores, such that every row gives one and all columns receive equally.

    The form of SwAV (Caron et al. 2020, §3.1) and DINOv2: exp(scores / ε), columns and rows normalised in turn, rows
    last. SkySense clusters pixels and updates prototypes with it and publishes neither ε nor the number of
    iterations: ours are those of SwAV. Computed as logarithms in fp32, so that a small ε does not overflow. The
    share n / K of a column is never written: it cancels when the rows are normalised.

    Args:
        scores: … n K, usually cosines. Leading axes are problems of their own.
        epsilon: Softness: large makes the assignment even, small makes it hard.
        iterations: Rounds over columns and rows. Columns are only equally used once they have converged.
        across_ranks: Columns are balanced over the rows of all ranks. The leading axes and K must then be the same on
            every rank; n may differ.
        mask: … n bool, False for rows that take no part; None for all.

    Returns:
        … n K fp32; rows sum to one, those outside the mask to zero. No gradient.

    Raises:
        ParameterError: No iteration, or an epsilon that is not positive.

    Example:
        >>> sinkhorn(torch.tensor([[1.0, 0.9], [1.0, 0.0]]), iterations=50).round()
        tensor([[0., 1.],
                [1., 0.]])
    """
    if iterations < 1 or epsilon <= 0:
        got = f"{iterations} iterations, epsilon {epsilon:g}"
        raise ParameterError.of("at least one iteration and a positive epsilon", got, "Leave them out for 3 and 0.05.")
    kernel = scores.float() / epsilon
    absent = kernel.new_zeros(kernel.shape[:-1])
    if mask is not None:
        absent = absent.masked_fill(~mask, float("-inf"))
    absent = absent[..., None]  # … n 1
    row = absent
    for _ in range(iterations):
        received = (kernel + row).logsumexp(-2, keepdim=True)  # … 1 K
        column = -(global_logsumexp(received) if across_ranks else received)
        row = absent - (kernel + column).logsumexp(-1, keepdim=True)
    assignment = (kernel + column).softmax(-1)
    return assignment if mask is None else assignment.masked_fill(~mask[..., None], 0.0)
