"""The ground truth: which row of the plan every pixel belongs to, and what that row is on a date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rasterio.features import rasterize
from scipy.sparse import csr_matrix

from skysense_nb.data.synthetic import classes
from skysense_nb.data.synthetic.drawing import Plan, plan_of
from skysense_nb.data.synthetic.hashing import hashed
from skysense_nb.data.synthetic.noise import lattice_noise
from skysense_nb.data.synthetic.sheet import ALWAYS, FACTS, NEVER, PARCEL, PIER, VERGE
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS
from skysense_nb.data.synthetic.terrain import Terrain, Waters, waters
from skysense_nb.data.synthetic.window import TRUTH_PIXEL_M, Window

DEPTHS_M = np.array([0.3, 0.8, 1.6, 3.0, 5.0, 8.0, 13.0])
"""Borders between the depth classes of the sea, one row each."""

SHALLOWEST, RIVER_ROW, BEACH_ROW, BANK_ROW = 0, len(DEPTHS_M) + 1, len(DEPTHS_M) + 2, len(DEPTHS_M) + 3
NATURAL = len(DEPTHS_M) + 4
"""Rows before those of the plan: sea by depth, river, beach, trees on river banks."""

BANK_M = 7.0
"""Width of the trees along rivers."""

BEACH_M = 0.75
"""Height to which the beach reaches."""


def natural_rows() -> np.ndarray:
    """Facts of the rows that fields, not polygons, draw."""
    rows = np.zeros(NATURAL, FACTS)
    rows["key"], rows["born"], rows["gone"], rows["parent"] = np.arange(NATURAL), ALWAYS, NEVER, -1
    rows["cover"], rows["surface"] = classes.WATER, SURFACE_IDS["sea"]
    rows["height"][:RIVER_ROW] = -np.concatenate([[0.15], (DEPTHS_M[:-1] + DEPTHS_M[1:]) / 2, [20.0]])
    rows["surface"][RIVER_ROW] = SURFACE_IDS["river"]
    rows["cover"][BEACH_ROW], rows["surface"][BEACH_ROW] = classes.BEACH, SURFACE_IDS["sand"]
    rows["cover"][BANK_ROW], rows["surface"][BANK_ROW], rows["trees"][BANK_ROW] = (
        classes.BROADLEAF,
        SURFACE_IDS["broadleaf"],
        0.8,
    )
    return rows


@dataclass(frozen=True)
class Ground:
    """What lies where in a window.

    Attributes:
        window: The window.
        terrain: Fields of the zone.
        plan: Polygons, marks and slots that reach into the window.
        facts: All rows, natural ones first.
    """

    window: Window
    terrain: Terrain
    plan: Plan
    facts: np.ndarray

    @classmethod
    def of(cls, terrain: Terrain, window: Window) -> Ground:
        """Draws everything that reaches into a window."""
        plan = plan_of(terrain, window)
        facts = np.concatenate([natural_rows(), plan.facts])
        facts["parent"][NATURAL:] = np.where(plan.facts["parent"] >= 0, plan.facts["parent"] + NATURAL, -1)
        return cls(window, terrain, plan, facts)

    def rows(self, pixel_m: float) -> tuple[np.ndarray, Waters]:
        """Row of every pixel of the window (H, W), and the terrain there."""
        fields = waters(self.terrain, self.window, pixel_m)
        grid = np.full(self.window.shape(pixel_m), SHALLOWEST, np.int32)
        layers = self.plan.layers
        self.burn(grid, layers < PIER, pixel_m)
        wild = self.facts["wild"][grid]
        steps = self.facts["shares"][grid[wild]]
        grid[wild] += (fields.wild[wild][:, None] > steps).sum(1, dtype=np.int32)
        layer = self.facts["layer"][grid]
        grid[(fields.height < BEACH_M) & (layer < VERGE)] = BEACH_ROW
        bank = (fields.river < BANK_M) & (fields.wild < 0.55) & (layer <= PARCEL)
        grid[bank] = BANK_ROW
        grid[(fields.river < 0) & (layer < VERGE)] = RIVER_ROW
        sea = fields.height < 0
        if sea.any():
            xs, ys = self.window.xs(pixel_m), self.window.ys(pixel_m)
            dither = lattice_noise(hashed(self.terrain.key("sea floor")), xs, ys, 2.5)[sea]
            grid[sea] = np.searchsorted(DEPTHS_M, -fields.height[sea] * (1 + np.float32(0.4) * dither))
        self.burn(grid, layers >= PIER, pixel_m)
        return grid, fields

    def burn(self, grid: np.ndarray, chosen: np.ndarray, pixel_m: float) -> None:
        """Paints the chosen polygons onto a grid of rows, later ones over earlier ones."""
        if chosen.any():
            shapes = zip(self.plan.polygons[chosen], (self.plan.rows[chosen] + NATURAL).tolist(), strict=True)
            rasterize(shapes, out=grid, transform=self.window.transform(pixel_m))

    def on(self, day: int) -> np.ndarray:
        """For every row the row that holds on a day (days since 1970): itself, or what was there before it."""
        now = np.arange(len(self.facts))
        for _ in range(4):
            away = (self.facts["born"][now] > day) | (self.facts["gone"][now] <= day)
            now = np.where(away & (self.facts["parent"][now] >= 0), self.facts["parent"][now], now)
        return now


@dataclass(frozen=True)
class Fractions:
    """Shares of rows in every Sentinel pixel.

    Attributes:
        rows: Rows that occur, ascending.
        shares: Sparse (pixels, rows), each pixel adding up to 1.
        shape: Rows and columns of the Sentinel grid.
    """

    rows: np.ndarray
    shares: csr_matrix
    shape: tuple[int, int]

    @classmethod
    def of(cls, grid: np.ndarray, block: int) -> Fractions:
        """Counts the rows in blocks of `block` × `block` pixels of the truth grid."""
        height, width = grid.shape[0] // block, grid.shape[1] // block
        rows = np.flatnonzero(np.bincount(grid.ravel()))
        compact = np.zeros(rows[-1] + 1, np.int64)
        compact[rows] = np.arange(len(rows))
        blocks = compact[grid].reshape(height, block, width, block).transpose(0, 2, 1, 3).reshape(height * width, -1)
        codes, counts = np.unique(blocks + len(rows) * np.arange(height * width)[:, None], return_counts=True)
        pixel, row = np.divmod(codes, len(rows))
        starts = np.searchsorted(pixel, np.arange(height * width + 1))
        shares = csr_matrix((counts / block**2, row, starts), shape=(height * width, len(rows)))
        return cls(rows, shares, (height, width))

    def mix(self, table: np.ndarray) -> np.ndarray:
        """Mixes a value per row (rows, …) into a value per pixel (H, W, …), float64."""
        flat = self.shares @ table.reshape(len(self.rows), -1)
        return flat.reshape(*self.shape, *table.shape[1:])


def fractions(grid: np.ndarray, sentinel_m: float = 10.0) -> Fractions:
    """Shares in the Sentinel pixels of a grid at `TRUTH_PIXEL_M`."""
    return Fractions.of(grid, round(sentinel_m / TRUTH_PIXEL_M))
