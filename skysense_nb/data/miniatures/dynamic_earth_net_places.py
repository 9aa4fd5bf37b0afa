"""DynamicEarthNet of many places: every cube is 192 m of ground, seen by Planet at 3 m as it looks from above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from affine import Affine
from PIL import Image

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.miniatures.dynamic_earth_net_files import (
    PIXEL_M,
    SIDE,
    SNOW,
    WEEKLY,
    Cube,
    class_ids,
    list_line,
    write_label,
    write_lists,
    write_planet,
    write_s1,
    write_s2,
)
from skysense_nb.data.miniatures.places import scenes, split_of
from skysense_nb.data.synthetic.light import GAMMA, WHITE_REFLECTANCE
from skysense_nb.data.synthetic.window import HR_PIXEL_M, SENTINEL_PIXEL_M, TRUTH_PIXEL_M

KINDS = ("city", "fields", "forest", "coast", "quarry", "village", "river", "industry", "meadow", "harbour")
PLACE_M = 200
"""Side of a scene; a cube is its upper left 192 m."""

S2_BLUE, S2_GREEN, S2_RED, S2_NEAR_INFRARED = 0, 1, 2, 6


def write_places(folder: Path, seed: int, sensors: tuple[str, ...], count: int) -> dict[str, Record]:
    """Cubes of one month in 2018 and one in 2019, between which a little changes; Planet on six days of each."""
    truth: dict[str, Record] = {}
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    options = {
        "modalities": tuple(dict.fromkeys(("s2", *sensors))),  # what is infrared in Planet comes from Sentinel-2
        "clouds": False,
        "hr_dates": lambda number: [f"{month}-01" for month in months_of(seed, number)],
        "s2_dates": lambda number: days_of(months_of(seed, number), WEEKLY if "hr" in sensors else (1,)),
        "s1_dates": lambda number: [f"{month}-01" for month in months_of(seed, number)],
    }
    for number, (_, scene) in enumerate(scenes(KINDS, seed, count, PLACE_M, **options)):
        code = scene["s2"]["image"].rio.crs.to_epsg()
        zone = f"{code % 100}{'N' if code < 32700 else 'S'}"
        cube = Cube(f"{1000 + number}_{2000 + number}_13", zone, split_of(number, len(KINDS)), f"{zone}-L3H-SR")
        for month in months_of(seed, number):
            lists[cube.split].append(list_line(cube, month))
            record = write_month(folder, cube, month, scene, sensors)
            truth[record["id"]] = record
    write_lists(folder, lists)
    return truth


def write_month(folder: Path, cube: Cube, month: str, scene: xr.DataTree, sensors: tuple[str, ...]) -> Record:
    """All files of a month; its record."""
    image, first = scene["s2"]["image"], f"{month}-01"
    left, _, _, top = image.rio.bounds()
    footprint = {"crs": image.rio.crs, "transform": Affine(PIXEL_M, 0, left, 0, -PIXEL_M, top)}
    record = {"id": f"{cube.id}_{month}", **footprint}
    if "hr" in sensors:
        record |= write_planet(folder, cube, month, planet(scene, month), footprint)
    if "s2" in sensors:
        record |= write_s2(folder, cube, month, whole(at_3_m(on(image, first), SENTINEL_PIXEL_M)), footprint)
    if "s1" in sensors:
        record |= write_s1(folder, cube, month, at_3_m(on(scene["s1"]["image"], first), SENTINEL_PIXEL_M), footprint)
    return record | write_label(folder, cube, month, class_of_most(cover_on(scene["labels"], first)), footprint)


def months_of(seed: int, number: int) -> tuple[str, str]:
    """Any month of each of the two years that the real cubes span."""
    one, other = np.random.default_rng([seed, number]).integers(1, 13, 2)
    return f"2018-{one:02d}", f"2019-{other:02d}"


def days_of(months: tuple[str, ...], days: tuple[int, ...]) -> list[str]:
    """Days of months.

    Example:
        >>> days_of(("2018-02", "2019-11"), (1, 25))
        ['2018-02-01', '2018-02-25', '2019-11-01', '2019-11-25']
    """
    return [f"{month}-{day:02d}" for month in months for day in days]


def on(image: xr.DataArray, day: str) -> np.ndarray:
    """The image of a day, C H W."""
    return image.sel(time=day).values.reshape(image.shape[1:])


def planet(scene: xr.DataTree, month: str) -> dict[int, np.ndarray]:
    """B G R NIR of six days, 4 H W uint16, reflectance × 10,000.

    Colours are those of the aerial image of the first of the month, without the tone curve of its camera and averaged
    to 3 m; brighter than 33 % is cut off, as there. From day to day they follow Sentinel-2, which also gives the near
    infrared, so that this is not as sharp.
    """
    shown = on(scene["hr"]["image"], f"{month}-01").astype(np.float32) / 255
    sharp = at_3_m(10_000 * WHITE_REFLECTANCE * shown ** (1 / GAMMA), HR_PIXEL_M)[::-1]
    bands = [S2_BLUE, S2_GREEN, S2_RED, S2_NEAR_INFRARED]
    by_day = {day: at_3_m(on(scene["s2"]["image"], f"{month}-{day:02d}")[bands], SENTINEL_PIXEL_M) for day in WEEKLY}
    return {
        day: whole(np.concatenate([sharp * coarse[:3] / by_day[1][:3], coarse[3:]])).astype(np.uint16)
        for day, coarse in by_day.items()
    }


def cover_on(labels: xr.Dataset, day: str) -> np.ndarray:
    """Land cover on a day between the first and the last image."""
    later = labels["change_date"].values > np.datetime64(day)
    return np.where(later, labels["change_from"].values, labels["land_cover"].values)


def class_of_most(cover: np.ndarray) -> np.ndarray:
    """The class that covers most of each pixel of 3 m."""
    ids = class_ids(cover)
    return at_3_m(np.stack([ids == one for one in range(SNOW)]), TRUTH_PIXEL_M).argmax(0)


def at_3_m(image: np.ndarray, pixel_m: float) -> np.ndarray:
    """C H W on the grid of a cube: finer pixels are averaged by area, coarser ones interpolated."""
    if pixel_m < PIXEL_M:
        rows, columns = (parts(count, pixel_m) for count in image.shape[1:])
        return rows @ image @ columns.T
    cut = (0, 0, SIDE * PIXEL_M / pixel_m, SIDE * PIXEL_M / pixel_m)
    bands = (Image.fromarray(band.astype(np.float32)) for band in image)
    return np.stack([np.asarray(band.resize((SIDE, SIDE), Image.Resampling.BILINEAR, cut)) for band in bands])


def parts(count: int, pixel_m: float) -> np.ndarray:
    """Which part of each pixel of a cube lies in each of `count` finer ones along an axis, (SIDE, count).

    Example:
        >>> parts(160, 1.25)[0, :4].round(3).tolist()
        [0.417, 0.417, 0.167, 0.0]
    """
    low, fine_low = PIXEL_M * np.arange(SIDE)[:, None], pixel_m * np.arange(count)
    shared = np.minimum(low + PIXEL_M, fine_low + pixel_m) - np.maximum(low, fine_low)
    return shared.clip(0) / PIXEL_M


def whole(reflectance: np.ndarray) -> np.ndarray:
    """Rounded to whole numbers above zero, int16."""
    return reflectance.round().clip(1, 20_000).astype(np.int16)
