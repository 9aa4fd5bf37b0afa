"""Multi-head attention over a set of tokens, with tokens that may be absent."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers.autocast import full_precision


class Attention(nn.Module):
    """Scaled dot-product self-attention (Vaswani et al. 2017, eq. 1).

    Parameters are named like those of `torch.nn.MultiheadAttention`, which the published encoders use.

    Example:
        >>> Attention(24, heads=3)(torch.rand(2, 5, 24)).shape
        torch.Size([2, 5, 24])
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def project(self, x: Tensor, first: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each B heads N d, of tokens `x` (B N D); with `first` only its queries."""
        width = x.shape[-1]
        if not first:
            return self.by_head(F.linear(x, self.in_proj_weight, self.in_proj_bias), 3)
        weights, biases = (part.split((width, 2 * width)) for part in (self.in_proj_weight, self.in_proj_bias))
        (q,) = self.by_head(F.linear(x[:, :1], weights[0], biases[0]), 1)
        return q, *self.by_head(F.linear(x, weights[1], biases[1]), 2)

    def by_head(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """B N (parts · D) as `parts` tensors B heads N d."""
        return tuple(projected.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4))

    def forward(self, x: Tensor, valid: Tensor | None = None, first: bool = False) -> Tensor:
        """Lets every token read from the valid ones.

        Args:
            x: Tokens, B N D.
            valid: B N bool, False for tokens nobody may read. At least one per row must be True.
            first: Only the first token reads.

        Returns:
            B N D, or B 1 D.
        """
        q, k, v = self.project(x, first)
        mask = None if valid is None else valid[:, None, None, :]  # B 1 1 N
        out = attend(q, k, v, mask)
        return self.out_proj(out.transpose(1, 2).flatten(2))  # B N D

    def weights_of_first(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """How much the first token reads from each token: B N, mean over heads, rows sum to one."""
        q, k, _ = self.project(x, first=True)
        logits = (q @ k.transpose(-2, -1)).squeeze(2).float() * q.shape[-1] ** -0.5  # B heads N
        if valid is not None:
            logits = logits.masked_fill(~valid[:, None, :], float("-inf"))
        return logits.softmax(-1).mean(1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d) v of tensors B heads N d, in the fastest way that keeps no matrix of weights for a gradient.

    Args:
        q, k, v: Queries, keys, values.
        mask: Of four axes, broadcast to B heads N N: bool, False where nobody may read; or numbers to add to the
            logits.
    """
    most = rows_of_a_kernel(*q.shape[1:])
    if len(q) > most:
        given = (q, k, v) if mask is None else (q, k, v, mask.expand(len(q), -1, -1, -1))
        return torch.cat([attend(*rows) for rows in zip(*(one.split(most) for one in given), strict=True)])
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:  # PyTorch's own kernel takes twice as long there
        return RecomputedAttention.apply(q, k, v, mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def rows_of_a_kernel(heads: int, queries: int, width: int) -> int:
    """How many sets of tokens CUDA's kernels take at a time: they have a grid's length, and 32-bit indices.

    Source: pytorch/pytorch#146704 (a batch beyond 65,535 is refused); PriorLabs/TabPFN#1184 (flash attention's
    gradient reads the wrong memory beyond 2³¹ numbers, of queries in blocks of 128 and heads of at least 32).
    """
    return max(1, min(65_535, 2**31 // (heads * math.ceil(queries / 128) * 128 * max(width, 32))))


class RecomputedAttention(torch.autograd.Function):
    """Attention by plain products, whose weights are computed again for the gradient instead of being kept."""

    @staticmethod
    def weights(q: Tensor, k: Tensor, mask: Tensor | None) -> Tensor:
        """How much each query reads of each key, B heads N N."""
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            logits = logits.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else logits + mask
        return logits.softmax(-1)

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        ctx.save_for_backward(q, k, v, mask)
        with full_precision(q.device):
            return RecomputedAttention.weights(q, k, mask) @ v

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, mask = ctx.saved_tensors
        weights = RecomputedAttention.weights(q, k, mask)
        of_weights = gradient @ v.transpose(-2, -1)
        of_logits = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype) * q.shape[-1] ** -0.5
        return of_logits @ k, of_logits.transpose(-2, -1) @ q, weights.transpose(-2, -1) @ gradient, None
