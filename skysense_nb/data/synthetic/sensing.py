"""From the ground to images: every sensor looks at the same window, tile by tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rasterio.features import rasterize

from skysense_nb.data.synthetic import aerial, classes, labels, radar, sentinel2, spectra, things
from skysense_nb.data.synthetic.spectra import Calendar
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.truth import Ground, fractions
from skysense_nb.data.synthetic.window import HR_PIXEL_M, SENTINEL_PIXEL_M, TRUTH_PIXEL_M, Window

TILE_M = 1280
FLIGHT_TILE_M = 640
"""Windows are worked on in squares of this size, with aerial images in smaller ones, so that memory stays small."""

PIXEL_M = {"hr": HR_PIXEL_M, "s2": SENTINEL_PIXEL_M, "s1": SENTINEL_PIXEL_M}
BANDS = {"hr": (3, np.uint8), "s2": (10, np.int16), "s1": (2, np.float32)}


@dataclass(frozen=True)
class Request:
    """What to look at.

    Attributes:
        seed: Seed of the world.
        window: The window.
        dates: Dates of all three sensors; labels need them even where no image is made.
        modalities: Sensors that make images.
        clouds: False for a sky without clouds.
    """

    seed: int
    window: Window
    dates: dict[str, np.ndarray]
    modalities: tuple[str, ...]
    clouds: bool

    def calendar(self, name: str) -> Calendar:
        """Dates of one sensor with their place in the growing season."""
        return Calendar(self.seed, self.window.zone, self.dates[name])

    @property
    def period(self) -> tuple[int, int]:
        """Days since 1970 of the first and the last image of the sensors asked for."""
        days = np.concatenate([self.calendar(name).days for name in self.modalities])
        return int(days.min()), int(days.max())


@dataclass(frozen=True)
class Look:
    """Images T C H W by sensor, `clear` T H W of Sentinel-2, and label layers by name."""

    images: dict[str, np.ndarray]
    clear: np.ndarray
    layers: dict[str, np.ndarray]


def look(request: Request) -> Look:
    """Makes all images and label layers of a window."""
    window, images = request.window, {}
    for name in request.modalities:
        bands, kind = BANDS[name]
        images[name] = np.zeros((len(request.dates[name]), bands, *window.shape(PIXEL_M[name])), kind)
    clear = np.ones((len(request.dates["s2"]), *window.shape(SENTINEL_PIXEL_M)), bool)
    layers: dict[str, np.ndarray] = {}
    for tile in window.tiles(FLIGHT_TILE_M if "hr" in request.modalities else TILE_M):
        tile_images, tile_clear, tile_layers = look_at_tile(request, tile)
        for name, image in tile_images.items():
            images[name][(..., *tile.inside(window, PIXEL_M[name]))] = image
        clear[(..., *tile.inside(window, SENTINEL_PIXEL_M))] = tile_clear
        for name, layer in tile_layers.items():
            layers.setdefault(name, np.zeros(window.shape(TRUTH_PIXEL_M), layer.dtype))
            layers[name][tile.inside(window, TRUTH_PIXEL_M)] = layer
    return Look(images, clear, layers)


def look_at_tile(request: Request, tile: Window) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    """Images, `clear` and label layers of one tile."""
    terrain = Terrain(request.seed, tile.zone)
    ground = Ground.of(terrain, tile)
    grid, _ = ground.rows(TRUTH_PIXEL_M)
    parts = fractions(grid)
    images = {}
    clear = np.ones((len(request.dates["s2"]), *parts.shape), bool)
    if "s2" in request.modalities:
        calendar = request.calendar("s2")
        table = by_date(ground, parts.rows, calendar, spectra.reflectance)
        images["s2"], clear = sentinel2.series(
            request.seed, tile, parts, table, calendar, request.clouds, ships(ground, calendar)
        )
    if "s1" in request.modalities:
        calendar = request.calendar("s1")
        power = by_date(ground, parts.rows, calendar, radar.backscatter)
        images["s1"] = radar.series(request.seed, tile, parts, power, calendar, ships(ground, calendar))
    if "hr" in request.modalities:
        images["hr"] = flights(request, terrain, tile)
    middle = (len(request.dates["s2"]) - 1) // 2
    season = Calendar(request.seed, tile.zone, request.dates["s2"][middle : middle + 1])
    return images, clear, labels.rasters(ground, grid, *request.period, season)


def by_date(
    ground: Ground, rows: np.ndarray, calendar: Calendar, property_of: Callable[[np.ndarray, Calendar], np.ndarray]
) -> np.ndarray:
    """A property of rows as they are on each date, (rows, T, …), asked once per row and date."""
    now = np.stack([ground.on(int(day))[rows] for day in calendar.days], axis=1)  # rows T
    distinct = np.unique(now)
    table = property_of(ground.facts[distinct], calendar)
    return table[np.searchsorted(distinct, now), np.arange(now.shape[1])]


def ships(ground: Ground, calendar: Calendar) -> np.ndarray:
    """Share of each Sentinel pixel that is covered by ships on each date, (T, H, W)."""
    slots = ground.plan.slots[ground.plan.slots["object"] == classes.SHIP]
    height, width = ground.window.shape(SENTINEL_PIXEL_M)
    share = np.zeros((len(calendar.dates), height, width))
    block = round(SENTINEL_PIXEL_M / TRUTH_PIXEL_M)
    for date, day in enumerate(calendar.days):
        there = things.on_day(slots, int(day), ground.terrain).polygons
        if len(there):
            shape, transform = ground.window.shape(TRUTH_PIXEL_M), ground.window.transform(TRUTH_PIXEL_M)
            fine = rasterize(there, shape, transform=transform, dtype="uint8")
            share[date] = fine.reshape(height, block, width, block).mean((1, 3))
    return share


def flights(request: Request, terrain: Terrain, tile: Window) -> np.ndarray:
    """Aerial images of a tile, T 3 H W."""
    ground = Ground.of(terrain, tile.padded(aerial.MARGIN_M))
    dates = request.dates["hr"]
    return np.stack(
        [
            aerial.render(request.seed, ground, Calendar(request.seed, tile.zone, dates[k : k + 1]), tile)
            for k in range(len(dates))
        ]
    )
