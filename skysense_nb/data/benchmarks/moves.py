"""Flips, quarter turns and zooms that carry everything of a record along: sensors, dates, masks, boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skysense_nb.data.benchmarks.reader import MASKS, Record
from skysense_nb.sensors import SENSORS


@dataclass(frozen=True)
class Move:
    """Where each point of the moved image comes from.

    Coordinates go from −1 to 1 between the outer edges of any image, so one move fits sensors of all pixel sizes.

    Attributes:
        flip: Mirror left and right, before the turns.
        turns: Quarter turns, counter-clockwise as the image is seen.
        zoom: Enlargement, at least 1: what is shown is the window of 1 / zoom of the width.
        center: Middle of that window after flip and turns, −1 to 1.

    Example:
        >>> Move(flip=True).matrix()[0].tolist()
        [-1.0, 0.0, 0.0]
    """

    flip: bool = False
    turns: int = 0
    zoom: float = 1.0
    center: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def draw(cls, generator: torch.Generator, largest_zoom: float = 2.0) -> Move:
        """One of the eight symmetries, and a window of 1 / `largest_zoom` of the width or more."""
        flip, turns = (int(torch.randint(n, (), generator=generator)) for n in (2, 4))
        share, x, y = torch.rand(3, generator=generator).tolist()
        zoom = 1 / (1 / largest_zoom + (1 - 1 / largest_zoom) * share)
        reach = 1 - 1 / zoom
        return cls(bool(flip), turns, zoom, (reach * (2 * x - 1), reach * (2 * y - 1)))

    def matrix(self) -> Tensor:
        """Homogeneous 3 3, from the moved image to the original; x points right, y down."""
        window = torch.tensor([[1 / self.zoom, 0, self.center[0]], [0, 1 / self.zoom, self.center[1]], [0, 0, 1]])
        quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
        mirror = torch.diag(torch.tensor([-1.0 if self.flip else 1.0, 1, 1]))
        return mirror @ torch.linalg.matrix_power(quarter, self.turns % 4) @ window


def move(record: Record, how: Move) -> Record:
    """A record with everything in it moved.

    Images keep their size in pixels, with sides swapped by a quarter turn: bilinear, masks by nearest neighbour. Boxes
    whose middle leaves the image are dropped; upright boxes are cut at its edge, oriented ones are not. Georeference is
    dropped: pixels are no longer where they were.

    Args:
        record: Of a reader.
        how: What to do.

    Example:
        >>> image = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3)
        >>> move({"hr": image}, Move(turns=1))["hr"][0, 0].tolist()
        [[2, 5], [1, 4], [0, 3]]
    """
    matrix, moved = how.matrix(), dict(record)
    for name in [name for name in SENSORS if name in record]:
        moved[name] = warp(record[name], matrix, how.turns % 2 == 1)
    for name in [name for name in MASKS if name in record]:
        masks = record[name].float().reshape(-1, 1, *record[name].shape[-2:])  # whole numbers below 2^24 stay exact
        turned = warp(masks, matrix, how.turns % 2 == 1, nearest=True)
        moved[name] = turned.reshape(*record[name].shape[:-2], *turned.shape[-2:]).to(record[name].dtype)
    for form in ("bbox_xyxy", "bbox_corners"):
        if form in record:
            moved |= move_boxes(record, form, how)
    return {name: value for name, value in moved.items() if name not in ("crs", "transform")}


def warp(images: Tensor, matrix: Tensor, swap: bool, nearest: bool = False) -> Tensor:
    """T C H W where the matrix says; gaps (NaN) stay gaps and do not spread."""
    from kornia.geometry.transform import homography_warp

    height, width = images.shape[-2:]
    size = (width, height) if swap else (height, width)
    gaps = images.isnan() if images.is_floating_point() else None
    values = images.float() if gaps is None else images.float().masked_fill(gaps, 0.0)
    homography = matrix.expand(len(images), 3, 3)
    mode = "nearest" if nearest else "bilinear"
    options = {"align_corners": False, "padding_mode": "border"}
    found = homography_warp(values, homography, size, mode, **options)
    if gaps is not None and gaps.any():
        found = found.masked_fill(homography_warp(gaps.float(), homography, size, "nearest", **options) > 0, torch.nan)
    return found if images.is_floating_point() else found.round().to(images.dtype)


def move_boxes(record: Record, form: str, how: Move) -> Record:
    """Boxes of one form, with the labels and names of those that stay."""
    height, width = record["hr"].shape[-2:]
    sides = torch.tensor([width, height], dtype=torch.float32)
    boxes = record[form]
    corners = boxes if form == "bbox_corners" else boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].unflatten(1, (4, 2))
    unit = 2 * corners / sides - 1
    back = torch.linalg.inv(how.matrix())
    unit = unit @ back[:2, :2].T + back[:2, 2]
    stays = (unit.mean(1).abs() < 1).all(1)
    corners = (unit[stays] + 1) / 2 * (sides.flip(0) if how.turns % 2 else sides)
    if form == "bbox_corners":
        moved = corners.flip(1) if how.flip else corners  # a mirror turns the order round
    else:
        limit = (sides.flip(0) if how.turns % 2 else sides).repeat(2)
        moved = torch.cat([corners.amin(1), corners.amax(1)], 1).clamp(min=0).minimum(limit)
    kept = stays.tolist()
    names = tuple(name for name, stay in zip(record["names"], kept, strict=True) if stay)
    return {form: moved, "bbox_label": record["bbox_label"][stays], "names": names}
