"""Learned queries gather what belongs together in a view, wherever it lies, and compare it with another view."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skysense_nb.layers import Attention, FeedForward, start_small
from skysense_nb.pretraining.contrast import Contrast


class QueryDecoder(nn.Module):
    """M learned queries read a view through one transformer decoder layer (SkySense V2, ICCV 2025, QSACL).

    V2 publishes M = 16, one layer and the cross-attention. That the queries first attend to each other, norms before
    each step, heads and the feed-forward's ratio are our choice.

    Args:
        width: Of the tokens and queries, D.
        heads: Of both attentions; divides the width.
        queries: M.
        ratio: The feed-forward's hidden layer is this many times as wide.

    Example:
        >>> QueryDecoder(24, heads=3)(torch.rand(2, 64, 24)).shape
        torch.Size([2, 16, 24])
    """

    def __init__(self, width: int, heads: int, queries: int = 16, ratio: float = 4.0) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(1, queries, width))
        self.query_norm, self.self_attention = nn.LayerNorm(width), Attention(width, heads)
        self.read_norm, self.token_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.cross_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed_norm, self.feed_forward = nn.LayerNorm(width), FeedForward(width, ratio)
        start_small(self)
        nn.init.trunc_normal_(self.queries, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """What each query gathers from the tokens (B n D) of a view: B M D."""
        queries, tokens = self.ask(tokens)
        read, _ = self.cross_attention(self.read_norm(queries), tokens, tokens, need_weights=False)
        queries = queries + read
        return queries + self.feed_forward(self.feed_norm(queries))

    def attention(self, tokens: Tensor) -> Tensor:
        """Which cells each query reads: B M n, mean over heads, rows sum to one."""
        queries, tokens = self.ask(tokens)
        return self.cross_attention(self.read_norm(queries), tokens, tokens, need_weights=True)[1]

    def ask(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Queries that have seen each other, B M D, and the tokens they will read, normalised."""
        queries = self.queries.expand(len(tokens), -1, -1)
        return queries + self.self_attention(self.query_norm(queries)), self.token_norm(tokens)


def query_loss(
    global_student: Tensor, global_teacher: Tensor, local_student: Tensor, local_teacher: Tensor, contrast: Contrast
) -> Tensor:
    """L_QSACL = 1 / (2 M) Σ_i [L_CL(z_i^g, z_i^l′) + L_CL(z_i^l, z_i^g′)], primes by the teacher (SkySense V2).

    Each query is compared with itself in the other view, so the two views need no common grid.

    Args:
        global_student: Queries of the global view, B M D.
        global_teacher: The same by the teacher's encoder and decoder. No gradient.
        local_student: Queries of a local view of the same places, B M D.
        local_teacher: The same by the teacher. No gradient.
        contrast: With a level "query".

    Returns:
        Scalar fp32, the mean over queries, directions and samples.

    Example:
        >>> from skysense_nb.pretraining.projection import ProjectionHead
        >>> contrast = Contrast(ProjectionHead(24, 32, 8, 10), levels=("query",))
        >>> query_loss(*torch.rand(4, 2, 16, 24), contrast).shape
        torch.Size([])
    """
    student = torch.cat((global_student, local_student)).flatten(0, 1)  # 2 B M, D
    teacher = torch.cat((local_teacher, global_teacher)).flatten(0, 1)
    return contrast(student, teacher, "query")
