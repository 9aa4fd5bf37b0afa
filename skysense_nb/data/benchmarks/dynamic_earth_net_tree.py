"""Where things lie in DynamicEarthNet: cubes, months, and the spellings that real copies mix."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skysense_nb.data.benchmarks.files import Root, open_raster, read_lines
from skysense_nb.data.benchmarks.reader import IGNORED
from skysense_nb.errors import DatasetError

LISTS = "dynnet_training_splits"
SPLITS = ("train", "val", "test")
CUBE = re.compile(r"\d+_\d+_\d+")
MONTH = re.compile(r"\d{4}-\d{2}")
LABEL_FOLDER = re.compile(r"(\d+_\d+_\d+)[_-](\d{1,2}[NS])")
"""Cube and UTM zone; six of the 55 folders join them with a hyphen."""

ZONE = re.compile(r"\d{1,2}[NS]")
DATED = re.compile(r"(?<!\d)(\d{4})[-_](\d{2})(?:[-_](\d{2}))?\.tif$")
"""YYYY_MM_DD, YYYY-MM-DD or, of composites, YYYY_MM at the end of a file name."""

STORED_LABELS = 7
SNOW = 6
"""The last band, from 0: snow and ice, which is not scored."""

Month = tuple[str, str]
"""Cube and YYYY-MM."""


class Tree:
    """Finds the files of cubes. A cube is known by its id alone: two of them have the same raster name.

    Args:
        root: The folder that holds `planet`, `labels`, `sentinel2`, `sentinel1` and the lists of the splits.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        names = (path.name for path in sorted(root.folder("labels").iterdir()))
        found = (LABEL_FOLDER.fullmatch(name) for name in names)
        self.label_folders = {match[1]: f"labels/{match[0]}" for match in found if match}
        self.planet_folders: dict[str, str] | None = None

    def listed(self, split: str) -> list[Month] | None:
        """Cubes and months of a split as its list has them; None where the folder of lists is missing."""
        if not self.root.inside(LISTS).exists():
            return None
        months = read_list(self.root.file(LISTS, f"{split}.txt"))
        others = [self.root.inside(LISTS, f"{other}.txt") for other in SPLITS if other != split]
        elsewhere = {cube: path for path in others if path.is_file() for cube, _ in read_list(path)}
        for cube, _ in months:
            if cube in elsewhere:
                advice = "Get the official lists: months of one place are too alike to be held out."
                raise DatasetError.of(f"cube {cube} in one list", f"it in {split} and {elsewhere[cube]}", advice)
        return months

    def without_lists(self, cubes: Collection[str]) -> list[Month]:
        """All labelled months of those cubes that are on disk."""
        return [(cube, month) for cube in self.label_folders if cube in cubes for month in self.labels(cube)]

    def labels(self, cube: str) -> dict[str, Path]:
        """Label file per month; empty where the cube has none. One cube lacks the level `Labels`."""
        if cube not in self.label_folders:
            return {}
        folder = self.label_folders[cube]
        above = self.root.first(f"{folder}/Labels/Raster", f"{folder}/Raster")
        rasters = [path for path in sorted(above.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        if len(rasters) != 1:
            raise DatasetError.of(f"one folder of rasters in {above}", f"{len(rasters)}", self.root.advice)
        return {f"{day:%Y-%m}": path for day, path in self.dated(self.root.name(rasters[0])).items()}

    def planet(self, cube: str) -> dict[date, Path]:
        """Planet image per day; empty where the cube is missing, as 1417_3281_13 was."""
        if self.planet_folders is None:
            self.planet_folders = self.find_planet()
        return self.dated(f"{self.planet_folders[cube]}/PF-SR") if cube in self.planet_folders else {}

    def find_planet(self) -> dict[str, str]:
        """Folder per cube, below zone and tile; the lists have another name for `planet`."""
        top = self.root.first("planet", "reprocess-cropped/UTM-24000")
        zones = [zone for zone in sorted(top.iterdir()) if ZONE.fullmatch(zone.name)]
        tiles = [tile for zone in zones for tile in sorted(zone.iterdir()) if not tile.name.startswith(".")]
        cubes = [cube for tile in tiles for cube in sorted(tile.iterdir()) if CUBE.fullmatch(cube.name)]
        return {cube.name: self.root.name(cube) for cube in cubes}

    def composites(self, folder: str, cube: str) -> dict[str, Path]:
        """Sentinel composite per month; empty where the cube has none."""
        self.root.folder(folder)
        inside = f"{folder}/{cube}"
        if not self.root.inside(inside).exists():
            return {}
        return {f"{day:%Y-%m}": path for day, path in self.dated(inside).items()}

    def dated(self, folder: str) -> dict[date, Path]:
        """Rasters of a folder by the date in their names, in its order; of a month, its first day."""
        found, top = {}, self.root.folder(folder)
        for name in sorted(os.listdir(top)):
            if not name.endswith(".tif") or name.startswith("."):
                continue
            day = date_of(f"{folder}/{name}")
            if day in found:
                advice = "Delete the one that is a copy."
                raise DatasetError.of(f"one raster of {day} in {folder}", f"{found[day].name} and {name}", advice)
            found[day] = top / name
        return dict(sorted(found.items()))


def date_of(name: str) -> date:
    """The date at the end of a file name.

    Example:
        >>> date_of("48N-104E-30N-L3H-SR-2018_02_01.tif"), date_of("sentinel1/6475_3361_13_2018_02.tif")
        (datetime.date(2018, 2, 1), datetime.date(2018, 2, 1))
    """
    try:
        year, month, day = DATED.search(name).groups()
        return date(int(year), int(month), int(day or 1))
    except (AttributeError, ValueError) as error:
        expected = "a date such as 2018-01-01 or 2018_01 at the end of a raster's name"
        raise DatasetError.of(expected, name, "Rename it, or move it away.") from error


def read_list(path: Path) -> list[Month]:
    """Cubes and months of a list: lines of planet folder, label file and YYYY-MM.

    Both paths start with a slash and the first with a prefix that is not on disk, so only the cube and the month are
    taken from a line.
    """
    months = {}
    for line in read_lines(path):
        fields = line.split()
        parts = fields[0].strip("/").split("/")
        well_formed = len(fields) == 3 and len(parts) > 1 and MONTH.fullmatch(fields[2])
        if not (well_formed and CUBE.fullmatch(parts[-2])):
            expected = f"lines of /…/<cube>/PF-SR, label file and YYYY-MM in {path}"
            raise DatasetError.of(expected, repr(line), "Get the official lists.")
        months[parts[-2], fields[2]] = None
    return list(months)


def read_label(path: Path) -> tuple[Tensor, dict[str, Any]]:
    """A label as ids, H W int64, and where it lies.

    Seven bands of 0 or 255, one per class. As in the publishers' reader the last band that is set counts, and a pixel
    with none is of class 0.
    """
    stored = open_raster(path, count=STORED_LABELS)
    is_set = stored.values == 255
    if ((stored.values != 0) != is_set).any():
        got = f"{np.setdiff1d(stored.values, (0, 255))[:5].tolist()}"
        raise DatasetError.of(f"0 and 255 in the bands of {path}", got, "Get the official label.")
    mask = np.zeros(is_set.shape[1:], np.uint8)
    for number, band in enumerate(is_set):
        mask[band] = IGNORED if number == SNOW else number
    return torch.from_numpy(mask.astype(np.int64)), stored.place
