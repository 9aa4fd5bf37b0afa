"""The day of the year as a learned vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DateEncoding(nn.Module):
    """One learned vector per day of the year (SkySense, CVPR 2024, date-specific temporal position encoding)."""

    def __init__(self, width: int, days: int = 365) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(1, days, width))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, day: Tensor) -> Tensor:
        """Vectors … D for days of the year minus one; 31 December of a leap year takes the last entry."""
        return self.table[0, day.long().clamp(0, self.table.shape[1] - 1)]
