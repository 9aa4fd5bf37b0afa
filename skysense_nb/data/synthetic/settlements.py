"""Cells where people live and work: villages and towns."""

from __future__ import annotations

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes, sheet
from skysense_nb.data.synthetic.buildings import FLAT, ROOFS, car_park, court, houses
from skysense_nb.data.synthetic.cells import CELL_M
from skysense_nb.data.synthetic.countryside import base, farmland
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.sheet import Area, Sheet, cuts, event_days


def streets(page: Sheet, across: np.ndarray, up: np.ndarray, width_m: float, inner: np.ndarray) -> None:
    """Streets along the borders of the blocks that `inner` marks as built, (rows, columns)."""
    cell, t = page.cell, np.linspace(0, 1, 7)
    rows, columns = inner.shape
    lines = []
    for j in range(rows):
        for i in range(columns + 1):
            if inner[j, max(i - 1, 0)] or inner[j, min(i, columns - 1)]:
                lines.append(cell.at(across[i], up[j] + (up[j + 1] - up[j]) * t))
    for j in range(rows + 1):
        for i in range(columns):
            if inner[max(j - 1, 0), i] or inner[min(j, rows - 1), i]:
                lines.append(cell.at(across[i] + (across[i + 1] - across[i]) * t, up[j]))
    lines = shapely.linestrings(np.array(lines))
    page.add(shapely.buffer(lines, width_m / 2 + 1.4), sheet.VERGE, classes.GARDEN, "concrete")
    page.add(shapely.buffer(lines, width_m / 2), sheet.LANE, classes.ROAD, "asphalt")
    length = shapely.length(lines)
    for side in (-1, 1):
        kerb = shapely.offset_curve(lines, side * (width_m / 2 - 1.1))
        for share in np.arange(0.12, 0.95, 0.09):
            spot, ahead = along(kerb, share), along(kerb, share + 0.01)
            keep = length > 40
            way = np.arctan2(*(ahead - spot)[keep].T[::-1])
            page.park(spot[keep], way, classes.VEHICLE, 4.4, 1.8, 0.28, shy=sheet.ON_LAND)


def along(lines: np.ndarray, share: float) -> np.ndarray:
    """Points (N, 2) at a share of the length of each line."""
    return shapely.get_coordinates(shapely.line_interpolate_point(lines, share, normalized=True))


def lots(page: Sheet, dice: Dice, area: Area, lot_m: float, size: float, **event: int) -> None:
    """Two rows of house lots that face the streets on the long sides of a block."""
    cell, biome = page.cell, page.cell.biome
    u0, v0, u1, v1 = area
    count = max(2, int((u1 - u0) * CELL_M / lot_m))
    steps = u0 + (u1 - u0) * np.linspace(0, 1, count + 1)
    half = (v0 + v1) / 2
    left, right = np.tile(steps[:-1], 2), np.tile(steps[1:], 2)
    low, high = np.repeat([v0, half], count), np.repeat([half, v1], count)
    gap = 0.35 / CELL_M
    front = np.repeat([1.0, -1.0], count)
    ground = page.add(
        cell.patch(left + gap, low + gap, right - gap, high - gap, 2),
        sheet.LOT,
        classes.GARDEN,
        "garden",
        trees=biome.trees * dice.uniform("trees", 0.1, 1.3, count=2 * count),
        **event,
    )
    u = (left + right) / 2 + dice.uniform("shift", -1.5, 1.5, count=2 * count) / CELL_M
    setback = (9 + dice.uniform("setback", 0, 6, count=2 * count)) * size / CELL_M
    v = np.where(front > 0, low + setback, high - setback)
    late = dice.uniform("late", count=2 * count) < 0.12
    first = event.get("born", sheet.ALWAYS)
    born = np.where(late, np.maximum(event_days(dice, "late day", 2 * count), first), first)
    houses(page, dice, cell.at(u, v), cell.heading(u, v), size, ground, born, chance=0.94)
    street_v = np.where(front > 0, low, high)
    drive = cell.patch(left + 1.2 / CELL_M, np.minimum(street_v, v), left + 4.2 / CELL_M, np.maximum(street_v, v), 2)
    page.add(drive, sheet.DRIVE, classes.GARDEN, "concrete", parent=ground, born=first)
    back = np.where(front > 0, low + setback * 2.3, high - setback * 2.3)
    swim = dice.uniform("pool", count=2 * count) < biome.pools
    page.add_boxes(cell.at(u, back)[swim], cell.heading(u, back)[swim], 9.0, 4.5, sheet.DRIVE, classes.WATER, "pool",
                   parent=ground[swim], born=first)  # fmt: skip
    shed = dice.uniform("shed", count=2 * count) < 0.3
    page.add_boxes(cell.at(left + 0.006, back)[shed], cell.heading(u, back)[shed], 4.5, 3.2, sheet.ROOF,
                   classes.BUILDING, "metal roof", height=2.4, pitch=0.2, parent=ground[shed], born=first)  # fmt: skip
    stall = cell.at(left + 2.7 / CELL_M, (street_v + v) / 2)
    if first == sheet.ALWAYS:
        page.park(stall, cell.heading(left, v, "v"), classes.VEHICLE, 4.5, 1.85, 0.45)


def draw_village(page: Sheet) -> None:
    """Houses with gardens around a centre, fields at the edge, now and then a new estate."""
    cell, dice = page.cell, page.cell.dice
    base(page, classes.GRASS, "meadow" if cell.biome.seasonality > 0.4 else "steppe")
    lot_m = cell.biome.lot_m
    across, up = cuts(dice, "across", CELL_M, 175), cuts(dice, "up", CELL_M, 3.6 * lot_m)
    u, v = (across[:-1] + across[1:]) / 2, (up[:-1] + up[1:]) / 2
    distance = np.hypot(u[None] - 0.5, v[:, None] - 0.5)
    luck = dice.uniform("built", count=distance.size).reshape(distance.shape)
    built = distance < 0.2 + 0.22 * luck
    new = ~built & (distance < 0.36 + 0.06 * luck)
    for j, i in np.ndindex(distance.shape):
        block = Dice(hashed(dice.bits, "block", i, j))
        area = (across[i] + 5 / CELL_M, up[j] + 5 / CELL_M, across[i + 1] - 5 / CELL_M, up[j + 1] - 5 / CELL_M)
        if built[j, i] and distance[j, i] > 0.08 and block.chance("sports", 0.07):
            page.add(cell.patch(*area)[None], sheet.LOT, classes.GARDEN, "garden", trees=0.35)
            court(page, cell.at(u[i], v[j]), float(cell.heading(u[i], v[j])), extent(page, area))
        elif built[j, i]:
            lots(page, block, area, lot_m, 1.0 + 0.25 * (distance[j, i] < 0.12))
        elif new[j, i] and block.chance("estate", 0.35):
            field = page.add(cell.patch(*area)[None], sheet.PARCEL, classes.CROPLAND, "crop", parcel=parcel_id(block),
                             angle=float(cell.heading(u[i], v[j])), **place_of(cell.at(u[i], v[j])))  # fmt: skip
            lots(page, block, area, lot_m, 1.0, born=int(event_days(block, "estate day")[0]), parent=int(field[0]))
        else:
            farmland(page, area, block, orchards=0.12, scale=0.75)
    streets(page, across, up, 6.0, built)


def extent(page: Sheet, area: Area) -> tuple[float, float]:
    """Length and width in metres of a block through its middle."""
    u0, v0, u1, v1 = area
    ends = page.cell.at([u0, u1, (u0 + u1) / 2, (u0 + u1) / 2], [(v0 + v1) / 2, (v0 + v1) / 2, v0, v1])
    return float(np.hypot(*(ends[1] - ends[0]))), float(np.hypot(*(ends[3] - ends[2])))


def parcel_id(dice: Dice) -> int:
    """Identity of a single parcel, 31 bits."""
    return int(dice.bits[0] >> np.uint64(33))


def place_of(center: np.ndarray) -> dict[str, float]:
    """Reference point columns of a row."""
    return {"x": float(center[0]), "y": float(center[1])}


def perimeter(page: Sheet, dice: Dice, area: Area, ground: int) -> None:
    """Town houses wall to wall along the four sides of a block."""
    cell = page.cell
    u0, v0, u1, v1 = area
    deep = dice.number("deep", 11, 15) / CELL_M
    for name, (start, end), fixed, lengthwise in (
        ("south", (u0, u1), v0 + deep / 2, True), ("north", (u0, u1), v1 - deep / 2, True),
        ("west", (v0 + deep, v1 - deep), u0 + deep / 2, False), ("east", (v0 + deep, v1 - deep), u1 - deep / 2, False),
    ):  # fmt: skip
        side = Dice.of(dice.bits, name)
        steps = start + (end - start) * cuts(side, "fronts", (end - start) * CELL_M, 19)
        middle, size = (steps[:-1] + steps[1:]) / 2, np.diff(steps) * CELL_M
        count = len(middle)
        u, v = (middle, np.full(count, fixed)) if lengthwise else (np.full(count, fixed), middle)
        there = side.uniform("there", count=count) < 0.93
        roof = ROOFS[side.choice("roof", np.array(cell.biome.roofs) + [0, 0, 0.25, 0], count=count)]
        angle = cell.heading(u, v, "u" if lengthwise else "v")
        pitch = np.where(roof == FLAT, 0.0, side.uniform("pitch", 0.4, 0.7, count=count))
        page.add_boxes(
            cell.at(u, v)[there],
            angle[there],
            (size - 0.15)[there],
            deep * CELL_M,
            sheet.ROOF,
            classes.BUILDING,
            roof[there],
            height=side.uniform("floors", 8, 17, count=count)[there],
            pitch=pitch[there],
            parent=ground,
        )


def draw_city(page: Sheet) -> None:
    """Blocks of town houses around courtyards, towers, parks, car parks."""
    cell, dice = page.cell, page.cell.dice
    base(page, classes.GARDEN, "garden", trees=0.3)
    across, up = cuts(dice, "across", CELL_M, 118), cuts(dice, "up", CELL_M, 92)
    for j, i in np.ndindex(len(up) - 1, len(across) - 1):
        block = Dice(hashed(dice.bits, "block", i, j))
        pad = 8.5 / CELL_M
        area = (across[i] + pad, up[j] + pad, across[i + 1] - pad, up[j + 1] - pad)
        middle = ((area[0] + area[2]) / 2, (area[1] + area[3]) / 2)
        center, angle = cell.at(*middle), float(cell.heading(*middle))
        kind = int(block.choice("kind", (0.6, 0.1, 0.08, 0.08, 0.14))[0])
        (ground,) = page.add(cell.patch(*area)[None], sheet.LOT, classes.GARDEN,
                             ("garden", "garden", "concrete", "turf", "garden")[kind],
                             trees=(0.5, 0.9, 0.02, 0.1, 0.3)[kind])  # fmt: skip
        length, width = extent(page, area)
        if kind == 0:
            perimeter(page, block, area, ground)
        elif kind == 2:
            car_park(page, center, angle, 0.9 * length, 0.86 * width, ground)
        elif kind == 3:
            court(page, center, angle, (length, width))
        elif kind == 4:
            towers(page, block, center, angle, length, width, ground)
    streets(page, across, up, 8.5, np.ones((len(up) - 1, len(across) - 1), bool))


def towers(page: Sheet, dice: Dice, center: np.ndarray, angle: float, length: float, width: float, ground: int) -> None:
    """Two or three tall flat-roofed blocks on a plaza."""
    offset = np.array([-0.29, 0.0, 0.29])[:, None] * length
    spots = center + offset * np.array([np.cos(angle), np.sin(angle)])
    born = np.where(dice.uniform("new", count=3) < 0.25, event_days(dice, "day", 3), sheet.ALWAYS)
    page.add_boxes(spots, angle + np.pi / 2, dice.uniform("long", 0.4, 0.75, count=3) * width,
                   dice.uniform("wide", 0.13, 0.2, count=3) * length, sheet.ROOF, classes.BUILDING, "flat roof",
                   height=dice.uniform("high", 14, 26, count=3), parent=ground, born=born)  # fmt: skip
