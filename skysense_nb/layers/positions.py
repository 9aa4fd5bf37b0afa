"""Learned positions on a grid, resized to the grid at hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def resize_positions(table: Tensor, rows: int, columns: int, mode: str = "bicubic") -> Tensor:
    """Vectors 1 rows·columns D for a table 1 S² D learned on a square grid of S × S."""
    side = round(table.shape[1] ** 0.5)
    if (rows, columns) == (side, side):
        return table
    grid = table.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # 1 D S S
    grid = F.interpolate(grid.float(), (rows, columns), mode=mode, align_corners=False)
    return grid.to(table.dtype).flatten(2).transpose(1, 2)


class PositionTable(nn.Module):
    """One learned vector per place of a `side` × `side` grid, stretched over the grid of the map at hand.

    Example:
        >>> PositionTable(8, side=4)(torch.rand(1, 6, 5, 8)).shape
        torch.Size([1, 6, 5, 8])
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(1, side**2, width))
        nn.init.trunc_normal_(self.table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Adds positions to a map B h w D."""
        rows, columns = x.shape[1:3]
        return x + resize_positions(self.table, rows, columns).unflatten(1, (rows, columns))
