"""Where sets of places lie: gathered in regions, and on ground that is either learned from or held out for tests."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from skysense_nb.data.synthetic.biomes import BIOMES, biome_ids
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.search import find
from skysense_nb.data.synthetic.window import project, zone_of
from skysense_nb.errors import ParameterError, SceneError

DEGREE_M = 111_320
SQUARE_M = 20_000
HELD_OUT_SHARE = 0.2
"""Every UTM zone is cut into squares of this side, and this share of them, by hash, is held out."""

REGION_RADIUS_M = 30_000
"""Places of a region lie this far to each side of its middle: about one region of the prototypes."""

STRAY_M = 200
"""How far to each side a place lies from the middle of the village, quarry, … it was drawn for."""

YEARS = 2018, 2026
"""Growing years of places: from the first up to, not including, the second."""

ATTEMPTS = 400
"""Spots that are tried before a split is said to have no ground."""


def held_out(spot: tuple[float, float], half_m: float) -> bool | None:
    """Whether all ground within `half_m` to each side of (lon, lat) is held out; None across a border.

    Example:
        >>> held_out((8.5, 47.4), half_m=80)
        False
    """
    zone = zone_of(*spot)
    east, north = ([int((middle + edge) // SQUARE_M) for edge in (-half_m, half_m)] for middle in project(zone, *spot))
    squares = [Dice.of("held out", zone, x, y) for x in east for y in north]
    answers = {square.chance("share", HELD_OUT_SHARE) for square in squares}
    return answers.pop() if len(answers) == 1 else None


@functools.lru_cache(maxsize=1024)
def region_center(seed: int, world: int, number: int) -> tuple[float, float]:
    """Longitude and latitude of the middle of a region, in the biome whose turn it is."""
    dice = Dice.of(seed, "region", number)
    lon, lat = dice.uniform("lon", -178, 178, count=2000), dice.uniform("lat", -50, 68, count=2000)
    first = (biome_ids(world, lon, lat) == number % len(BIOMES)).argmax()
    return float(lon[first]), float(lat[first])


def shifted(spot: tuple[float, float], dice: Dice, reach_m: float) -> tuple[float, float]:
    """(lon, lat) moved by up to `reach_m` to each side."""
    lon, lat = spot
    east, north = (dice.number(f"{axis} {reach_m}", -reach_m, reach_m) for axis in ("east", "north"))
    return lon + east / (DEGREE_M * math.cos(math.radians(lat))), lat + north / DEGREE_M


@dataclass(frozen=True)
class Place:
    """Where and when a scene is: middle in degrees, kind it was drawn for (one of `KINDS`), growing year."""

    lon: float
    lat: float
    kind: str
    year: int


def draw_place(
    seed: int, index: int, kinds: Sequence[str], half_m: float, test: bool, regions: int = 28, world: int = 0
) -> Place:
    """Place `index` of an endless row; the same for everyone.

    Args:
        seed: Which row.
        index: Place in the row.
        kinds: What may be in the middle: the first, or the next ones where a region has no such place.
        half_m: Ground to each side that must be on the same side of the split.
        test: On ground that is held out, or on ground to learn from; they are disjoint whatever the other values are.
        regions: Number of regions in which places gather; biomes take turns.
        world: Seed of the world.

    Raises:
        ParameterError: The regions hold no ground of this split with such a place.

    Example:
        >>> draw_place(0, 3, ["harbour"], half_m=90, test=True).kind
        'harbour'
    """
    number = 0
    for attempt in range(ATTEMPTS):
        dice = Dice.of(seed, "place", index, attempt)
        near = shifted(region_center(seed, world, int(dice.number("region", 0, regions))), dice, REGION_RADIUS_M)
        if held_out(near, half_m) is not test:
            continue
        try:
            spot = shifted(find(world, kinds[number], near), dice, STRAY_M)
        except SceneError:  # no orchard in the far north: the next kind in turn
            number = (number + 1) % len(kinds)
            continue
        if held_out(spot, half_m) is test:
            return Place(*spot, kinds[number], int(dice.number("year", *YEARS)))
    expected, got = (
        f"a place of kind {kinds[0]} on {'held-out' if test else 'training'} ground",
        f"none in {regions} regions",
    )
    raise ParameterError.of(expected, got, "Use more regions, or smaller tiles.")


def places_within(
    bounds: tuple[float, float, float, float], kinds: Sequence[str], count: int, seed: int = 0, world: int = 0
) -> list[Place]:
    """Places inside a square of degrees, such as a region of the prototypes; kinds take turns.

    Args:
        bounds: West, south, east, north in degrees.
        kinds: What may be in the middle, of `PLACES`; those that the ground does not have are left out.
        count: How many.
        seed: Which places.
        world: Seed of the world.

    Raises:
        ParameterError: Fewer places of these kinds than asked for.

    Example:
        >>> [place.kind for place in places_within((20.0, 49.0, 21.0, 49.6), ["village", "forest"], 3)]
        ['village', 'forest', 'village']
    """
    west, south, east, north = bounds
    places: list[Place] = []
    turn = 0
    for attempt in range(ATTEMPTS):
        if len(places) == count:
            return places
        dice = Dice.of(seed, "place within", *(round(1e6 * edge) for edge in bounds), attempt)
        near = dice.number("lon", west, east), dice.number("lat", south, north)
        kind = kinds[turn % len(kinds)]
        try:
            lon, lat = shifted(find(world, kind, near), dice, STRAY_M)
        except SceneError:  # the next kind in turn
            turn += 1
            continue
        if west < lon < east and south < lat < north:
            places.append(Place(lon, lat, kind, int(dice.number("year", *YEARS))))
            turn += 1
    expected = f"{count} places of kind {', '.join(kinds)}"
    raise ParameterError.of(expected, f"{len(places)} in {ATTEMPTS} tries", "Allow more kinds, or a larger square.")
