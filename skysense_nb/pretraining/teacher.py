"""The teacher: a slowly moving average of the student, and the schedules that set how slowly."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """θ′ ← λ θ′ + (1 − λ) θ for parameters, a plain copy for buffers (SkySense, CVPR 2024; λ is not published).

    Averages in fp32. Keep the teacher itself in fp32: in bf16 a step of a few thousandths of the difference is mostly
    lost when it is rounded back.

    Args:
        teacher: Changed in place; the same architecture as the student.
        student: Left as it is.
        momentum: λ, 0 to 1; 1 leaves the parameters as they are.

    Example:
        >>> teacher, student = nn.Linear(1, 1), nn.Linear(1, 1)
        >>> update_teacher(teacher, student, momentum=0.0)
        >>> torch.equal(teacher.weight, student.weight)
        True
    """
    kept, moved = dict(teacher.named_parameters()), dict(student.named_parameters())
    assert kept.keys() == moved.keys(), "teacher and student are different networks"
    wide = [value.float() for value in kept.values()]  # the parameters themselves where they are fp32
    goal = [moved[name].to(value.device, torch.float32) for name, value in kept.items()]
    torch._foreach_lerp_(wide, goal, 1 - momentum)
    for value, average in zip(kept.values(), wide, strict=True):
        if value is not average:
            value.copy_(average)
    for value, source in zip(teacher.buffers(), student.buffers(), strict=True):
        value.copy_(source)


def cosine_schedule(start: float, end: float, steps: int, step: int) -> float:
    """Value at `step` on half a cosine wave from `start` to `end` in `steps` steps; `end` ever after.

    Example:
        >>> [round(cosine_schedule(0.996, 1.0, 100, step), 4) for step in (0, 50, 100, 200)]
        [0.996, 0.998, 1.0, 1.0]
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress(steps, step))) / 2


def linear_warmup(end: float, steps: int, step: int, start: float = 0.0) -> float:
    """Value at `step` on a straight line from `start` to `end` in `steps` steps; `end` ever after.

    Example:
        >>> [round(linear_warmup(0.07, 30, step, start=0.04), 3) for step in (0, 15, 30, 99)]
        [0.04, 0.055, 0.07, 0.07]
    """
    return start + (end - start) * progress(steps, step)


def progress(steps: int, step: int) -> float:
    """How much of a schedule is done, 0 to 1; a schedule without steps is done at once.

    Example:
        >>> progress(10, 4), progress(10, 12), progress(0, 0)
        (0.4, 1.0, 1.0)
    """
    return min(max(step, 0) / steps, 1.0) if steps > 0 else 1.0
