"""Houses, farms, halls, car parks and sports fields, placed in a cell."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic import classes, sheet
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.sheet import Sheet
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS

ROOFS = np.array([SURFACE_IDS[name] for name in ("tile roof", "slate roof", "flat roof", "metal roof")])
FLAT = SURFACE_IDS["flat roof"]


def houses(page: Sheet, dice: Dice, center: np.ndarray, angle: np.ndarray, size: float, parent: np.ndarray,
           born: np.ndarray | int = sheet.ALWAYS, chance: float = 0.95) -> None:  # fmt: skip
    """Detached houses with roofs of the region, some with a wing.

    Args:
        page: Drawing of the cell.
        dice: Throws for this group.
        center: Middle of each house, (N, 2).
        angle: Direction of the ridge, (N,).
        size: Factor on the usual 12 × 9 m.
        parent: Row of the lot below each house, (N,).
        born: Day on which each was built.
        chance: Share of lots that are built on.
    """
    count = len(center)
    there = dice.uniform("there", count=count) < chance
    length, width = (
        size * dice.uniform("length", 10, 16, count=count),
        size * dice.uniform("width", 7.5, 10.5, count=count),
    )
    angle = (
        angle
        + np.where(dice.uniform("gable", count=count) < 0.35, np.pi / 2, 0)
        + dice.normal("skew", 0.03, count=count)
    )
    roof = ROOFS[dice.choice("roof", page.cell.biome.roofs, count=count)]
    level = roof == FLAT
    facts = {
        "height": dice.uniform("height", 3.2, 6.5, count=count),
        "pitch": np.where(level, 0.0, dice.uniform("pitch", 0.4, 0.9, count=count)),
        "parent": parent,
        "born": np.broadcast_to(born, count).copy(),
    }
    wing = there & (dice.uniform("wing", count=count) < 0.3)
    turned = np.stack([np.cos(angle), np.sin(angle)], -1)
    side = np.stack([-turned[:, 1], turned[:, 0]], -1)
    beside = center + 0.28 * length[:, None] * turned + 0.42 * width[:, None] * side
    for chosen, spot, way, long, wide in (
        (wing, beside, angle + np.pi / 2, 0.75 * length, 0.7 * width),
        (there, center, angle, length, width),
    ):
        page.add_boxes(
            spot[chosen],
            way[chosen],
            long[chosen],
            wide[chosen],
            sheet.ROOF,
            classes.BUILDING,
            roof[chosen],
            **{name: value[chosen] for name, value in facts.items()},
        )


def homestead(page: Sheet, u: float, v: float) -> None:
    """A farm: yard, house, barns, trees, a track to the road."""
    cell, dice = page.cell, Dice.of(page.cell.dice.keys("farm"), 0)
    center, angle = cell.at(u, v), float(cell.heading(u, v))
    ahead, left = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    (garden,) = page.add(
        sheet.boxes(center[None], [angle], [95], [80]), sheet.SITE, classes.GARDEN, "garden", trees=0.55
    )
    (yard,) = page.add(sheet.boxes(center[None], [angle], [46], [40]), sheet.YARD, classes.CAR_PARK, "concrete")
    page.add(cell.patch(0.0, v - 0.0022, u, v + 0.0022, 8)[None], sheet.EDGE, classes.ROAD, "dirt")
    spots = center + np.array([[0, 27], [-26, -2], [6, -27]]) @ np.stack([ahead, left])
    ways, parents = np.array([angle, angle + np.pi / 2, angle]), np.array([garden, yard, yard])
    houses(page, dice, spots[:1], ways[:1], 1.25, parents[:1], chance=1.0)
    page.add_boxes(spots[1:], ways[1:], dice.uniform("barn", 24, 38, count=2), dice.uniform("wide", 11, 17, count=2),
                   sheet.ROOF, classes.BUILDING, ROOFS[dice.choice("roof", (4, 2, 0.2, 4), count=2)], height=6.0,
                   pitch=0.35, parent=parents[1:])  # fmt: skip
    page.park(center + dice.uniform("carts", -12, 12, count=6).reshape(3, 2), dice.uniform("way", 0, 6, count=3),
              classes.VEHICLE, 5.2, 2.1, 0.5)  # fmt: skip


def car_park(page: Sheet, center: np.ndarray, angle: float, length: float, width: float, parent: int,
             born: int = sheet.ALWAYS, busy: float = 0.6) -> None:  # fmt: skip
    """An asphalt rectangle with marked stalls in rows, each free or taken on a date."""
    page.add_boxes(center[None], np.array([angle]), length, width, sheet.DRIVE, classes.CAR_PARK, "asphalt",
                   parent=parent, born=born)  # fmt: skip
    across = np.arange(-width / 2 + 3.2, width / 2 - 2.5, 8.2)
    along = np.arange(-length / 2 + 2.5, length / 2 - 2.0, 2.6)
    a, b = (grid.ravel() for grid in np.meshgrid(along, across))
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    stalls = center + np.stack([a, b], -1) @ turned
    lines = center + np.stack([a - 1.3, b], -1) @ turned
    if born <= sheet.ALWAYS:
        page.mark(sheet.boxes(lines, angle + np.pi / 2, 4.8, 0.32), sheet.WHITE)
        page.park(stalls, angle + np.pi / 2, classes.VEHICLE, 4.5, 1.85, busy)


def court(page: Sheet, center: np.ndarray, angle: float, room: tuple[float, float]) -> None:
    """A sports field that fits into `room` (length and width in metres): football, or else tennis."""
    big = room[0] > 98 and room[1] > 62
    size = (96.0, 60.0) if big else (34.0, 17.0)
    page.add_boxes(center[None], np.array([angle]), *size, sheet.DRIVE, classes.GRASS, "turf" if big else "tile roof",
                   object=classes.SPORTS_FIELD)  # fmt: skip
