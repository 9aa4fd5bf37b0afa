"""OSCD: two Sentinel-2 images per city and where it was built up between them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch

from skysense_nb.data.benchmarks.files import read_image, read_lines, read_raster
from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.errors import DatasetError

DATE = re.compile(r"date_([12])\s*:\s*(\d{4})(\d{2})(\d{2})")
NO_CHANGE, CHANGE = 1, 2
"""In `<city>-cm.tif`."""


class OSCD(Reader):
    """OSCD: `… - Images/<city>/imgs_{1,2}_rect/Bxx.tif` on one 10 m grid, `dates.txt` beside them, and
    `… - {Train,Test} Labels/<city>/cm/{cm.png,<city>-cm.tif}` in archives of their own.

    One sample is a city, listed in `train.txt` or `test.txt` among the images. `s2` holds both dates, ten of the
    thirteen bands in model order, top-of-atmosphere (L1C) as stored; whether zeros mean "no data" is not verified, and
    they are given as zeros. Nothing is read of `imgs_1` and `imgs_2`, whose bands and dates differ in size. `mask` is
    1 where `cm.png` is above 0, or where the TIFF has 2 if there is only that; both must agree. The files have no
    coordinate system, so records have none.

    Args:
        root: The folder that holds the three folders of the archives.
        split: train or test; there is no official val.
    """

    name = "oscd"
    splits = ("train", "test")

    def index(self) -> list[str]:
        self.images = self.archive("Images")
        self.labels = self.archive("Test Labels" if self.split == "test" else "Train Labels")
        lines = read_lines(self.root.file(self.images, f"{self.split}.txt"))
        return [city.strip() for line in lines for city in line.split(",") if city.strip()]

    def archive(self, part: str) -> str:
        """The folder of an archive; two more spellings are those of copies seen in public code."""
        found = self.root.first(
            f"Onera Satellite Change Detection dataset - {part}",
            f"onera_satellite_change_detection dataset__{part.lower().replace(' ', '_')}",
            f"OneraDataset_{part.replace(' ', '')}",
        )
        return self.root.name(found)

    def read(self, item: str) -> Record:
        image = torch.from_numpy(one_grid([*self.bands(item, 1), *self.bands(item, 2)]))
        image = image.unflatten(0, (2, -1))  # 2 10 H W
        mask = self.mask(item)
        if mask.shape != image.shape[-2:]:
            got = f"{tuple(mask.shape)} and {tuple(image.shape[-2:])}"
            raise DatasetError.of(f"one size of labels and images of {item}", got, "Get the official files.")
        return {"id": item, "s2": image, "s2_date": self.dates(item), "mask": mask}

    def files(self, item: str) -> list[Path]:
        dates = self.root.file(self.images, item, "dates.txt")
        return [*self.bands(item, 1), *self.bands(item, 2), dates, *self.label_files(item).values()]

    def bands(self, city: str, date: int) -> list[Path]:
        """Files of one date, in model order."""
        names = [file_name(name) for name in self.entry.sensors["s2"].bands]
        return [self.root.file(self.images, city, f"imgs_{date}_rect", name) for name in names]

    def dates(self, city: str) -> np.ndarray:
        """Both days."""
        path = self.root.file(self.images, city, "dates.txt")
        lines = read_lines(path)
        found = {match[1]: "-".join(match.groups()[1:]) for line in lines if (match := DATE.fullmatch(line))}
        try:
            return np.array([found["1"], found["2"]], "datetime64[D]")
        except (KeyError, ValueError) as error:
            wanted = f"date_1: YYYYMMDD and date_2: YYYYMMDD in {path}"
            raise DatasetError.of(wanted, " | ".join(lines) or "nothing", "Get the official file.") from error

    def label_files(self, city: str) -> dict[str, Path]:
        """The PNG, the TIFF, or both."""
        names = {"png": f"{self.labels}/{city}/cm/cm.png", "tif": f"{self.labels}/{city}/cm/{city}-cm.tif"}
        found = {kind: path for kind, name in names.items() if (path := self.root.inside(name)).is_file()}
        return found or {"png": self.root.file(names["png"])}

    def mask(self, city: str) -> torch.Tensor:
        """1 where the city changed, H W int64.

        Raises:
            DatasetError: No labels, labels that contradict each other, or a TIFF with other values than 1 and 2.
        """
        reads = {"png": painted, "tif": counted_from_one}
        files = self.label_files(city)
        masks = [reads[kind](path) for kind, path in files.items()]
        if not all(torch.equal(one, masks[0]) for one in masks):
            got = "labels that differ"
            raise DatasetError.of(f"the same change in {files['png']} and {files['tif']}", got, "Delete the wrong one.")
        return masks[0]


def file_name(name: str) -> str:
    """A band's file.

    Example:
        >>> file_name("B2"), file_name("B8A"), file_name("B11")
        ('B02.tif', 'B8A.tif', 'B11.tif')
    """
    return f"B{name[1:]:0>2}.tif"


def one_grid(paths: list[Path]) -> np.ndarray:
    """Bands of both dates, N H W float32.

    Raises:
        DatasetError: They differ in size, as those of `imgs_1` and `imgs_2` do.
    """
    bands = [read_raster(path, [1])[0] for path in paths]
    for path, band in zip(paths, bands, strict=True):
        if band.shape != bands[0].shape:
            got = f"{band.shape} in {path}"
            raise DatasetError.of(f"{bands[0].shape} as in {paths[0].name}", got, "Get the official files.")
    return np.stack(bands, dtype=np.float32, casting="unsafe")


def painted(path: Path) -> torch.Tensor:
    """1 where a picture is not black, be it grey or R G B."""
    return (read_image(path) > 0).any(0).long()


def counted_from_one(path: Path) -> torch.Tensor:
    """1 where a TIFF says 2."""
    label = read_raster(path, [1])[0]
    if not np.isin(label, (NO_CHANGE, CHANGE)).all():
        got = f"{label.min()} to {label.max()}"
        raise DatasetError.of(f"values {NO_CHANGE} and {CHANGE} in {path}", got, "Get the official file.")
    return torch.from_numpy((label == CHANGE).astype(np.int64))
