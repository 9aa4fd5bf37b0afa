"""Sentinel-1 backscatter: cover, season, viewing geometry, wind, and the speckle of a five-look product."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic import classes, phenology
from skysense_nb.data.synthetic.hashing import Dice, hashed, unit
from skysense_nb.data.synthetic.noise import lattice_noise
from skysense_nb.data.synthetic.spectra import Calendar, covers, moisture
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS, SURFACES
from skysense_nb.data.synthetic.truth import Fractions
from skysense_nb.data.synthetic.window import SENTINEL_PIXEL_M, Window

LOOKS = 5
"""Number of looks: power on even ground is gamma distributed with this shape, independent in VV and VH."""

SWATH_M = 250_000.0
INCIDENCE_DEG = 30.5, 45.5
"""Incidence at the near and the far edge of an interferometric wide swath."""

SOIL_DB = np.array([-13.2, -21.5])
SOIL_WET_DB = np.array([3.2, 2.2])
FLOOD_DB = np.array([-19.0, -27.0])
SHIP_POWER = 10 ** (np.array([9.0, -1.0]) / 10)
HARD = tuple(SURFACE_IDS[name] for name in ("tile roof", "slate roof", "flat roof", "metal roof"))


def ascending(calendar: Calendar) -> np.ndarray:
    """True for evening passes that look east, False for morning passes that look west, (T,)."""
    return Dice.of(calendar.seed, "orbit", calendar.zone, calendar.days // 6).uniform("pass") < 0.5


def incidence_deg(xs: np.ndarray, looks_east: np.ndarray) -> np.ndarray:
    """Incidence angle per date and column, (T, W): it grows away from the satellite."""
    share = np.mod(xs / SWATH_M, 1.0)
    near, far = INCIDENCE_DEG
    return near + (far - near) * np.where(looks_east[:, None], share[None], 1 - share[None])


def backscatter(facts: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Mean backscatter of rows on dates at mid swath, linear power, (N, T, 2) for VV and VH."""
    plants, crop = covers(facts, calendar)
    dice = Dice.of(facts["key"], "echo")
    full = np.array([one.radar_db for one in SURFACES])[facts["surface"]][:, None].repeat(len(calendar.dates), 1)
    for index, growth in enumerate(phenology.CROP_GROWTH):
        if growth.radar_db is not None:
            full[crop == index] = growth.radar_db
    living = np.array([one.growth is not None for one in SURFACES])[facts["surface"]]
    soil = SOIL_DB + SOIL_WET_DB * moisture(calendar)[:, None]
    volume = np.clip(plants.green + plants.flower + 0.35 * plants.dry, 0, 1)
    wooded = np.isin(facts["cover"], [classes.BROADLEAF, classes.CONIFER, classes.ORCHARD])
    volume = np.where(wooded[:, None], 0.75 + 0.25 * volume, volume)[..., None]
    alive = volume * full + (1 - volume) * soil
    alive = (1 - plants.flood[..., None]) * alive + plants.flood[..., None] * FLOOD_DB
    level = np.where(living[:, None, None], alive, full)
    level = level + dice.normal("level", 0.5)[:, None, None] + double_bounce(facts, calendar)[..., None]
    water = (facts["cover"] == classes.WATER) & (facts["surface"] != SURFACE_IDS["pool"])
    level[water] += wind_db(calendar)[:, None]
    return 10 ** (level / 10)


def double_bounce(facts: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Extra decibels (N, T) of walls that face the satellite, whose tracks lean 12° from north."""
    track = np.deg2rad(np.where(ascending(calendar), 90 + 12, 90 - 12))
    off = np.abs(np.mod(facts["angle"][:, None] - track[None] + np.pi / 4, np.pi / 2) - np.pi / 4)
    tall = np.isin(facts["surface"], HARD) & (facts["height"] > 0)
    return np.where(tall[:, None], 5.5 * np.exp(-((off / 0.22) ** 2)) - 1.0, 0.0)


def wind_db(calendar: Calendar) -> np.ndarray:
    """Change of the water's backscatter with the wind of the day, decibels (T,)."""
    return Dice.of(calendar.seed, "wind", calendar.zone, calendar.days).uniform("speed", -6.5, 3.5)


def speckle(key: np.ndarray, window: Window) -> np.ndarray:
    """Gamma distributed factors of mean 1 and shape `LOOKS` per pixel, (H, W)."""
    columns, rows = window.columns(SENTINEL_PIXEL_M), window.rows(SENTINEL_PIXEL_M)
    product = np.ones((len(rows), len(columns)))
    for look in range(LOOKS):
        bits = hashed(key, look, rows[:, None], columns[None, :])
        product *= unit(bits) + 2.0**-25
    return -np.log(product) / LOOKS


def series(seed: int, window: Window, parts: Fractions, power: np.ndarray, calendar: Calendar,
           ships: np.ndarray) -> np.ndarray:  # fmt: skip
    """Images of a window.

    Args:
        seed: Seed of the world.
        window: The window.
        parts: Shares of rows per pixel.
        power: Backscatter of those rows, (rows, T, 2).
        calendar: Dates.
        ships: Share of each pixel under ships, T H W.

    Returns:
        T 2 H W, dB, float32.
    """
    mean = parts.mix(power).transpose(2, 3, 0, 1)  # T 2 H W
    mean = mean + ships[:, None] * SHIP_POWER[:, None, None]
    xs, ys = window.xs(SENTINEL_PIXEL_M), window.ys(SENTINEL_PIXEL_M)
    angle = incidence_deg(xs, ascending(calendar))
    trend = (np.cos(np.deg2rad(angle)) / np.cos(np.deg2rad(38.0))) ** 2.2
    texture = 10 ** (0.05 * lattice_noise(hashed(seed, "radar texture", window.zone), xs, ys, 45.0).astype(float))
    images = mean * trend[:, None, None, :] * texture
    for date, day in enumerate(calendar.days):
        for band in range(2):
            images[date, band] *= speckle(hashed(seed, "speckle", window.zone, int(day), band), window)
    return (10 * np.log10(np.maximum(images, 1e-6))).astype(np.float32)
