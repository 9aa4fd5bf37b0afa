"""What stands or moves on one day: vehicles, ships, aircraft, and the boxes around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.sheet import boxes, place
from skysense_nb.data.synthetic.terrain import Terrain

RECTANGLE = np.array(
    [[-0.5, -0.42], [-0.46, -0.5], [0.42, -0.5], [0.5, -0.34], [0.5, 0.34], [0.42, 0.5], [-0.46, 0.5], [-0.5, 0.42]]
)
HULL = np.array(
    [
        [-0.5, -0.4],
        [-0.44, -0.5],
        [0.2, -0.5],
        [0.36, -0.36],
        [0.5, 0.0],
        [0.36, 0.36],
        [0.2, 0.5],
        [-0.44, 0.5],
        [-0.5, 0.4],
    ]
)
HALF_AIRCRAFT = np.array(
    [[0.5, 0.0], [0.47, 0.03], [0.42, 0.045], [0.12, 0.05], [-0.1, 0.5], [-0.17, 0.5], [-0.07, 0.05], [-0.38, 0.035],
     [-0.46, 0.2], [-0.5, 0.2], [-0.47, 0.02]]
)  # fmt: skip
AIRCRAFT = np.concatenate([HALF_AIRCRAFT, HALF_AIRCRAFT[::-1] * [1, -1]])
OUTLINES = {classes.VEHICLE: RECTANGLE, classes.SHIP: HULL, classes.AIRPLANE: AIRCRAFT}
HEIGHTS_M = {classes.VEHICLE: 1.5, classes.SHIP: 3.0, classes.AIRPLANE: 3.0}


@dataclass(frozen=True)
class Things:
    """Things of one date.

    Attributes:
        slots: Records of `SLOT` for the places that are taken.
        polygons: Outline of each.
        tint: Random number 0–1 per thing, for its colour.
    """

    slots: np.ndarray
    polygons: np.ndarray
    tint: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """Oriented boxes (N, 4, 2) in metres."""
        return oriented(self.slots)


def oriented(records: np.ndarray) -> np.ndarray:
    """Corners (N, 4, 2) of the turned boxes of slots or facts."""
    center = np.stack([records["x"], records["y"]], -1)
    return boxes(center, records["angle"], records["length"], records["width"])


def on_day(slots: np.ndarray, day: int, terrain: Terrain) -> Things:
    """Takes some of the slots, and sets what moves somewhere near its slot.

    Args:
        slots: Records of `SLOT`.
        day: Days since 1970.
        terrain: Keeps ships at anchor on deep water.
    """
    dice = Dice.of(slots["key"], "day", int(day))
    chosen = dice.uniform("there") < slots["chance"]
    taken, dice = slots[chosen].copy(), Dice(dice.bits[chosen])
    moving = taken["moving"] & (taken["object"] == classes.SHIP)
    reach = np.where(moving, 180.0, np.where(taken["moving"], 4.0, 0.3))
    ahead = dice.uniform("ahead", -1, 1) * reach
    taken["x"] += ahead * np.cos(taken["angle"])
    taken["y"] += ahead * np.sin(taken["angle"])
    taken["angle"] += np.where(taken["object"] == classes.SHIP, 0.0, dice.normal("askew", 0.02))
    anchored = (taken["object"] == classes.SHIP) & (taken["chance"] <= 0.5)
    taken["angle"] += np.where(anchored & ~moving, dice.uniform("swing", -0.6, 0.6), 0.0)
    size = np.exp(dice.normal("size", 0.06))
    taken["length"] *= size
    taken["width"] *= size**0.5
    height = terrain.height(taken["x"], taken["y"])
    off_shore = terrain.height(taken["x"] + 0.6 * taken["length"] * np.cos(taken["angle"]),
                               taken["y"] + 0.6 * taken["length"] * np.sin(taken["angle"])) < -2  # fmt: skip
    afloat = (height < -3) & off_shore
    fits = ~anchored | afloat
    taken, tint = taken[fits], dice.uniform("tint")[fits]
    polygons = np.empty(len(taken), object)
    for kind, outline in OUTLINES.items():
        here = taken["object"] == kind
        center = np.stack([taken["x"], taken["y"]], -1)[here]
        polygons[here] = shapely.polygons(
            place(outline, center, taken["angle"][here], taken["length"][here], taken["width"][here])
        )
    return Things(taken, polygons, tint)
