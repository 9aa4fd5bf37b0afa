"""DynamicEarthNet, small: six cubes of 64 × 64 pixels, two or three months each, or as many places as wanted.

Everything odd about the real files is here: a cube without the folder `Labels`, one that joins its zone with a hyphen,
two with the same raster name, dates in two spellings, a leading slash and a prefix in the lists that is not on disk,
stray `.aux.xml`, a listed month without a label, snow, pixels without a class, Sentinel composites that are missing.
The ids of the cubes for validation and test, all tiles and the footprints are made up. None of it is in the copies of
many places, which `dynamic_earth_net_places` makes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.miniatures.dynamic_earth_net_files import (
    AGRICULTURE,
    IMPERVIOUS,
    PIXEL_M,
    SIDE,
    SNOW,
    SOIL,
    UNSET,
    WEEKLY,
    Cube,
    class_ids,
    epsg,
    list_line,
    write_label,
    write_lists,
    write_planet,
    write_s1,
    write_s2,
)
from skysense_nb.data.miniatures.dynamic_earth_net_places import write_places
from skysense_nb.data.miniatures.places import place

MONTHS = ("2018-01", "2018-02", "2018-03", "2018-04")
CUBES = {
    Cube("1417_3281_13", "11N", "train", "11N-117W-33N-L3H-SR", labels_level="Raster"): (3, (0, 0)),
    Cube("2235_3403_13", "17N", "train", "17N-81W-29N-L3H-SR", joint="-", label_date="%Y-%m-%d"): (2, (0, 64)),
    Cube("6468_3360_13", "48N", "train", "48N-104E-30N-L3H-SR"): (2, (64, 0)),
    Cube("6475_3361_13", "48N", "train", "48N-104E-30N-L3H-SR"): (2, (64, 64)),
    Cube("1001_2001_13", "32S", "val", "32S-9E-1S-L3H-SR"): (2, (32, 0)),
    Cube("1002_2002_13", "33S", "test", "33S-13E-9S-L3H-SR"): (2, (0, 32)),
}
"""With the number of months, and the upper left corner in the scene."""

WITHOUT_S2 = ("1417_3281_13", "2018-02")
WITHOUT_S1 = ("6468_3360_13", "2018-01")
WITHOUT_LABEL = ("2235_3403_13", "2018-03")
"""In the list, with images."""


def write_dyna_pla(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Planet images on the publishers' six days of each month, and one more in January; the truth has the first.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Cubes to learn from, of two months each, instead of six.
    """
    if places is not None:
        return write_places(folder, seed, ("hr",), places)
    return write(folder, seed, sensors=("hr",), days=(*WEEKLY, 28))


def write_dyna_s2(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Composites of twelve bands; one is missing. The truth is that of segmentation. Arguments as `write_dyna_pla`."""
    if places is not None:
        return write_places(folder, seed, ("s2",), places)
    return write(folder, seed, sensors=("s2",))


def write_dyna_mm(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """All sensors; Planet on two days of each month, or six. The truth is of months that have them all. Arguments as
    `write_dyna_pla`."""
    if places is not None:
        return write_places(folder, seed, ("hr", "s2", "s1"), places)
    return write(folder, seed, sensors=("hr", "s2", "s1"), days=(1, 5))


def write(folder: Path, seed: int, sensors: tuple[str, ...], days: tuple[int, ...] = ()) -> dict[str, Record]:
    """Images, labels and lists of all cubes; the record of every month that has all sensors and a label."""
    truth, lists = {}, {"train": [], "val": [], "test": []}
    images = Images(seed, radar="s1" in sensors)
    for cube, (count, corner) in CUBES.items():
        months = [*MONTHS[:count], *(month for one, month in [WITHOUT_LABEL] if one == cube.id)]
        footprint = {"crs": CRS.from_epsg(epsg(cube.zone)), "transform": footprint_of(cube)}
        for number, month in enumerate(months):
            lists[cube.split].append(list_line(cube, month))
            record = {"id": f"{cube.id}_{month}", **footprint}
            if "hr" in sensors:
                seen = {day: images.planet(corner, number, day) for day in days if day <= WEEKLY[-1] or number == 0}
                record |= write_planet(folder, cube, month, seen, footprint)
            if "s2" in sensors and (cube.id, month) != WITHOUT_S2:
                record |= write_s2(folder, cube, month, part(images.s2[number], corner), footprint)
            if "s1" in sensors and (cube.id, month) != WITHOUT_S1:
                radar = part(images.s1[number], corner).astype(np.float32)
                record |= write_s1(folder, cube, month, radar, footprint, with_id=cube.split == "val")
            if (cube.id, month) != WITHOUT_LABEL:
                record |= write_label(folder, cube, month, images.label(corner, number), footprint)
            if {"mask", *sensors} <= record.keys():
                truth[record["id"]] = record
    write_lists(folder, lists)
    return truth


class Images:
    """One cloudless place of the world over four months, of which every cube is a part."""

    def __init__(self, seed: int, radar: bool) -> None:
        days = tuple(f"{month}-01" for month in MONTHS)
        modalities = ("s2", "s1") if radar else ("s2",)
        scene = place("river", seed, 2 * SIDE * 10, s2_dates=days, s1_dates=days, modalities=modalities, clouds=False)
        self.s2 = scene["s2"]["image"].values // 8 * 8  # smaller files
        self.s1 = np.round(scene["s1"]["image"].values * 4) / 4 if radar else None
        self.classes = class_ids(scene["labels"]["land_cover"].values[4::8, 4::8])

    def planet(self, corner: tuple[int, int], month: int, day: int) -> np.ndarray:
        """B G R NIR between the first of this month and of the next, 4 H W uint16."""
        first, following = (part(self.s2[number, [0, 1, 2, 6]], corner).astype(float) for number in (month, month + 1))
        return ((first + (following - first) * (day - 1) / 31) // 32 * 32).astype(np.uint16)

    def label(self, corner: tuple[int, int], month: int) -> np.ndarray:
        """Ids, with a field that is cleared and built on, a patch of snow, and one without any class."""
        ids = part(self.classes, corner).copy()
        ids[8:24, 8:24] = (AGRICULTURE, SOIL, IMPERVIOUS)[month]
        ids[40:48, 8 : 16 + 8 * month] = SNOW
        ids[56:, 56:] = UNSET
        return ids


def part(values: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """The pixels of a cube."""
    top, left = corner
    return values[..., top : top + SIDE, left : left + SIDE]


def footprint_of(cube: Cube) -> Affine:
    """Somewhere in its zone, each cube elsewhere."""
    return Affine(PIXEL_M, 0, 500_000 + 10 * int(cube.id[:4]), 0, -PIXEL_M, 4_000_000 + 10 * int(cube.id[5:9]))
