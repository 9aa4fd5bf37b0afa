"""Land and water: the height of the ground above the sea, and rivers as the zero line of a smooth field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skysense_nb.data.synthetic.hashing import hashed
from skysense_nb.data.synthetic.noise import between, fractal_noise, gradient_noise, lattice_noise
from skysense_nb.data.synthetic.window import Window

NODE_M = 20.0
"""Spacing at which the wide fields are computed before they are interpolated."""


FALL = 2.0
"""How much steeper the ground falls away below the sea than above."""


@dataclass(frozen=True)
class Terrain:
    """Fields of one seed and zone."""

    seed: int
    zone: int

    def key(self, name: str) -> int:
        """Word of a named field."""
        return int(hashed(self.seed, "terrain", name, self.zone)[0])

    def height(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Ground above the sea in metres, negative on the sea floor."""
        return 60 * (fractal_noise(self.key("height"), x, y, 21_000, 6) + 0.24)

    def river(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance to the middle of the nearest river in metres, near it exact to a few per cent."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        here, east, north = fractal_noise(
            self.key("river"), np.stack([x, x + 10, x]), np.stack([y, y, y + 10]), 9_000, 4
        )
        slope = np.hypot(east - here, north - here) / 10
        return np.abs(here) / np.maximum(slope, 5e-5)

    def river_half_width(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Half the width of a river in metres where one runs, 9 to 30."""
        return 19 + 20 * gradient_noise(self.key("width"), x, y, 6_000).clip(-0.5, 0.55)

    def woods(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """What grows wild: a field whose order of values picks among the patches of a biome."""
        return fractal_noise(self.key("woods"), x, y, 420, 3)

    def urban(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Where people gather: above 0.25 towns grow together."""
        return gradient_noise(self.key("urban"), x, y, 14_000)


@dataclass(frozen=True)
class Waters:
    """Terrain on a pixel grid, H W each.

    Attributes:
        height: Metres above the sea.
        river: Metres from the river bank, negative in the river.
        wild: Rank 0–1 that picks among wild patches.
    """

    height: np.ndarray
    river: np.ndarray
    wild: np.ndarray


def waters(terrain: Terrain, window: Window, pixel_m: float) -> Waters:
    """Fields of `terrain` on the grid of a window, with ragged shores."""
    columns = np.arange(np.floor(window.left / NODE_M) - 1, np.ceil(window.right / NODE_M) + 2)
    rows = np.arange(np.floor(window.bottom / NODE_M) - 1, np.ceil(window.top / NODE_M) + 2)
    x, y = np.meshgrid(columns * NODE_M, rows * NODE_M)
    xs, ys = window.xs(pixel_m), window.ys(pixel_m)
    across, up = xs / NODE_M - columns[0], ys / NODE_M - rows[0]
    column, row = np.floor(across).astype(np.int64), np.floor(up).astype(np.int64)

    def on_grid(nodes: np.ndarray) -> np.ndarray:
        return between(nodes, column, row, across - column, up - row)

    ragged = lattice_noise(hashed(terrain.key("shore")), xs, ys, 15.0)
    ragged += np.float32(0.5) * lattice_noise(hashed(terrain.key("shore"), 1), xs, ys, 5.0)
    height = on_grid(terrain.height(x, y))
    height += np.float32(0.12) * ragged
    height *= np.where(height < 0, np.float32(FALL), np.float32(1))
    river = on_grid(terrain.river(x, y) - terrain.river_half_width(x, y))
    river += np.float32(1.6) * ragged
    wild = on_grid(terrain.woods(x, y))
    wild += np.float32(0.1) * ragged
    return Waters(height, river, rank(wild))


def rank(field: np.ndarray) -> np.ndarray:
    """Share of the world below each value of a three-octave field (a normal of spread 0.33), 0–1."""
    return np.float32(0.5) + np.float32(0.5) * np.tanh(field * np.float32(0.8 / 0.33))
