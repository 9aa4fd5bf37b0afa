"""Cells of industry: halls, yards with trucks, car parks, storage tanks."""

from __future__ import annotations

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes, sheet
from skysense_nb.data.synthetic.buildings import FLAT, ROOFS, car_park
from skysense_nb.data.synthetic.cells import CELL_M
from skysense_nb.data.synthetic.countryside import base
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.settlements import extent, streets
from skysense_nb.data.synthetic.sheet import Area, Sheet, cuts, event_days
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS


def draw_industry(page: Sheet) -> None:
    """Halls with flat roofs, yards with trucks, car parks, storage tanks."""
    cell, dice = page.cell, page.cell.dice
    base(page, classes.GRASS, "meadow")
    across, up = cuts(dice, "across", CELL_M, 250), cuts(dice, "up", CELL_M, 215)
    for j, i in np.ndindex(len(up) - 1, len(across) - 1):
        block = Dice(hashed(dice.bits, "block", i, j))
        pad = 9 / CELL_M
        area = (across[i] + pad, up[j] + pad, across[i + 1] - pad, up[j + 1] - pad)
        middle = ((area[0] + area[2]) / 2, (area[1] + area[3]) / 2)
        center, angle = cell.at(*middle), float(cell.heading(*middle))
        length, width = extent(page, area)
        works(page, block, center, angle, length, width, int(block.choice("kind", (0.55, 0.22, 0.13, 0.1))[0]), area)
    streets(page, across, up, 9.0, np.ones((len(up) - 1, len(across) - 1), bool))


def works(page: Sheet, dice: Dice, center: np.ndarray, angle: float, length: float, width: float, kind: int,
          area: Area) -> None:  # fmt: skip
    """One industrial plot: 0 halls, 1 one large hall, 2 tank farm, 3 empty land."""
    if kind == 3:
        page.add_wild(page.cell.patch(*area)[None], sheet.LOT, (0.1, 0.02, 0.3, 0.4, 0.18))
        return
    (yard,) = page.add(page.cell.patch(*area)[None], sheet.LOT, classes.CAR_PARK if kind < 2 else classes.BARE,
                       "concrete" if kind < 2 else "dirt")  # fmt: skip
    ahead, left = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    if kind == 2:
        tanks(page, dice, center, ahead, left, length, width, yard)
        return
    count = 3 if kind == 0 else 1
    offset = (np.arange(count) - (count - 1) / 2) / count * 0.96
    spots = center + np.outer(offset * length, ahead) + 0.13 * width * left
    roof = ROOFS[2 + dice.choice("roof", (0.6, 0.4), count=count)]
    born = np.where(dice.uniform("new", count=count) < 0.25, event_days(dice, "day", count), sheet.ALWAYS)
    page.add_boxes(spots, angle, 0.78 * length / count * dice.uniform("long", 0.75, 1.1, count=count),
                   width * dice.uniform("wide", 0.4, 0.6, count=count), sheet.ROOF, classes.BUILDING, roof,
                   height=dice.uniform("high", 8, 13, count=count), pitch=np.where(roof == FLAT, 0.0, 0.12),
                   parent=yard, born=born)  # fmt: skip
    car_park(page, center - 0.38 * width * left - 0.2 * length * ahead, angle, 0.5 * length, 0.17 * width, yard)
    bay = center + np.outer(np.linspace(0.12, 0.45, 9) * length, ahead) - 0.34 * width * left
    page.park(bay, angle + np.pi / 2, classes.VEHICLE, 13.0, 2.6, 0.5)


def tanks(page: Sheet, dice: Dice, center: np.ndarray, ahead: np.ndarray, left: np.ndarray, length: float, width: float,
          ground: int) -> None:  # fmt: skip
    """Round storage tanks in rows."""
    radius = dice.number("radius", 8, 16)
    a = np.arange(-length / 2 + 1.7 * radius, length / 2 - 1.4 * radius, 2.8 * radius)
    b = np.arange(-width / 2 + 1.7 * radius, width / 2 - 1.4 * radius, 2.8 * radius)
    a, b = (grid.ravel() for grid in np.meshgrid(a, b))
    keep = dice.uniform("there", count=len(a)) < 0.85
    spots = (center + np.outer(a, ahead) + np.outer(b, left))[keep]
    size = radius * dice.uniform("size", 0.75, 1.0, count=len(spots))
    circles = shapely.buffer(shapely.points(spots), size, quad_segs=10)
    surface = np.where(dice.uniform("paint", count=len(spots)) < 0.75, SURFACE_IDS["paint"], SURFACE_IDS["rust"])
    page.add(
        circles,
        sheet.ROOF,
        classes.BUILDING,
        surface,
        object=classes.STORAGE_TANK,
        shy=sheet.DRY,
        x=spots[:, 0],
        y=spots[:, 1],
        length=2 * size,
        width=2 * size,
        height=dice.uniform("high", 8, 14, count=len(spots)),
        parent=ground,
    )
