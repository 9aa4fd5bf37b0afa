"""Where autocast must not reach."""

from __future__ import annotations

import contextlib

import torch


def full_precision(device: torch.device) -> contextlib.AbstractContextManager:
    """Switches autocast off (the meta device, which only counts, has none)."""
    return contextlib.nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)
