"""Country roads along the sides of the cells: classes per line, so that a main road runs on for many kilometres."""

from __future__ import annotations

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes, sheet
from skysense_nb.data.synthetic.cells import Cell
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.settlements import along
from skysense_nb.data.synthetic.sheet import Sheet

MAIN_ROAD, COUNTRY_ROAD, BY_ROAD, TRACK = range(4)
WIDTH_M = (11.0, 7.0, 4.6, 3.0)
LAYER = (sheet.MAIN, sheet.STREET, sheet.LANE, sheet.LANE)
UNPAVED = {"forest", "meadow", "coast", "sea"}


def grade(cell: Cell, name: str, line: int) -> int:
    """Class of a whole lattice line; where nobody lives, small roads are tracks."""
    dice = Dice.of(cell.terrain.seed, "line", name, cell.terrain.zone, line)
    grade = int(dice.choice("grade", (0.16, 0.34, 0.3, 0.2))[0])
    return TRACK if grade == BY_ROAD and cell.kind in UNPAVED else grade


def draw_roads(page: Sheet) -> None:
    """The roads on the lower and left side of the cell."""
    cell, t = page.cell, np.linspace(0, 1, 25)
    for name, line, points in (("row", cell.j, cell.south_side(t)), ("column", cell.i, cell.west_side(t))):
        road(page, shapely.linestrings(points), grade(cell, name, line), Dice.of(cell.dice.bits, name))


def road(page: Sheet, line: shapely.LineString, grade: int, dice: Dice) -> None:
    """One stretch with verge, surface, marks and traffic."""
    width, length = WIDTH_M[grade], line.length
    page.add(np.array([shapely.buffer(line, width / 2 + 2.5)]), sheet.VERGE, classes.GRASS, "meadow",
             trees=page.cell.biome.trees * 0.12)  # fmt: skip
    surface = "dirt" if grade == TRACK else "asphalt"
    page.add(np.array([shapely.buffer(line, width / 2)]), LAYER[grade], classes.ROAD, surface)
    if grade > COUNTRY_ROAD:
        return
    dashes = np.arange(3.0, length, 12.0)
    ends = shapely.line_interpolate_point(line, dashes), shapely.line_interpolate_point(line, dashes + 4.5)
    middle = shapely.linestrings(np.stack([shapely.get_coordinates(end) for end in ends], 1))
    page.mark(shapely.buffer(middle, 0.17, cap_style="flat"), sheet.WHITE)
    if grade == MAIN_ROAD:
        sides = shapely.offset_curve(np.array([line, line]), np.array([1, -1]) * (width / 2 - 0.7))
        page.mark(shapely.buffer(sides, 0.18, cap_style="flat"), sheet.WHITE)
    count = int(length / (22 if grade == MAIN_ROAD else 45))
    for side in (1, -1):
        lane = shapely.offset_curve(line, -side * width / 4)
        share = (np.arange(count) + dice.uniform(f"place {side}", 0, 0.8, count=count)) / count
        spots, ahead = along(np.array([lane] * count), share), along(np.array([lane] * count), share + 0.004)
        way = np.arctan2(*(ahead - spots).T[::-1])
        long = np.where(dice.uniform(f"truck {side}", count=count) < 0.15, 12.0, 4.5)
        page.park(spots, way, classes.VEHICLE, long, np.where(long > 6, 2.5, 1.85), 0.3, moving=True, shy=sheet.ON_LAND)
