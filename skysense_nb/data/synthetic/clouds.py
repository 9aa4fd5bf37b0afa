"""Clouds and their shadows: cover per date and region, soft edges, and the truth where the ground is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from skysense_nb.data.synthetic.biomes import BIOMES, biome_ids
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.noise import fractal_noise, gradient_noise
from skysense_nb.data.synthetic.window import SENTINEL_PIXEL_M, Window, geographic

CLOUD = np.array([0.62, 0.61, 0.62, 0.63, 0.64, 0.65, 0.65, 0.66, 0.48, 0.38])
REGION_M = 20_480.0
"""Squares of one cloudiness climate, within which the dates of a scene are chosen together."""

SEEN_BELOW = 0.12
"""Cloud opacity or shadow depth up to which a pixel counts as clear."""

SPREAD = 0.31
"""Standard deviation of the cloud field."""


@dataclass(frozen=True)
class Sun:
    """Direction to the sun: azimuth clockwise from north and elevation, degrees."""

    azimuth_deg: float
    elevation_deg: float

    @classmethod
    def at(cls, zone: int, day_of_season: float) -> Sun:
        """The sun in the middle of the morning; one direction per date and hemisphere, so that tiles agree."""
        elevation = 46 + 13 * np.cos(2 * np.pi * (day_of_season - 172) / 365)
        return cls(148.0 if zone < 32700 else 32.0, float(elevation))

    @property
    def shadow(self) -> np.ndarray:
        """East and north components of the shadow of a mast of 1 m, in metres."""
        azimuth, elevation = np.deg2rad([self.azimuth_deg, self.elevation_deg])
        return -np.array([np.sin(azimuth), np.cos(azimuth)]) / np.tan(elevation)


def cloudiness(seed: int, zone: int, x: float, y: float) -> float:
    """Mean cloud cover of the climate in the region of a point."""
    column, row = np.floor(x / REGION_M), np.floor(y / REGION_M)
    lon, lat = geographic(zone, (column + 0.5) * REGION_M, (row + 0.5) * REGION_M)
    return BIOMES[int(biome_ids(seed, np.array([lon]), np.array([lat]))[0])].cloudiness


def coverage(seed: int, zone: int, day: int, x: np.ndarray, y: np.ndarray, climate: float) -> np.ndarray:
    """Share of sky under cloud around points on a day, 0–1: most days are either fair or dull."""
    weather = float(Dice.of(seed, "sky", zone, int(day)).normal("fronts", 0.9)[0])
    local = 2.2 * gradient_noise(hashed(seed, "front", zone, int(day)), x, y, 90_000)
    return 1 / (1 + np.exp(-(1.6 * (weather + local) + np.log(climate / (1 - climate)) - 0.3)))


def density(seed: int, zone: int, day: int, x: np.ndarray, y: np.ndarray, climate: float) -> np.ndarray:
    """Opacity of the clouds above points on a day, 0–1."""
    cover = np.clip(coverage(seed, zone, day, x, y, climate), 0.002, 0.998)
    key = int(hashed(seed, "cloud", zone, int(day))[0])
    field = fractal_noise(key, x, y, 1_900, 6) / SPREAD
    return np.clip((field + ndtri(cover)) / 0.55, 0, 1) ** 0.8


def over(seed: int, window: Window, day: int, sun: Sun) -> tuple[np.ndarray, np.ndarray]:
    """Opacity of cloud and depth of cloud shadow in the Sentinel-2 pixels of a window, H W each, 0–1."""
    x, y = np.meshgrid(window.xs(SENTINEL_PIXEL_M), window.ys(SENTINEL_PIXEL_M))
    climate = climate_field(seed, window.zone, x, y)
    base_m = Dice.of(seed, "ceiling", window.zone, int(day)).number("height", 700, 2200)
    east, north = np.round(base_m * sun.shadow / SENTINEL_PIXEL_M) * SENTINEL_PIXEL_M
    cloud = density(seed, window.zone, day, x, y, climate)
    above = density(seed, window.zone, day, x - east, y - north, climate)
    return cloud, above * (1 - cloud)


def climate_field(seed: int, zone: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Climate of the regions that a grid touches, (H, W)."""
    column, row = np.floor(x / REGION_M), np.floor(y / REGION_M)
    field = np.zeros(x.shape)
    for c in np.unique(column):
        for r in np.unique(row):
            field[(column == c) & (row == r)] = cloudiness(seed, zone, (c + 0.5) * REGION_M, (r + 0.5) * REGION_M)
    return field
