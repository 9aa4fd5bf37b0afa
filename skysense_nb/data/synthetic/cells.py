"""The road skeleton: a jittered lattice whose curved meshes are the cells of the world.

A cell is a square of about one kilometre with bent sides. Its inside has coordinates (u, v) from 0 to 1 that
follow the sides (a Coons patch over Catmull-Rom curves), so parcels and streets inside bend with the roads around.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skysense_nb.data.synthetic.biomes import BIOMES, Biome, biome_ids
from skysense_nb.data.synthetic.classes import KINDS
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.window import geographic

CELL_M = 1024.0
JITTER = 0.17
"""How far a corner strays from its lattice point, in cells."""

SPILL = 0.33
"""How far roads, quays and ships may reach over the border of their cell, in cells."""

USES = {
    "fields": 0.42, "orchard": 0.06, "forest": 0.2, "meadow": 0.1, "village": 0.13, "city": 0.0, "industry": 0.015,
    "airfield": 0.025, "solar farm": 0.025, "quarry": 0.025,
}  # fmt: skip
TOWN_USES = {"city": 0.5, "industry": 0.2, "village": 0.17, "airfield": 0.03, "fields": 0.06, "forest": 0.04}
SHORE_USES = {"harbour": 0.28, "coast": 0.72}


def node(terrain: Terrain, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Easting and northing of lattice corners, shape (…, 2)."""
    i, j = np.broadcast_arrays(i, j)
    dice = Dice.of(terrain.seed, "node", terrain.zone, i.ravel(), j.ravel())
    shift = np.stack([dice.uniform("x", -JITTER, JITTER), dice.uniform("y", -JITTER, JITTER)], -1)
    return CELL_M * (np.stack([i, j], -1) + shift.reshape(*i.shape, 2))


def bends(knots: np.ndarray) -> np.ndarray:
    """Catmull-Rom curves through the middle two of four knots (4, curves, 2): cubics (4, curves, 2, 1) for `bend`."""
    a, b, c, d = knots[..., None]
    return np.stack([b, c - a, 2 * a - 5 * b + 4 * c - d, 3 * (b - c) + d - a])


def bend(cubics: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points (curves, 2, N) of curves at t in 0…1, (N,) or (curves, 1, N)."""
    start, first, second, third = cubics
    return start + 0.5 * t * (first + t * (second + t * third))


@dataclass(frozen=True)
class Cell:
    """One mesh of the skeleton.

    Attributes:
        i: Column of its lower left corner.
        j: Row of its lower left corner.
        kind: What it is used for, one of `KINDS`.
        biome: Its biome.
    """

    terrain: Terrain
    i: int
    j: int
    kind: str
    biome: Biome

    @cached_property
    def dice(self) -> Dice:
        """Throws that belong to this cell."""
        return Dice.of(self.terrain.seed, "cell", self.terrain.zone, self.i, self.j)

    @cached_property
    def knots(self) -> np.ndarray:
        """Corners of the cell and of those around it, (4 rows, 4 columns, 2)."""
        i, j = np.meshgrid(np.arange(self.i - 1, self.i + 3), np.arange(self.j - 1, self.j + 3))
        return node(self.terrain, i, j)

    @cached_property
    def sway(self) -> tuple[float, float, float]:
        """How far and in which phase streets and parcels inside swing about straight lines."""
        return (
            self.dice.number("sway u", -0.05, 0.05),
            self.dice.number("sway v", -0.05, 0.05),
            self.dice.number("sway", 0, 6),
        )

    @cached_property
    def sides(self) -> np.ndarray:
        """Cubics of the south, north, west and east side, from west to east and from south to north."""
        return bends(np.concatenate([self.knots[1:3].swapaxes(0, 1), self.knots[:, 1:3]], axis=1))

    def south_side(self, t: np.ndarray) -> np.ndarray:
        """Points (N, 2) of the lower side, from west to east."""
        return bend(self.sides[:, :1], t)[0].T

    def west_side(self, t: np.ndarray) -> np.ndarray:
        """Points (N, 2) of the left side, from south to north."""
        return bend(self.sides[:, 2:3], t)[0].T

    def at(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Easting and northing of inner coordinates, shape (…, 2)."""
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        shape, u, v = u.shape, u.ravel(), v.ravel()
        quiet = np.clip(np.sin(np.pi * u), 0, 1) * np.clip(np.sin(np.pi * v), 0, 1)  # nothing moves on the sides
        sway_u, sway_v, phase = self.sway
        u, v = u + quiet * sway_u * np.sin(5 * v + phase), v + quiet * sway_v * np.sin(5 * u + 2 * phase)
        south, north, west, east = bend(self.sides, np.stack([u, u, v, v])[:, None])
        (a, b), (c, d) = self.knots[1:3, 1:3, :, None]
        flat = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)
        points = (1 - v) * south + v * north + (1 - u) * west + u * east - flat
        return np.ascontiguousarray(points.T).reshape(*shape, 2)

    def heading(self, u: np.ndarray, v: np.ndarray, along: str = "u") -> np.ndarray:
        """Direction of growing u (or v) in radians from east, counter-clockwise."""
        step = 0.01
        du, dv = (step, 0) if along == "u" else (0, step)
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        here, there = self.at(np.stack([u, u + du]), np.stack([v, v + dv]))
        ahead = there - here
        return np.arctan2(ahead[..., 1], ahead[..., 0])

    @cached_property
    def center(self) -> np.ndarray:
        """Easting and northing of the middle."""
        return self.at(0.5, 0.5)

    @cached_property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower left and upper right corner of what lies inside of its sides, to a metre."""
        outline = self.patch(0.0, 0.0, 1.0, 1.0, 24)
        return outline.min(0) - 1, outline.max(0) + 1

    def patch(self, u0: np.ndarray, v0: np.ndarray, u1: np.ndarray, v1: np.ndarray, steps: int = 4) -> np.ndarray:
        """Outlines of rectangles in inner coordinates, (N, 4 · steps, 2)."""
        t = np.linspace(0, 1, steps, endpoint=False)
        zero, one = np.zeros(steps), np.ones(steps)
        across, up = np.concatenate([t, one, 1 - t, zero]), np.concatenate([zero, t, one, 1 - t])
        u0, v0, u1, v1 = (np.asarray(edge, float)[..., None] for edge in np.broadcast_arrays(u0, v0, u1, v1))
        return self.at(u0 + (u1 - u0) * across, v0 + (v1 - v0) * up)


def kinds_of(terrain: Terrain, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kind and biome of many cells at once.

    Args:
        i: Columns, shape (N,).
        j: Rows, shape (N,).

    Returns:
        Indices into `KINDS` and into `BIOMES`.
    """
    corners = [node(terrain, i + di, j + dj) for di in (0, 1) for dj in (0, 1)]
    middle = np.mean(corners, axis=0)
    spots = np.stack([*(0.7 * corner + 0.3 * middle for corner in corners), middle])
    heights = terrain.height(spots[..., 0], spots[..., 1])
    biome = biome_ids(terrain.seed, *geographic(terrain.zone, *middle.T))
    dice = Dice.of(terrain.seed, "use", terrain.zone, i, j)
    kind = np.zeros(len(i), int)
    town = terrain.urban(*middle.T) + dice.uniform("edge of town", -0.08, 0.08) > 0.26
    shore = (heights.min(0) < -0.5) & (heights.max(0) >= -0.5)
    harbour = shore & ((heights > 0).sum(0) >= 2) & ((heights > 0).sum(0) <= 4)
    for index, place in enumerate(BIOMES):
        here = biome == index
        kind = np.where(here & ~town, pick(dice, {**USES, **place.uses}), kind)
    kind = np.where(town, pick(dice, TOWN_USES), kind)
    kind = np.where(shore, np.where(harbour, pick(dice, SHORE_USES), KINDS.index("coast")), kind)
    return np.where(heights.max(0) < -0.5, KINDS.index("sea"), kind), biome


def pick(dice: Dice, weights: dict[str, float]) -> np.ndarray:
    """Kind indices drawn by weight."""
    ids = np.array([KINDS.index(name) for name in weights])
    return ids[dice.choice("kind", list(weights.values()))]


def cells_near(terrain: Terrain, left: float, bottom: float, right: float, top: float) -> list[Cell]:
    """Every cell that may reach into a rectangle, in the one order all windows share (rows, then columns)."""
    reach = JITTER + SPILL
    columns = np.arange(np.floor(left / CELL_M - reach), np.floor(right / CELL_M + reach) + 1).astype(int)
    rows = np.arange(np.floor(bottom / CELL_M - reach), np.floor(top / CELL_M + reach) + 1).astype(int)
    j, i = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    kind, biome = kinds_of(terrain, i, j)
    cells = [Cell(terrain, int(a), int(b), KINDS[k], BIOMES[m]) for a, b, k, m in zip(i, j, kind, biome, strict=True)]
    spill = SPILL * CELL_M
    low, high = np.array([left, bottom]) - spill, np.array([right, top]) + spill
    return [cell for cell in cells if ((cell.extent[0] < high) & (cell.extent[1] > low)).all()]
