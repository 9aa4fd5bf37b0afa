"""Optical reflectance of rows on dates, for Sentinel-2 and, through its visible bands, for the aerial image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skysense_nb.data.synthetic import classes, phenology, surfaces
from skysense_nb.data.synthetic.biomes import BIOMES
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.surfaces import SURFACES

CROP, SEA = (surfaces.SURFACE_IDS[name] for name in ("crop", "sea"))
DEEP = np.array([0.034, 0.031, 0.012, 0.008, 0.006, 0.005, 0.004, 0.004, 0.003, 0.002])
ATTENUATION = np.array([0.15, 0.14, 0.5, 0.8, 2.5, 2.5, 3.0, 4.0, 20.0, 30.0])
"""Two-way loss of light per metre of coastal water."""


@dataclass(frozen=True)
class Calendar:
    """Dates of one sensor as the plants of one zone see them.

    Attributes:
        seed: Seed of the world.
        zone: UTM zone.
        dates: Acquisitions, datetime64.
    """

    seed: int
    zone: int
    dates: np.ndarray

    @property
    def days(self) -> np.ndarray:
        """Days since 1970."""
        return self.dates.astype("datetime64[D]").astype(int)

    @property
    def season_days(self) -> np.ndarray:
        """Days since 1970, moved by half a year on the southern hemisphere."""
        return self.days + (182 if self.zone >= 32700 else 0)

    @property
    def years(self) -> np.ndarray:
        """Growing year of each date."""
        return self.season_days.astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970

    @property
    def day_of_year(self) -> np.ndarray:
        """Day of the growing year, 1 to 366."""
        return (
            self.season_days
            - self.season_days.astype("datetime64[D]").astype("datetime64[Y]").astype("datetime64[D]").astype(int)
            + 1
        )


def crops(facts: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Crop id of rows in each year (N, T), 0 where nothing is sown; fields change crop from year to year."""
    grown = np.zeros((len(facts), len(years)), np.int64)
    for column, year in enumerate(years):
        dice = Dice.of(facts["key"], "crop", int(year))
        for index, biome in enumerate(BIOMES):
            here = (facts["biome"] == index) & (facts["cover"] == classes.CROPLAND)
            ids = np.array(list(biome.crops))
            grown[here, column] = ids[dice.choice("kind", list(biome.crops.values()))[here]]
    return grown


def local_days(facts: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Day of the northern year that the plants of each row feel on each date, (N, T)."""
    late = np.array([biome.wet_season for biome in BIOMES])[facts["biome"]]
    loose = np.array([1 - biome.seasonality for biome in BIOMES])[facts["biome"]]
    shift = np.zeros((len(facts), len(calendar.dates)))
    for column, year in enumerate(calendar.years):
        weather = Dice.of(calendar.seed, "weather", calendar.zone, int(year)).normal("early", 5.0)
        own = Dice.of(facts["key"], "early", int(year)).normal("days", 1.0)
        shift[:, column] = late + weather + own * (7.0 + 25.0 * loose)
    return calendar.day_of_year[None, :] - shift


def covers(facts: np.ndarray, calendar: Calendar) -> tuple[phenology.Cover, np.ndarray]:
    """Ground cover (N, T) of rows on dates, and the crop ids (N, T)."""
    day, crop = local_days(facts, calendar), crops(facts, calendar.years)
    leafless = np.array([biome.seasonality for biome in BIOMES])[facts["biome"]]
    total = phenology.Cover(*(np.zeros(day.shape) for _ in range(4)))
    groups = [(growth, crop == index) for index, growth in enumerate(phenology.CROP_GROWTH) if index]
    groups += [
        (surface.growth, np.broadcast_to((facts["surface"] == index)[:, None], day.shape))
        for index, surface in enumerate(SURFACES)
        if surface.growth is not None and index != CROP
    ]
    for growth, here in groups:
        if here.any():
            row, _ = np.nonzero(here)
            part = phenology.cover(growth, day[here], leafless=np.maximum(leafless[row], growth.tilled < 366))
            for name in ("green", "dry", "flower", "flood"):
                getattr(total, name)[here] = getattr(part, name)
    return total, crop


def reflectance(facts: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Reflectance of rows on dates.

    Args:
        facts: Rows (N,).
        calendar: Dates (T,).

    Returns:
        N T 10, reflectance 0–1 in the band order of Sentinel-2.
    """
    plants, crop = covers(facts, calendar)
    dice = Dice.of(facts["key"], "look")
    optical, litter = (np.array([getattr(one, name) for one in SURFACES]) for name in ("optical", "litter"))
    spread = np.array([one.spread for one in SURFACES])[facts["surface"]]
    living = np.array([one.growth is not None for one in SURFACES])[facts["surface"]]
    leaf = optical[facts["surface"]] * leaf_tint(dice)
    soil = np.array([surfaces.soil_color(biome.soil) for biome in BIOMES])[facts["biome"]]
    soil = soil * (1 + dice.normal("soil", 0.1))[:, None]
    wet = 1 - 0.22 * moisture(calendar)
    flower = np.where((crop == 3)[..., None], surfaces.RAPE_FLOWER, surfaces.SUNFLOWER_HEAD)
    open_soil = np.clip(1 - plants.green - plants.dry - plants.flower - plants.flood, 0, 1)
    mixed = (
        plants.green[..., None] * leaf[:, None]
        + plants.dry[..., None] * litter[facts["surface"]][:, None]
        + plants.flower[..., None] * flower
        + plants.flood[..., None] * np.array(surfaces.FLOOD)
        + (open_soil * wet)[..., None] * soil[:, None]
    )
    dead = np.where((facts["surface"] == surfaces.SURFACE_IDS["soil"])[:, None], soil, optical[facts["surface"]])
    table = np.where(living[:, None, None], mixed, np.broadcast_to(dead[:, None], mixed.shape))
    table = table * np.exp(spread * dice.normal("tone"))[:, None, None]
    water = facts["surface"] == SEA
    table[water] = sea_color(-facts["height"][water])[:, None]
    return table


def leaf_tint(dice: Dice) -> np.ndarray:
    """Factor (N, 10) by which the leaves of one field differ from those of the next."""
    visible, infrared = 1 + dice.normal("visible", 0.1), 1 + dice.normal("infrared", 0.05)
    return np.stack([visible] * 4 + [infrared] * 4 + [1 + dice.normal("water", 0.06)] * 2, -1)


def moisture(calendar: Calendar) -> np.ndarray:
    """How wet bare soil is on each date, 0–1, one value per zone."""
    return Dice.of(calendar.seed, "rain", calendar.zone, calendar.days).uniform("wet")


def sea_color(depth_m: np.ndarray) -> np.ndarray:
    """Reflectance (N, 10) of sea over a sandy bottom."""
    sand = np.array(SURFACES[surfaces.SURFACE_IDS["sand"]].optical)
    seen = np.exp(-ATTENUATION * np.maximum(depth_m, 0.05)[:, None])
    return DEEP * (1 - seen) + 0.55 * sand * seen


def haze(calendar: Calendar) -> np.ndarray:
    """What the atmospheric correction leaves over, a factor per date."""
    return 1 + 0.02 * Dice.of(hashed(calendar.seed, calendar.zone), "haze", calendar.days).normal("left")
