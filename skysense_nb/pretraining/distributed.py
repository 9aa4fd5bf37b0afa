"""Sums and gathers over all processes of a run, so that many ranks compute what one would with their joined batch.

Without `torch.distributed` every function returns what it was given. All ranks must call in the same order, also
those that have nothing to add: a rank that leaves out a call stops the others for ever.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """How many processes train together: 1 without `torch.distributed`.

    Example:
        >>> world_size()
        1
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def global_sum(values: Tensor) -> Tensor:
    """Sum over ranks of tensors of one shape, without gradient.

    Example:
        >>> global_sum(torch.tensor([1.0, 2.0]))
        tensor([1., 2.])
    """
    total = values.detach()
    if world_size() > 1:
        total = total.clone()
        dist.all_reduce(total)
    return total


def global_count(mask: Tensor) -> Tensor:
    """How many entries are True on all ranks together: scalar int64. The shapes may differ between ranks.

    Example:
        >>> global_count(torch.tensor([True, False, True]))
        tensor(2)
    """
    return global_sum(mask.sum())


def global_logsumexp(values: Tensor) -> Tensor:
    """Logarithm of the sum over ranks of exp(values), element by element, without gradient.

    Example:
        >>> global_logsumexp(torch.tensor([0.5]))
        tensor([0.5000])
    """
    if world_size() == 1:
        return values.detach()
    highest = values.detach().clone()
    dist.all_reduce(highest, dist.ReduceOp.MAX)
    highest = highest.clamp(min=torch.finfo(values.dtype).min)  # where all are −inf, −inf − (−inf) would be NaN
    return global_sum((values - highest).exp()).log() + highest


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all ranks below each other, in rank order; gradients find their way back to the rank they came from.

    Under data parallelism, which averages gradients over ranks, a loss is the joined batch's if its mean over
    ranks is.

    Args:
        rows: n …; n may differ between ranks.

    Returns:
        N …, N = Σ n.

    Example:
        >>> gather_rows(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """
    if world_size() == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    return GatherRows.apply(rows, [int(count) for count in counts])


class GatherRows(torch.autograd.Function):
    """All-gather of rows whose backward sums what every rank wants of them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        """Pads to the longest rank, gathers, and cuts the padding off."""
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Sums the gradients of all ranks and keeps the slice of its own rows."""
        return global_sum(gradient.contiguous()).split(ctx.counts)[dist.get_rank()], None
