"""Sentinel-2 series: cover fractions mixed into spectra, then unevenness, clouds, shadow and noise."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic import clouds
from skysense_nb.data.synthetic.hashing import hashed, unit
from skysense_nb.data.synthetic.noise import lattice_noise
from skysense_nb.data.synthetic.spectra import Calendar, haze
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS, SURFACES
from skysense_nb.data.synthetic.truth import Fractions
from skysense_nb.data.synthetic.window import SENTINEL_PIXEL_M, Window

SKYLIGHT = np.array([0.62, 0.55, 0.48, 0.44, 0.41, 0.39, 0.38, 0.37, 0.3, 0.27])
"""Share of the light that still arrives in the shadow of a cloud."""

STEEL = np.array(SURFACES[SURFACE_IDS["steel"]].optical)


def mottle(seed: int, zone: int, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Unevenness of soil and growth inside every cover: factors H W around 1, the same for both optical sensors."""
    key = hashed(seed, "mottle", zone)
    factor = np.float32(0.06) * lattice_noise(key, xs, ys, 95.0)
    factor += np.float32(0.05) * lattice_noise(hashed(key, 1), xs, ys, 31.0)
    factor += np.float32(1)
    return factor


def series(seed: int, window: Window, parts: Fractions, table: np.ndarray, calendar: Calendar,
           cloudy: bool, ships: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Images of a window.

    Args:
        seed: Seed of the world.
        window: The window.
        parts: Shares of rows per pixel.
        table: Reflectance of those rows, (rows, T, 10).
        calendar: Dates.
        cloudy: False for a sky without clouds.
        ships: Share of each pixel under ships, T H W.

    Returns:
        T 10 H W, int16, reflectance × 10,000; and T H W, True where the ground is seen.
    """
    xs, ys = window.xs(SENTINEL_PIXEL_M), window.ys(SENTINEL_PIXEL_M)
    images = parts.mix(table).transpose(2, 3, 0, 1) * mottle(seed, window.zone, xs, ys)  # T 10 H W
    images += ships[:, None] * (STEEL[:, None, None] - images)
    images *= haze(calendar)[:, None, None, None]
    clear = np.ones((len(images), *parts.shape), bool)
    columns, rows = window.columns(SENTINEL_PIXEL_M), window.rows(SENTINEL_PIXEL_M)
    for date, day in enumerate(calendar.days):
        if cloudy:
            sun = clouds.Sun.at(window.zone, calendar.day_of_year[date])
            cloud, shadow = clouds.over(seed, window, int(day), sun)
            images[date] *= 1 - shadow * (1 - SKYLIGHT[:, None, None])
            images[date] += cloud * (clouds.CLOUD[:, None, None] - images[date])
            clear[date] = (cloud < clouds.SEEN_BELOW) & (shadow < clouds.SEEN_BELOW)
        for band in range(images.shape[1]):
            bits = hashed(seed, "noise", window.zone, int(day), band, rows[:, None], columns[None, :])
            images[date, band] *= 1 + 0.03 * (unit(bits) - 0.5)
            images[date, band] += 0.004 * (unit(bits << np.uint64(24)) - 0.5)
    return np.clip(np.round(images * 10_000), 1, 20_000).astype(np.int16), clear
