"""Biomes: what grows, how people farm and build, and how often it is cloudy, by latitude and region."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from skysense_nb.data.synthetic.noise import gradient_noise

WHEAT, BARLEY, RAPE, MAIZE, SOY, SUNFLOWER, BEET, POTATO, RICE, COTTON, ALFALFA, CANE = range(1, 13)


@dataclass(frozen=True, eq=False)
class Biome:
    """Parameters of one biome.

    Attributes:
        crops: Share of each crop id among the fields.
        field_m: Typical width and length of a parcel in metres.
        hedges: Share of field borders with a hedge.
        pivots: Share of parcels irrigated by a centre pivot (a circle).
        wood: Shares of broadleaf, conifer, shrub, grass and bare patches where nothing is farmed.
        soil: Soil colour between dark brown 0, red 1 and pale sand 2.
        roofs: Shares of red tile, slate, flat, sheet metal.
        lot_m: Width of a house lot.
        trees: Density of garden and roadside trees, 0–1.
        pools: Share of lots with a swimming pool.
        cloudiness: Mean cloud cover of a date, 0–1.
        wet_season: Days by which the growing season starts later than in the temperate north.
        seasonality: 1 for a hard winter, 0 for growth all year.
        evergreen: Share of broadleaf trees that keep their leaves.
        uses: Weights of the kinds of land use, as far as they differ from the default.
    """

    name: str
    crops: dict[int, float]
    field_m: tuple[float, float]
    hedges: float
    pivots: float
    wood: tuple[float, float, float, float, float]
    soil: float
    roofs: tuple[float, float, float, float]
    lot_m: float
    trees: float
    pools: float
    cloudiness: float
    wet_season: float
    seasonality: float
    evergreen: float
    uses: dict[str, float] = field(default_factory=dict)


BIOMES = (
    Biome(
        "temperate", {WHEAT: 4, BARLEY: 2.5, RAPE: 2, MAIZE: 3, BEET: 1.5, POTATO: 1.2, ALFALFA: 1},
        (85, 210), 0.35, 0.0, (0.48, 0.34, 0.06, 0.12, 0.0), 0.15, (0.62, 0.25, 0.08, 0.05), 22, 0.5, 0.03,
        0.55, 0, 0.9, 0.05,
    ),
    Biome(
        "prairie", {MAIZE: 4, SOY: 4, WHEAT: 2.5, SUNFLOWER: 1.2, ALFALFA: 1},
        (260, 400), 0.06, 0.12, (0.3, 0.04, 0.16, 0.5, 0.0), 0.0, (0.05, 0.6, 0.15, 0.2), 30, 0.4, 0.06,
        0.45, 8, 1.0, 0.0, {"forest": 0.05, "orchard": 0.02, "fields": 0.65},
    ),
    Biome(
        "mediterranean", {WHEAT: 3, BARLEY: 2, SUNFLOWER: 2, ALFALFA: 1.5, MAIZE: 1, COTTON: 0.8},
        (55, 110), 0.12, 0.0, (0.14, 0.2, 0.42, 0.18, 0.06), 0.95, (0.8, 0.02, 0.16, 0.02), 18, 0.35, 0.25,
        0.28, -28, 0.45, 0.8, {"orchard": 0.22, "fields": 0.3, "forest": 0.14},
    ),
    Biome(
        "arid", {WHEAT: 2, COTTON: 3, ALFALFA: 3, MAIZE: 1.5},
        (190, 190), 0.0, 0.8, (0.0, 0.0, 0.16, 0.1, 0.74), 1.75, (0.05, 0.0, 0.9, 0.05), 16, 0.12, 0.05,
        0.1, -35, 0.3, 1.0, {"forest": 0.0, "orchard": 0.05, "fields": 0.25, "meadow": 0.4},
    ),
    Biome(
        "monsoon", {RICE: 6, CANE: 1.5, COTTON: 1.2, MAIZE: 1.2, SOY: 1},
        (34, 60), 0.08, 0.0, (0.62, 0.05, 0.2, 0.13, 0.0), 0.5, (0.3, 0.12, 0.38, 0.2), 13, 0.55, 0.0,
        0.55, 25, 0.35, 0.75, {"orchard": 0.1, "fields": 0.5},
    ),
    Biome(
        "tropical", {CANE: 3, RICE: 2, MAIZE: 2.5, SOY: 2.5, COTTON: 1},
        (90, 130), 0.15, 0.0, (0.84, 0.0, 0.1, 0.06, 0.0), 1.1, (0.25, 0.05, 0.15, 0.55), 20, 0.65, 0.02,
        0.65, 30, 0.1, 1.0, {"forest": 0.4, "fields": 0.28},
    ),
    Biome(
        "boreal", {BARLEY: 4, ALFALFA: 3, POTATO: 1, RAPE: 1, WHEAT: 0.8},
        (80, 150), 0.2, 0.0, (0.16, 0.7, 0.06, 0.08, 0.0), 0.2, (0.12, 0.3, 0.1, 0.48), 30, 0.6, 0.0,
        0.6, 18, 1.0, 0.0, {"forest": 0.55, "fields": 0.17, "orchard": 0.0},
    ),
)  # fmt: skip

NAMES = tuple(biome.name for biome in BIOMES)


def biome_ids(seed: int, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Index into `BIOMES` for places in degrees; borders wander by a few degrees with the seed."""
    sway = 4 * gradient_noise(seed, np.asarray(lon), np.asarray(lat), 9.0)
    height, east = np.abs(lat) + sway, np.asarray(lon) + sway
    plains = ((east > -108) & (east < -82)) | ((east > 32) & (east < 85))
    monsoon = (east > 68) & (east < 130) & (height < 34)
    dry_west = ((east > -12) & (east < 42)) | (east < -112) | ((np.asarray(lat) < 0) & (east > 15))
    rules = (
        (height > 57, "boreal"),
        (monsoon & (height > 7), "monsoon"),
        (height < 15, "tropical"),
        (height < 31, "arid"),
        ((height < 43) & dry_west, "mediterranean"),
        (plains, "prairie"),
    )
    return np.select([rule for rule, _ in rules], [NAMES.index(name) for _, name in rules], NAMES.index("temperate"))
