"""The contrast of SkySense: the student must say of a place what its slowly moving average, the teacher, says of it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skysense_nb.layers.autocast import full_precision
from skysense_nb.pretraining.assignment import sinkhorn
from skysense_nb.pretraining.distributed import global_sum
from skysense_nb.pretraining.projection import ProjectionHead

LEVELS = ("pixel", "object", "image")
"""The three scales of SkySense's multi-granularity contrast."""


@dataclass(frozen=True)
class Targets:
    """How the teacher used its prototypes in one batch of this rank.

    Attributes:
        mean: Mean target, K.
        entropy: Mean entropy of a target in nats, scalar.
        rows: How many targets there were.
    """

    mean: Tensor
    entropy: Tensor
    rows: int


class Contrast(nn.Module):
    """L_CL for one source of features (hr, s2, s1 or fused): −Σ softmax((t − centre) / τ_t) · log softmax(s / τ_s).

    DINO (Caron et al. 2021, eq. 2 and 4): positive pairs only; centring and a low teacher temperature keep both heads
    from collapsing. SkySense (CVPR 2024) learns with a teacher in the manner of DINO; we take its L_CL to be DINO's.
    One head for the three levels, a centre for each of them, and all temperatures and momenta are our choice (DINO's);
    none is published.

    `student` is trained; `teacher` starts as its copy and only follows by `update_teacher`. `teacher_temperature` is
    an attribute for the schedule to set. `last` holds the `Targets` of each level's last batch, for `Collapse`.

    Args:
        head: The student's head.
        levels: Names of what has a centre of its own.
        student_temperature: τ_s.
        teacher_temperature: τ_t, below τ_s: the targets are sharper than the answers.
        centre_momentum: Of the moving mean of the teacher's logits.
        rows_at_once: Rows whose logits are held together. Beyond it, they are recomputed in the backward pass.
        balanced: Use all prototypes alike among the rows of a call, by Sinkhorn (SwAV, DINOv2), instead of centring.
            Keeps the places of a short run apart, where a moving centre has no time to. Holds the targets of all rows.

    Example:
        >>> contrast = Contrast(ProjectionHead(24, hidden=32, bottleneck=8, prototypes=10))
        >>> contrast(torch.rand(5, 24), torch.rand(5, 24), "pixel").shape
        torch.Size([])
    """

    def __init__(
        self,
        head: ProjectionHead,
        levels: Sequence[str] = LEVELS,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        centre_momentum: float = 0.9,
        rows_at_once: int = 16_384,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.student, self.teacher = head, deepcopy(head).requires_grad_(False)
        self.levels = tuple(levels)
        self.student_temperature, self.teacher_temperature = student_temperature, teacher_temperature
        self.centre_momentum, self.rows_at_once, self.balanced = centre_momentum, rows_at_once, balanced
        self.last: dict[str, Targets] = {}
        self.register_buffer("centres", torch.zeros(len(self.levels), len(head.prototypes)))

    def forward(self, student: Tensor, teacher: Tensor, level: str, weight: Tensor | None = None) -> Tensor:
        """Compares rows of the same places.

        The mean is over the rows of this rank. Data parallelism averages gradients over ranks, so with unequal
        numbers of rows a rank with few counts as much as one with many. The centre is global.

        Args:
            student: n D; n may be 0.
            teacher: n D, row by row the same places seen by the teacher. Gets no gradient.
            level: Which centre to use, and to move if in training mode.
            weight: n, how much each row counts; None for all alike.

        Returns:
            Scalar fp32, the weighted mean of the rows' cross-entropies; 0 without rows.
        """
        weight = student.new_ones(len(student)) if weight is None else weight
        weight, centre = weight.float(), self.centres[self.levels.index(level)].clone()
        if self.balanced:
            teacher = sinkhorn(self.teacher(teacher), self.teacher_temperature)  # n K
        recompute = len(student) > self.rows_at_once and torch.is_grad_enabled()
        compare = partial(checkpoint, self.compare, use_reentrant=False) if recompute else self.compare
        chunks = zip(*(rows.split(self.rows_at_once) for rows in (student, teacher, weight)), strict=True)
        sums = [compare(*chunk, centre) for chunk in chunks]
        cross_entropy, entropy, target, logits = (torch.stack(parts).sum(0) for parts in zip(*sums, strict=True))
        total = weight.sum()
        if self.training and not self.balanced:
            self.move_centre(level, logits, total)
        total = total + (total == 0)
        self.last[level] = Targets(target / total, entropy / total, rows=len(student))
        return cross_entropy / total

    def compare(self, student: Tensor, teacher: Tensor, weight: Tensor, centre: Tensor) -> tuple[Tensor, ...]:
        """Weighted sums over rows: cross-entropy, entropy of the targets, targets (K), teacher's logits (K).

        `teacher` holds features, or the targets themselves if they are balanced, which need no centre.
        """
        with torch.no_grad():
            logits = torch.zeros_like(teacher) if self.balanced else self.teacher(teacher).float()  # n K
            target = teacher if self.balanced else ((logits - centre) / self.teacher_temperature).softmax(-1)
            entropy = torch.special.entr(target).sum(-1)
            with full_precision(weight.device):
                about_targets = (weight @ entropy, weight @ target, weight @ logits)
        answer = (self.student(student).float() / self.student_temperature).log_softmax(-1)  # n K
        return (weight * -(target * answer).sum(-1)).sum(), *about_targets

    @torch.no_grad()
    def move_centre(self, level: str, logits: Tensor, total: Tensor) -> None:
        """Moves a centre towards the mean logits of all ranks: `logits` (K) is their sum over rows, `total` counts."""
        logits, total = global_sum(torch.cat((logits, total[None]))).split((len(logits), 1))
        step = (1 - self.centre_momentum) * (total > 0)
        self.centres[self.levels.index(level)].lerp_(logits / (total + (total == 0)), step)
