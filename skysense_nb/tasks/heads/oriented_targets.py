"""What the oriented head learns from: where its locations lie, which of them learn which box, and how far off it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 16.0
"""Strides that the geometric mean of a box's sides may have before the next coarser map is in charge of it."""
RADIUS = 1.5
"""Strides around the centre of a box in which locations learn it."""


@dataclass
class Locations:
    """Where the cells of all maps lie in the image, one after the other.

    Attributes:
        centers: N 2 (x, y), pixels.
        strides: N 2, pixels from cell to cell.
        grids: Rows and columns of each map.
    """

    centers: Tensor
    strides: Tensor
    grids: list[tuple[int, int]]


def locations_of(maps: Sequence[Tensor], size: tuple[int, int]) -> Locations:
    """Centres of the cells of all maps, row by row, in an image of (height, width).

    Example:
        >>> locations_of([torch.zeros(1, 1, 1, 2)], (4, 8)).centers.tolist()
        [[2.0, 2.0], [6.0, 2.0]]
    """
    grids, centers, strides = [tuple(level.shape[-2:]) for level in maps], [], []
    for height, width in grids:
        stride = maps[0].new_tensor([size[1] / width, size[0] / height], dtype=torch.float32)
        down, right = (torch.arange(side, device=stride.device) for side in (height, width))
        cells = torch.cartesian_prod(down, right).flip(1)  # h·w 2 (x, y)
        centers.append((cells + 0.5) * stride)
        strides.append(stride.expand(height * width, 2))
    return Locations(torch.cat(centers), torch.cat(strides), grids)


def assign(boxes: Tensor, locations: Locations) -> tuple[Tensor, Tensor]:
    """Which locations learn which box.

    Those inside of the box and near its centre, on the map for its size, and always the one nearest to its centre
    (beyond the border: the nearest there is). Where boxes compete the smallest gets the location.

    Args:
        boxes: n 5 (cx, cy, w, h, angle).
        locations: Of all maps.

    Returns:
        Locations, p, and the box of each, p.
    """
    device, counts = boxes.device, [height * width for height, width in locations.grids]
    starts = torch.tensor([0, *counts[:-1]], device=device).cumsum(0)
    stride, grid = locations.strides[starts], torch.tensor(locations.grids, device=device).flip(1)  # L 2 (x, y)
    area = boxes[:, 2] * boxes[:, 3]
    level = (area.sqrt()[:, None] > LARGEST * stride[:-1].amax(1)).sum(1)  # n
    center = boxes[:, :2] / stride[level] - 0.5  # n 2, in cells
    nearest = center.round().long().clamp(min=0).minimum(grid[level] - 1)
    step = torch.arange(-2, 3, device=device)
    window = torch.cartesian_prod(step, step)  # 25 2
    cell = nearest[:, None] + window  # n 25 2
    away = cell - center[:, None]
    inside = (in_frame(away * stride[level][:, None], boxes[:, None, 4]).abs() < boxes[:, None, 2:4] / 2).all(-1)
    wanted = (inside & (away.abs() <= RADIUS).all(-1)) | (window == 0).all(-1)
    wanted &= ((cell >= 0) & (cell < grid[level][:, None])).all(-1)
    place = starts[level][:, None] + cell[..., 1] * grid[level][:, None, 0] + cell[..., 0]  # n 25
    order = area.argsort(stable=True)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=device))
    winner = torch.full((sum(counts),), len(boxes), device=device)
    winner.scatter_reduce_(0, place[wanted], rank[:, None].expand_as(place)[wanted], "amin")
    places = (winner < len(boxes)).nonzero().flatten()
    return places, order[winner[places]]


def in_frame(offsets: Tensor, angle: Tensor) -> Tensor:
    """Offsets … 2 in image axes as seen along and across a box turned by `angle` (…)."""
    cos, sin, (x, y) = angle.cos(), angle.sin(), offsets.unbind(-1)
    return torch.stack([x * cos + y * sin, y * cos - x * sin], -1)


def centerness(centers: Tensor, strides: Tensor, boxes: Tensor) -> Tensor:
    """How central locations p 2 lie in boxes p 5, 1 to 0 (FCOS, eq. 3, in the frame of the box).

    A box counts as at least two strides wide, or the one location of a small object would be told to be off centre.
    """
    half = torch.maximum(boxes[:, 2:4] / 2, strides)
    share = (in_frame(centers - boxes[:, :2], boxes[:, 4]).abs() / half).clamp(max=1)
    return ((1 - share) / (1 + share)).prod(1).sqrt()


def divergence_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """1 − 1 / (1 + ln(1 + D)), D the Kullback–Leibler divergence of the Gaussians of boxes from those of the truth.

    Yang et al., "Learning High-Precision Bounding Box for Rotated Object Detection via Kullback-Leibler Divergence",
    NeurIPS 2021, with τ = 1 and f = ln(1 + ·). A box has mean (cx, cy) and standard deviations w / 2 and h / 2 along
    its sides. D is written in the frame of the true box, where its covariance is diagonal.

    Args:
        boxes: p 5 (cx, cy, w, h, angle).
        truth: p 5.

    Returns:
        p, 0 where they agree, to 1.

    Example:
        >>> lying, standing = torch.tensor([[[5.0, 5, 4, 2, 0]], [[5.0, 5, 2, 4, torch.pi / 2]]])
        >>> divergence_loss(lying, standing).item() < 1e-4
        True
    """
    turn = boxes[:, 4] - truth[:, 4]
    squares = torch.stack([turn.cos(), turn.sin()], 1).square()
    spread = boxes[:, 2:4].square()
    along, across = (squares * spread).sum(1), (squares * spread.flip(1)).sum(1)  # 4 × variances of the box there
    true = truth[:, 2:4].square()
    moved = 4 * in_frame(boxes[:, :2] - truth[:, :2], truth[:, 4]).square()
    ratio = (moved + torch.stack([along, across], 1)) / true
    divergence = (ratio.sum(1) + (true / spread).log().sum(1)) / 2 - 1
    return 1 - 1 / (1 + divergence.clamp(min=0).log1p())
