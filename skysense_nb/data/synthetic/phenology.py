"""The course of the year: how much of the ground is green, dry, in flower or under water on a day.

Greenness follows a double logistic curve, the usual description of a vegetation season (Beck et al., Remote
Sensing of Environment 2006), shifted per region, per year and per parcel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Growth:
    """One season in the temperate north.

    Attributes:
        winter: Green cover outside the season, 0–1.
        start: Day of year of steepest greening.
        rise: Steepness of greening per day.
        end: Day of year of steepest decline.
        fall: Steepness of decline per day.
        peak: Green cover at the height of the season, 0–1.
        dry: Share of the lost green that stays as straw or dead leaves until `tilled`.
        tilled: Day of year when the soil is turned, 366 for never.
        sown: Day of year when the next crop greens up in autumn, 366 for never.
        flower: Middle day and strength 0–1 of flowering that shows from above.
        flood: First and last day under water.
        cuts: Days of mowing.
        second: Days to a second season in the same year, 0 for none.
        row_m: Distance of plant rows in metres, 0 where none shows.
        radar_db: VV and VH at full canopy where the crop differs from the average one.
    """

    winter: float
    start: float
    rise: float
    end: float
    fall: float
    peak: float
    dry: float = 0.0
    tilled: float = 366.0
    sown: float = 366.0
    flower: tuple[float, float] = (0.0, 0.0)
    flood: tuple[float, float] = (400.0, 400.0)
    cuts: tuple[float, ...] = ()
    second: float = 0.0
    row_m: float = 0.0
    radar_db: tuple[float, float] | None = None


CROP_GROWTH = (
    Growth(0.05, 100, 0.05, 290, 0.05, 0.3),
    Growth(0.28, 88, 0.07, 186, 0.11, 0.93, 0.8, 255, 288, radar_db=(-14.2, -18.2)),
    Growth(0.3, 82, 0.07, 164, 0.11, 0.91, 0.8, 240, 280, radar_db=(-13.4, -17.6)),
    Growth(0.42, 76, 0.07, 181, 0.10, 0.93, 0.55, 235, 262, flower=(121, 0.85), radar_db=(-9.6, -13.6)),
    Growth(0.02, 158, 0.09, 266, 0.10, 0.94, 0.6, 290, row_m=0.75, radar_db=(-9.2, -14.4)),
    Growth(0.02, 166, 0.09, 254, 0.13, 0.93, 0.4, 285, row_m=0.6, radar_db=(-10.8, -16.8)),
    Growth(0.02, 143, 0.09, 237, 0.10, 0.9, 0.5, 275, flower=(195, 0.7), row_m=0.7, radar_db=(-9.8, -15.0)),
    Growth(0.02, 150, 0.08, 296, 0.16, 0.95, 0.15, 305, row_m=0.5, radar_db=(-10.0, -14.8)),
    Growth(0.02, 146, 0.10, 231, 0.12, 0.92, 0.35, 262, row_m=0.9, radar_db=(-9.6, -15.4)),
    Growth(0.04, 170, 0.09, 262, 0.11, 0.93, 0.5, 300, flood=(128, 178), radar_db=(-9.4, -16.4)),
    Growth(0.02, 164, 0.08, 276, 0.07, 0.87, 0.6, 320, flower=(262, 0.25), row_m=0.9, radar_db=(-10.2, -15.8)),
    Growth(0.42, 78, 0.07, 312, 0.06, 0.93, cuts=(138, 178, 218, 262)),
    Growth(0.55, 120, 0.05, 340, 0.07, 0.94, 0.4, 366, row_m=1.4, radar_db=(-8.4, -13.2)),
)
"""Growth per crop id; entry 0 is fallow."""


@dataclass(frozen=True)
class Cover:
    """Shares of the ground, all shape (N, T): green plants, dead plants, flowers, water; the rest is soil."""

    green: np.ndarray
    dry: np.ndarray
    flower: np.ndarray
    flood: np.ndarray


def logistic(x: np.ndarray) -> np.ndarray:
    """Smooth step from 0 to 1."""
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def cover(growth: Growth, day: np.ndarray, *, leafless: float = 1.0) -> Cover:
    """Ground cover on given days.

    Args:
        growth: The season.
        day: Day of the northern year after all shifts, (N, T), any real number.
        leafless: 1 for a hard winter, 0 where plants stay green all year.

    Returns:
        Shares (N, T).
    """
    day = np.mod(day, 365.0)
    green, dry = season(growth, day)
    if growth.second:
        again, dry_again = season(growth, np.mod(day - growth.second, 365.0))
        green, dry = np.maximum(green, again), np.minimum(dry, dry_again)
    for cut in growth.cuts:
        since = np.mod(day - cut, 365.0)
        mown = np.where(since < 60, np.exp(-since / 16.0), 0.0)
        green, dry = green * (1 - 0.62 * mown), np.maximum(dry, 0.3 * mown)
    green = green + (1 - leafless) * np.maximum(0, 0.85 * growth.peak - green) * (growth.tilled > 365)
    middle, strength = growth.flower
    flower = strength * np.exp(-(((day - middle) / 11.0) ** 2)) * green
    first, last = growth.flood
    flood = logistic((day - first) / 2) * logistic((last - day) / 6) * (1 - green)
    return Cover(green - flower, np.minimum(dry, 1 - green) * (1 - flood), flower, flood)


def season(growth: Growth, day: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Green and dry cover of a single season."""
    grown = logistic(growth.rise * (day - growth.start))
    gone = logistic(growth.fall * (day - growth.end))
    rest = growth.winter * (logistic(0.1 * (day - growth.sown)) if growth.tilled < 366 else 1.0)
    green = (growth.winter + (growth.peak - growth.winter) * grown) * (1 - gone) + rest * gone
    dry = growth.dry * gone * grown * (1 - logistic(0.2 * (day - growth.tilled)))
    return green, dry
