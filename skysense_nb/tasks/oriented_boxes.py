"""Boxes that turn with their objects: two ways to write them, how far two overlap, and which of many to keep.

A box is four corners (x, y), or (cx, cy, w, h, angle) in the long-edge convention that the field calls le90: w is the
longer side, `angle` the direction of that side in radians, −π/2 ≤ angle < π/2, from x towards y. As y points down in
images, a positive angle turns clockwise for the eye. Everything here runs on any device and has no gradient to give,
except the change of form.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PAIRS_AT_ONCE = 2**15
"""Of boxes that are clipped together: some 60 MB."""

SLIMMEST = 1e-9
"""Area over squared longest side; a quadrilateral below is taken as a line."""


def to_corners(boxes: Tensor) -> Tensor:
    """Corners of boxes, clockwise for the eye.

    Args:
        boxes: … 5 (cx, cy, w, h, angle), pixels and radians.

    Returns:
        … 4 2 (x, y).

    Example:
        >>> to_corners(torch.tensor([2.0, 1.0, 4.0, 2.0, 0.0])).tolist()
        [[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]]
    """
    center, size, angle = boxes[..., :2], boxes[..., 2:4], boxes[..., 4:]
    along = torch.cat([angle.cos(), angle.sin()], -1) * size[..., :1] / 2
    across = torch.cat([-angle.sin(), angle.cos()], -1) * size[..., 1:] / 2
    around = [center - along - across, center + along - across, center + along + across, center - along + across]
    return torch.stack(around, -2)  # … 4 2


def from_corners(corners: Tensor) -> Tensor:
    """Centre, size and angle of boxes, long edge first (le90).

    Corners that are no exact rectangle, as where annotations are rounded to pixels, give the rectangle with the mean
    of the corners, of the opposite sides' lengths and of the long sides' directions: our choice, where others take
    the smallest rectangle around them. The angle of a square is that of one of its sides.

    Args:
        corners: … 4 2 (x, y) in order around the box, either way round.

    Returns:
        … 5 (cx, cy, w, h, angle), w ≥ h, −π/2 ≤ angle < π/2.

    Example:
        >>> standing = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 4.0], [0.0, 4.0]])
        >>> [round(value, 2) for value in from_corners(standing).tolist()]
        [1.0, 2.0, 4.0, 2.0, -1.57]
    """
    sides = corners.roll(-1, -2) - corners  # … 4 2
    lengths = sides.norm(dim=-1)
    first, second = (lengths[..., side] + lengths[..., side + 2] for side in (0, 1))
    directions = (sides[..., :2, :] - sides[..., 2:, :]) / 2
    along = torch.where((first >= second)[..., None], directions[..., 0, :], directions[..., 1, :])
    angle = (torch.atan2(along[..., 1], along[..., 0]) + math.pi / 2) % math.pi - math.pi / 2
    angle = torch.where(angle >= math.pi / 2, angle - math.pi, angle)  # a rounded remainder can be π itself
    sizes = torch.stack([torch.maximum(first, second), torch.minimum(first, second)], -1) / 2
    return torch.cat([corners.mean(-2), sizes, angle[..., None]], -1)


@torch.no_grad()
def rotated_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of every box with every other.

    Convex quadrilaterals of any shape are clipped against each other in double precision (single where the device
    has no other). Only pairs whose upright frames meet are clipped, a bounded number at a time, so memory is that of
    the result.

    Args:
        first: n 4 2 corners in order around the box, either way round.
        second: m 4 2.

    Returns:
        n m, 0–1; 0 for boxes without area.

    Example:
        >>> boxes = to_corners(torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.0], [1.0, 0.0, 4.0, 2.0, 0.0]]))
        >>> rotated_iou(boxes[:1], boxes)
        tensor([[1.0000, 0.6000]])
    """
    overlaps = first.new_zeros(len(first), len(second))
    rows, columns = frames_meet(first, second).nonzero(as_tuple=True)
    overlaps[rows, columns] = paired_iou(first, second, rows, columns).to(overlaps.dtype)
    return overlaps


@torch.no_grad()
def rotated_nms(corners: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Keeps the best box of each object: non-maximum suppression within classes.

    The greedy rule: from the best score down, a box goes if its IoU with a kept one of its class is above the
    threshold. Solved for all boxes at once by repeating "goes if a box now kept covers it": the n-th box is settled
    after n rounds at the latest, in practice after a few. Equal scores count in the order given. Needs n × n bytes:
    pass the best few thousand.

    Args:
        corners: n 4 2 (x, y).
        scores: n.
        labels: n class ids; boxes of different classes leave each other alone.
        threshold: IoU, 0–1.

    Returns:
        Indices of the boxes kept, best first.

    Example:
        >>> boxes = to_corners(torch.tensor([[0.0, 0.0, 4.0, 2.0, 0.0], [1.0, 0.0, 4.0, 2.0, 0.0]]))
        >>> rotated_nms(boxes, torch.tensor([0.5, 0.9]), torch.tensor([0, 0]), 0.5).tolist()
        [1]
    """
    order = scores.argsort(descending=True, stable=True)
    corners, labels = corners[order], labels[order]
    rivals = (frames_meet(corners, corners) & (labels[:, None] == labels)).triu(1)
    better, worse = rivals.nonzero(as_tuple=True)
    covered = paired_iou(corners, corners, better, worse) > threshold
    better, worse = better[covered], worse[covered]
    kept = torch.ones_like(order, dtype=torch.bool)
    while True:
        still = torch.ones_like(kept)
        still[worse[kept[better]]] = False
        if torch.equal(still, kept):
            return order[kept]
        kept = still


def frames_meet(first: Tensor, second: Tensor) -> Tensor:
    """n m, whether the upright frames around two boxes share any area."""
    low_1, high_1, low_2, high_2 = (part for box in (first, second) for part in (box.amin(1), box.amax(1)))
    meet = torch.ones(len(first), len(second), dtype=torch.bool, device=first.device)
    for axis in (0, 1):
        meet &= low_1[:, None, axis] < high_2[:, axis]
        meet &= low_2[:, axis] < high_1[:, None, axis]
    return meet


def paired_iou(first: Tensor, second: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """IoU of `first[rows]` with `second[columns]`, one value per pair."""
    chunks = zip(rows.split(PAIRS_AT_ONCE), columns.split(PAIRS_AT_ONCE), strict=True)
    exact = torch.float32 if first.device.type == "mps" else torch.float64
    return torch.cat([clipped_iou(first[row].to(exact), second[column].to(exact)) for row, column in chunks])


def clipped_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of p pairs of quadrilaterals p 4 2: the first is cut along the sides of the second (Sutherland–Hodgman)."""
    origin = first.mean(1, keepdim=True)  # near the origin areas lose no digits
    first, second = first - origin, second - origin
    areas = signed_area(first), signed_area(second)
    sides = second.roll(-1, 1) - second
    sides = sides * areas[1].sign()[:, None, None]  # what lies to the left of every side is inside
    shared = first
    for number in range(4):
        shared = cut(shared, second[:, number], sides[:, number])
    intersection = signed_area(shared).abs()
    union = areas[0].abs() + areas[1].abs() - intersection
    sound = has_area(first, areas[0]) & has_area(second, areas[1])
    return torch.where(sound, intersection / union, 0.0).clamp(0, 1)


def cut(polygons: Tensor, point: Tensor, direction: Tensor) -> Tensor:
    """Cuts off what lies to the right of a line; a corner that repeats does no harm, and fills what is left over.

    Args:
        polygons: p k 2, convex.
        point: p 2, one that the line goes through.
        direction: p 2, of the line.

    Returns:
        p k+2 2. A cut adds one corner; two where rounding sees a side along the line cross it twice.
    """
    count, corners, _ = polygons.shape
    distance = cross(direction[:, None], polygons - point[:, None])  # p k, not scaled
    inside, following = distance >= 0, polygons.roll(-1, 1)
    crossing = inside != inside.roll(-1, 1)
    share = torch.where(crossing, distance / (distance - distance.roll(-1, 1)), 0.0)
    on_line = polygons + share[..., None] * (following - polygons)
    found = torch.stack([polygons, on_line], 2).flatten(1, 2)  # p 2k 2
    wanted = torch.stack([inside, crossing], 2).flatten(1, 2)
    places = corners + 2
    place = torch.where(wanted, wanted.cumsum(1) - 1, places).clamp(max=places)  # the last place is thrown away
    kept = found.new_zeros(count, places + 1, 2)
    kept.scatter_(1, place[..., None].expand(-1, -1, 2), found)
    filled = torch.arange(places, device=place.device) < wanted.sum(1, keepdim=True)
    return torch.where(filled[..., None], kept[:, :places], kept[:, :1])


def cross(first: Tensor, second: Tensor) -> Tensor:
    """Cross product of plane vectors … 2."""
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def signed_area(polygons: Tensor) -> Tensor:
    """Area of polygons p k 2, negative if they run counterclockwise for the eye."""
    return cross(polygons, polygons.roll(-1, 1)).sum(1) / 2


def has_area(polygons: Tensor, area: Tensor) -> Tensor:
    """Whether polygons p k 2 are more than points and lines."""
    longest = (polygons.roll(-1, 1) - polygons).square().sum(-1).amax(1)
    return area.abs() > SLIMMEST * longest
