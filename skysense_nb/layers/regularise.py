"""What only training needs: stochastic depth and recomputed activations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): skips a residual branch for some samples in training."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zeroes whole samples of the branch `x` (B …) with probability `rate`, rescaling the rest."""
        if not self.training or self.rate == 0.0:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * kept.to(x.dtype) / (1.0 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


def drop_path_rates(highest: float, depth: int) -> list[float]:
    """Rates that rise linearly from zero to `highest` over `depth` blocks."""
    return [highest * index / max(depth - 1, 1) for index in range(depth)]


def run_block(block: nn.Module, x: Tensor, *others: Tensor | bool | None, recompute: bool) -> Tensor:
    """Calls a block, recomputing its activations in the backward pass if asked (less memory, more time).

    On a CPU some samples at a time, so that the activations of a block never exist for a whole batch either.

    Args:
        block: Of tokens `x` (B … D), which treats each sample by itself.
        x: Tokens.
        others: What else it takes; tensors have a row per sample.
        recompute: Whether to recompute.
    """
    if not (recompute and torch.is_grad_enabled()):
        return block(x, *others)
    some = len(x)
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        some = max(1, max(1024, 2**18 // x.shape[-1]) * len(x) * x.shape[-1] // max(1, x.numel()))
    parts = []
    for first in range(0, len(x), some):
        rows = slice(first, first + some)
        own = [other[rows] if isinstance(other, Tensor) else other for other in others]
        parts.append(checkpoint(block, x[rows], *own, use_reentrant=False))
    return parts[0] if len(parts) == 1 else torch.cat(parts)
