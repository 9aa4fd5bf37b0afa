"""Trees of the aerial image: where they stand, and the crowns stamped onto the height of the ground."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skysense_nb.data.synthetic import classes
from skysense_nb.data.synthetic.hashing import Dice, hashed, unit
from skysense_nb.data.synthetic.window import HR_PIXEL_M, Window

WIDE_M, NARROW_M = 6.4, 3.9
"""Lattices of broad trees, and of conifers and bushes."""

BROAD, NEEDLE, BUSH, FRUIT = range(4)
VARIANTS = 5


@dataclass(frozen=True)
class Trees:
    """Trees whose crown reaches into a window, N each.

    Attributes:
        x: Easting in metres.
        y: Northing in metres.
        radius: Crown radius in metres.
        kind: `BROAD`, `NEEDLE`, `BUSH` or `FRUIT`.
        row: Row of the plan they stand on.
        key: Identity.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    kind: np.ndarray
    row: np.ndarray
    key: np.ndarray


def lattice(key: int, window: Window, spacing: float) -> tuple[np.ndarray, np.ndarray, Dice]:
    """Jittered points of a lattice inside a window, and the dice of each."""
    columns = np.arange(np.floor(window.left / spacing), np.ceil(window.right / spacing)).astype(np.int64)
    rows = np.arange(np.floor(window.bottom / spacing), np.ceil(window.top / spacing)).astype(np.int64)
    row, column = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    dice = Dice.of(key, int(spacing * 10), row, column)
    x = (column + dice.uniform("x", 0.12, 0.88)) * spacing
    y = (row + dice.uniform("y", 0.12, 0.88)) * spacing
    inside = (x > window.left) & (x < window.right) & (y > window.bottom) & (y < window.top)
    return x[inside], y[inside], Dice(dice.bits[inside])


def row_at(grid: np.ndarray, window: Window, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of an aerial grid at points of its window."""
    column = ((x - window.left) / HR_PIXEL_M).astype(np.int64)
    row = ((window.top - y) / HR_PIXEL_M).astype(np.int64)
    return grid[row, column]


def grow(key: int, grid: np.ndarray, facts: np.ndarray, window: Window) -> Trees:
    """All trees of a window.

    Args:
        key: Word of the tree layer of this zone.
        grid: Row per aerial pixel, H W.
        facts: Rows as they are on the date.
        window: Window of `grid`.
    """
    parts = []
    for spacing in (WIDE_M, NARROW_M):
        x, y, dice = lattice(key, window, spacing)
        row = row_at(grid, window, x, y)
        here, density = facts[row], facts["trees"][row].copy()
        small = np.isin(here["cover"], [classes.CONIFER, classes.SHRUB])
        density[small != (spacing == NARROW_M)] = 0
        there = dice.uniform("there") < density
        kind = np.where(here["cover"] == classes.CONIFER, NEEDLE, np.where(here["cover"] == classes.SHRUB, BUSH, BROAD))
        kind = np.where(
            (kind == BROAD) & (here["cover"] == classes.GARDEN) & (dice.uniform("exotic") < 0.15), NEEDLE, kind
        )
        low, high = np.array([[2.4, 1.5, 0.7, 1.5], [4.7, 2.5, 1.7, 2.2]])[:, kind]
        alone = np.where(here["cover"] == classes.BROADLEAF, 1.0, 0.85)
        radius = (low + (high - low) * dice.uniform("size")) * alone
        parts.append((x[there], y[there], radius[there], kind[there], row[there], dice.bits[there]))
    parts += orchards(grid, facts, window)
    return Trees(*(np.concatenate([part[index] for part in parts]) for index in range(6)))


def orchards(grid: np.ndarray, facts: np.ndarray, window: Window) -> list[tuple[np.ndarray, ...]]:
    """Fruit trees in straight rows along each orchard parcel."""
    parts = []
    present = np.flatnonzero(np.bincount(grid.ravel()))
    for row in present[facts["cover"][present] == classes.ORCHARD]:
        one, dice = facts[row], Dice(facts["key"][row : row + 1])
        between, within = dice.number("row gap", 5.2, 6.6), dice.number("tree gap", 3.6, 5.0)
        rows, columns = np.nonzero(grid == row)
        x0, x1 = window.left + HR_PIXEL_M * (columns.min() - 1), window.left + HR_PIXEL_M * (columns.max() + 2)
        y0, y1 = window.top - HR_PIXEL_M * (rows.max() + 2), window.top - HR_PIXEL_M * (rows.min() - 1)
        cos, sin = np.cos(float(one["angle"])), np.sin(float(one["angle"]))
        corners = np.array([(x - one["x"], y - one["y"]) for x in (x0, x1) for y in (y0, y1)])
        along, across = corners @ [cos, sin], corners @ [-sin, cos]
        a = np.arange(np.floor(along.min() / within), np.ceil(along.max() / within) + 1).astype(np.int64)
        b = np.arange(np.floor(across.min() / between), np.ceil(across.max() / between) + 1).astype(np.int64)
        a, b = (axis.ravel() for axis in np.meshgrid(a, b))
        tree = Dice.of(one["key"], a, b)
        along, across = a * within + tree.normal("a", 0.18), b * between + tree.normal("b", 0.18)
        x, y = one["x"] + cos * along - sin * across, one["y"] + sin * along + cos * across
        inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
        inside &= (x > window.left) & (x < window.right) & (y > window.bottom) & (y < window.top)
        inside &= tree.uniform("there") < 0.96
        inside[inside] = row_at(grid, window, x[inside], y[inside]) == row
        radius = dice.number("radius", 1.5, 2.15) * (0.85 + 0.3 * tree.uniform("size"))
        count = int(inside.sum())
        parts.append(
            (x[inside], y[inside], radius[inside], np.full(count, FRUIT), np.full(count, row), tree.bits[inside])
        )
    return parts


@lru_cache(maxsize=256)
def stamp(kind: int, pixels: int, variant: int) -> np.ndarray:
    """Height in metres of a crown of a given radius, square, −1 outside; the same for every world."""
    size = np.arange(-pixels - 1, pixels + 2)
    x, y = np.meshgrid(size, size)
    turn, distance = np.arctan2(y, x), np.hypot(x, y) / (pixels + 0.3)
    phase = 2 * np.pi * unit(hashed("crown", kind, pixels, variant, np.arange(4)))
    lobes = 0.1 * np.sin(3 * turn + phase[0]) + 0.07 * np.sin(5 * turn + phase[1]) + 0.05 * np.sin(9 * turn + phase[2])
    distance = distance * (1 + lobes)
    tall = {BROAD: 2.0, NEEDLE: 4.4, BUSH: 1.1, FRUIT: 1.3}[kind] * pixels * HR_PIXEL_M + 1.0
    if kind == NEEDLE:
        height = tall * (1 - 0.8 * distance)
    else:
        height = tall * (0.45 + 0.55 * np.sqrt(np.clip(1 - distance**2, 0, 1)))
    clumps = unit(hashed("clump", kind, pixels, variant, y[:, :1] // 3 + 99, x[:1] // 3 + 99)).reshape(x.shape)
    height = height * (0.9 + 0.2 * clumps)
    return np.where(distance < 1, height, -1).astype(np.float32)


def plant(trees: Trees, height: np.ndarray, window: Window) -> np.ndarray:
    """Raises `height` by every crown; returns the number of the tree on top of each pixel, −1 for none."""
    top = np.full(height.shape, -1, np.int32)
    columns = np.floor(trees.x / HR_PIXEL_M).astype(np.int64) - round(window.left / HR_PIXEL_M)
    rows = round(window.top / HR_PIXEL_M) - 1 - np.floor(trees.y / HR_PIXEL_M).astype(np.int64)
    sizes = np.maximum(np.round(trees.radius / HR_PIXEL_M).astype(int), 2)
    variants = (trees.key % np.uint64(VARIANTS)).astype(int)
    high, wide = height.shape
    for number, (row, column, size, kind, variant) in enumerate(
        zip(rows.tolist(), columns.tolist(), sizes.tolist(), trees.kind.tolist(), variants.tolist(), strict=True)
    ):
        crown, reach = stamp(kind, size, variant), size + 1
        above, left = max(row - reach, 0), max(column - reach, 0)
        below, right = min(row + reach + 1, high), min(column + reach + 1, wide)
        crown = crown[above - row + reach : below - row + reach, left - column + reach : right - column + reach]
        view = height[above:below, left:right]
        higher = crown > view
        np.copyto(view, crown, where=higher)
        np.copyto(top[above:below, left:right], number, where=higher)
    return top
