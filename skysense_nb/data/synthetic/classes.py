"""Every class of the synthetic world: id, name, colour, OpenStreetMap tag. Ids never change.

Colours start from the Okabe–Ito and Tol palettes and are those things have in nature where that can be; all of one
table stay apart under colour blindness.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Class:
    """One class of one label layer.

    Attributes:
        id: Value in the label raster or `object_class`.
        name: Lower-case words.
        color: Hex colour for maps and legends.
        tag: OpenStreetMap key=value, empty where none fits.
    """

    id: int
    name: str
    color: str
    tag: str = ""


WATER, BEACH, BARE, GRASS, SHRUB, BROADLEAF, CONIFER, CROPLAND = range(1, 9)
ORCHARD, VINEYARD, GARDEN, BUILDING, ROAD, CAR_PARK, RUNWAY, SOLAR, QUAY = range(9, 18)

LAND_COVER = (
    Class(0, "unlabelled", "#000000"),
    Class(WATER, "water", "#0072B2", "natural=water"),
    Class(BEACH, "beach", "#F2E5A8", "natural=beach"),
    Class(BARE, "bare ground", "#B6A188", "natural=bare_rock"),
    Class(GRASS, "grassland", "#A2D39E", "landuse=meadow"),
    Class(SHRUB, "shrubland", "#93952F", "natural=scrub"),
    Class(BROADLEAF, "broadleaf forest", "#2E8B57", "natural=wood"),
    Class(CONIFER, "conifer forest", "#0C4E38", "landuse=forest"),
    Class(CROPLAND, "cropland", "#E69F00", "landuse=farmland"),
    Class(ORCHARD, "orchard", "#C978A8", "landuse=orchard"),
    Class(VINEYARD, "vineyard", "#7E1C55", "landuse=vineyard"),
    Class(GARDEN, "garden", "#F4FFA3", "leisure=garden"),
    Class(BUILDING, "building", "#D55E00", "building=yes"),
    Class(ROAD, "road", "#605D58", "highway=road"),
    Class(CAR_PARK, "car park", "#A4A3A0", "amenity=parking"),
    Class(RUNWAY, "runway", "#C8DBEF", "aeroway=runway"),
    Class(SOLAR, "solar farm", "#332288", "power=plant"),
    Class(QUAY, "quay", "#8DD7FF", "man_made=pier"),
)

CROPS = (
    Class(0, "no field", "#FFFFFF"),
    Class(1, "winter wheat", "#E69F00"),
    Class(2, "winter barley", "#EFEB5A"),
    Class(3, "rapeseed", "#FFD72C"),
    Class(4, "maize", "#00956A"),
    Class(5, "soybean", "#5EC3FF"),
    Class(6, "sunflower", "#D55E00"),
    Class(7, "sugar beet", "#A64094"),
    Class(8, "potato", "#882255"),
    Class(9, "rice", "#0676B8"),
    Class(10, "cotton", "#BBBDC1"),
    Class(11, "alfalfa", "#4AB09D"),
    Class(12, "sugar cane", "#117733"),
)

AIRPLANE, SHIP, VEHICLE, STORAGE_TANK, SPORTS_FIELD = range(1, 6)

OBJECTS = (
    Class(0, "background", "#000000"),
    Class(AIRPLANE, "airplane", "#56B4E9"),
    Class(SHIP, "ship", "#E69F00"),
    Class(VEHICLE, "vehicle", "#F0E442"),
    Class(STORAGE_TANK, "storage tank", "#CC79A7"),
    Class(SPORTS_FIELD, "sports field", "#009E73", "leisure=pitch"),
)

KINDS = (
    "sea", "coast", "harbour", "fields", "orchard", "forest", "meadow", "village", "city", "industry",
    "airfield", "solar farm", "quarry",
)  # fmt: skip
"""Scene classes: what a cell of the world is used for. The place in this tuple is the id."""

PLACES = (*KINDS, "river")
"""What `World.find` knows."""


def names(classes: tuple[Class, ...]) -> list[str]:
    """Names in the order of ids, for attributes and legends.

    Example:
        >>> names(OBJECTS)[1:3]
        ['airplane', 'ship']
    """
    return [one.name for one in classes]
