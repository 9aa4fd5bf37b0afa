"""The optimiser of every run."""

from __future__ import annotations

from typing import Any

import torch


def adamw(groups: Any, learning_rate: float) -> torch.optim.AdamW:
    """AdamW whose step is one pass over the weights.

    Lightning will not clip gradients of an optimiser that takes the scale of fp16 gradients off by itself, as a fused
    one can. Here gradients are never scaled, in fp32 and bf16, so it is told that this one does not.

    Args:
        groups: Parameters, or groups of them with options of their own.
        learning_rate: Of groups without one.

    Example:
        >>> adamw([torch.nn.Parameter(torch.ones(2))], 0.1).defaults["fused"]
        True
    """
    optimiser = torch.optim.AdamW(groups, lr=learning_rate, fused=True)
    optimiser._step_supports_amp_scaling = False
    return optimiser
