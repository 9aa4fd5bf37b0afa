"""DynamicEarthNet, three benchmarks on one tree: daily Planet images, monthly Sentinel composites, monthly labels."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from skysense_nb.data.benchmarks.dynamic_earth_net_tree import LISTS, Tree, read_label
from skysense_nb.data.benchmarks.files import open_raster
from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.errors import DatasetError, ParameterError
from skysense_nb.sensors import S2

DAYS: dict[str, tuple[int, ...] | None] = {"single": (1,), "weekly": (1, 5, 10, 15, 20, 25), "daily": None}
"""Days of the month that a sample sees, as the publishers name them; None: all."""

PLANET_BANDS = (3, 2, 1, 4)
"""R G B NIR among the stored B G R NIR."""

L2A_BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12")
S1_STORED = 8
FOLDERS = {"s2": "sentinel2", "s1": "sentinel1"}
TITLES = {"hr": "Planet images", "s2": "a Sentinel-2 composite", "s1": "a Sentinel-1 composite"}

Dated = tuple[tuple[date, Path], ...]
"""Images of one sensor in the order of their dates."""


@dataclass(frozen=True)
class LabelledMonth:
    """One labelled month of a cube, and the images of each sensor that there are."""

    cube: str
    month: str
    label: Path
    images: dict[str, Dated]


class DynamicEarthNet(Reader):
    """What the three have in common. A sample is one labelled month of one cube; splits are of cubes.

    Layout: `planet/<zone>/<tile>/<cube>/PF-SR/YYYY-MM-DD.tif` (B G R NIR),
    `labels/<cube>_<zone>/Labels/Raster/<raster>/<raster>-YYYY_MM_01.tif` (one band per class),
    `sentinel2/<cube>/YYYY_MM.tif`, `sentinel1/<cube>/YYYY_MM.tif`, `dynnet_training_splits/{train,val,test}.txt`.

    Of the lists only the cubes and months are used; files are found on disk, in any spelling that real copies have.
    Listed months without a label or an image of a sensor are left out and counted: about 62 of the 1,800 lack one,
    and the Planet images of cube 1417_3281_13 were missing for a time. Without the folder of lists `train` is the
    catalogue's 55 cubes with public labels, as far as they are on disk, and there is no `val` or `test`.

    Masks hold 255 for snow and ice. The band order of the Sentinel files is not documented anywhere, so that it is an
    option; whether Planet's integers are signed is not verified, either is read.

    Args:
        root: The folder that holds `planet` and `labels`.
        split: train, val or test.
        days: Of Planet, single (the first of the month), weekly (1, 5, 10, 15, 20, 25) or daily.
        s2_bands: Names of the stored Sentinel-2 bands in their order; our guess is that of L2A, not verified.
        s1_bands: Numbers of VV and VH among the eight stored bands, from 1; not verified.
        missing: skip: months without one of the sensors are left out; keep: the record is without that sensor, but has
            one at least; fill: months stay even without any.
    """

    modalities: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        days: str = "single",
        s2_bands: Sequence[str] = L2A_BANDS,
        s1_bands: tuple[int, int] = (1, 2),
        missing: str = "skip",
    ) -> None:
        if days not in DAYS:
            raise ParameterError.of(f"days among {', '.join(DAYS)}", repr(days), "Choose one of these.")
        may_lack = {"skip": 0, "keep": len(self.modalities) - 1, "fill": len(self.modalities)}
        if missing not in may_lack:
            raise ParameterError.of(f"missing among {', '.join(may_lack)}", repr(missing), "Choose one of these.")
        if absent := [band for band in S2.bands if band not in s2_bands]:
            got = f"none named {absent[0]}"
            raise ParameterError.of(f"s2_bands with {', '.join(S2.bands)}", got, "Name every stored band in order.")
        if len(s1_bands) != 2 or not all(1 <= band <= S1_STORED for band in s1_bands):
            raise ParameterError.of(f"s1_bands as two numbers from 1 to {S1_STORED}", f"{s1_bands}", "Pass (1, 2).")
        self.days, self.s2_stored = DAYS[days], len(s2_bands)
        self.may_lack = may_lack[missing]
        self.bands = {
            "hr": PLANET_BANDS,
            "s2": tuple(list(s2_bands).index(band) + 1 for band in S2.bands),
            "s1": tuple(s1_bands),
        }
        super().__init__(root, split)

    def index(self) -> list[LabelledMonth]:
        self.tree = Tree(self.root)
        listed = self.tree.listed(self.split)
        if listed is None:
            listed = self.without_lists()
        on_disk = {
            cube: (self.tree.labels(cube), {name: self.series(name, cube) for name in self.modalities})
            for cube in dict.fromkeys(cube for cube, _ in listed)
        }
        samples = [self.sample(cube, month, *on_disk[cube]) for cube, month in listed]
        return [sample for sample in samples if sample is not None]

    def without_lists(self) -> list[tuple[str, str]]:
        """Months of `train` where the lists are missing."""
        if self.split != "train":
            got = f"no folder {LISTS}"
            raise DatasetError.of(f"the list of cubes for {self.split} in {self.root.given}", got, self.root.advice)
        warnings.warn(
            f"{self.entry.title}: no folder {LISTS}, so train is every labelled cube of the catalogue that is there.",
            stacklevel=4,
        )
        return self.tree.without_lists(self.entry.labelled_cubes)

    def series(self, name: str, cube: str) -> dict[str, Dated]:
        """Images of one sensor per month, of the days wanted."""
        if name != "hr":
            composites = self.tree.composites(FOLDERS[name], cube)
            return {month: ((date.fromisoformat(f"{month}-01"), path),) for month, path in composites.items()}
        months: defaultdict[str, list[tuple[date, Path]]] = defaultdict(list)
        for day, path in self.tree.planet(cube).items():
            if self.days is None or day.day in self.days:
                months[f"{day:%Y-%m}"].append((day, path))
        return {month: tuple(images) for month, images in months.items()}

    def sample(
        self, cube: str, month: str, labels: dict[str, Path], series: dict[str, dict[str, Dated]]
    ) -> LabelledMonth | None:
        """A month with its images, or None where it is left out."""
        images = {name: months[month] for name, months in series.items() if month in months}
        absent = [name for name in self.modalities if name not in images]
        if month not in labels:
            self.skip("months without a label")
        elif len(absent) > self.may_lack:
            self.skip(f"months without {TITLES[absent[0]]}")
        else:
            return LabelledMonth(cube, month, labels[month], images)
        return None

    def read(self, item: LabelledMonth) -> Record:
        mask, place = read_label(self.root.file(item.label))
        record = {"id": f"{item.cube}_{item.month}", "mask": mask, **place}
        for name, images in item.images.items():
            expected = 1 if name != "hr" or self.days is None else len(self.days)
            if len(images) < expected:
                got = f"{', '.join(path.name for _, path in images)}"
                wanted = f"Planet images of days {self.days} of {item.month} of cube {item.cube}"
                raise DatasetError.of(wanted, got, "Copy the others, or choose days='single'.")
            record[name] = self.load(name, [path for _, path in images])
            record[f"{name}_date"] = np.array([day for day, _ in images], "datetime64[D]")
            if name == "hr":
                check_size(item.label, mask, record[name][0, 0])
        return record

    def load(self, name: str, paths: Sequence[Path | None]) -> Tensor:
        """Images of a sensor in model order, T C H W float32; NaN where there is no file."""
        stored = {"hr": len(PLANET_BANDS), "s2": self.s2_stored, "s1": S1_STORED}[name]
        series = None
        for number, path in enumerate(paths):
            if path is None:
                continue
            image = open_raster(self.root.file(path), self.bands[name], stored).as_float()
            if len(paths) == 1:
                return image[None]
            if series is None:
                series = image.new_full((len(paths), *image.shape), torch.nan)
            check_size(path, image, series[0])
            series[number] = image
        return series

    def files(self, item: LabelledMonth) -> list[Path]:
        return [item.label, *(path for images in item.images.values() for _, path in images)]

    def counted(self) -> int:
        """Cubes."""
        return len({item.cube for item in self.items})


class DynaPlanet(DynamicEarthNet):
    """Dyna.-Pla.: Planet images alone, as `hr` R G B NIR, reflectance × 10,000.

    Args:
        root, split, days: As in `DynamicEarthNet`.
    """

    name, modalities = "dyna_pla", ("hr",)

    def __init__(self, root: str | Path, split: str = "train", days: str = "single") -> None:
        super().__init__(root, split, days=days)


class DynaS2(DynamicEarthNet):
    """Dyna.-S2: monthly Sentinel-2 composites, dated the first of the month, for land cover or for its change.

    For change a sample is a cube: `s2` T C H W and `mask` T H W of all its labelled months, about 1 GB at 24 months
    of 1024 × 1024. A month without a composite stays, as NaN, because the score compares neighbouring months.

    Args:
        root, split, s2_bands: As in `DynamicEarthNet`.
        task: segmentation or change.
    """

    name, modalities = "dyna_s2", ("s2",)

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        task: str = "segmentation",
        s2_bands: Sequence[str] = L2A_BANDS,
    ) -> None:
        if task not in ("segmentation", "change"):
            raise ParameterError.of("a task of segmentation or change", repr(task), "Choose one of these.")
        self.task = task
        super().__init__(root, split, s2_bands=s2_bands, missing="skip" if task == "segmentation" else "fill")

    def index(self) -> list[LabelledMonth] | list[tuple[LabelledMonth, ...]]:
        months = super().index()
        if self.task == "segmentation":
            return months
        cubes: dict[str, list[LabelledMonth]] = {}
        for one in months:
            cubes.setdefault(one.cube, []).append(one)
        samples = []
        for series in cubes.values():
            if any(one.images for one in series):
                samples.append(tuple(sorted(series, key=attrgetter("month"))))
            else:
                self.skip("cubes without a Sentinel-2 composite")
        return samples

    def read(self, item: LabelledMonth | tuple[LabelledMonth, ...]) -> Record:
        if isinstance(item, LabelledMonth):
            return super().read(item)
        labels = [read_label(self.root.file(one.label)) for one in item]
        for one, (mask, _) in zip(item, labels, strict=True):
            check_size(one.label, mask, labels[0][0])
        return {
            "id": item[0].cube,
            "mask": torch.stack([mask for mask, _ in labels]),
            **labels[0][1],
            "s2": self.load("s2", [one.images["s2"][0][1] if one.images else None for one in item]),
            "s2_date": np.array([f"{one.month}-01" for one in item], "datetime64[D]"),
        }

    def files(self, item: LabelledMonth | tuple[LabelledMonth, ...]) -> list[Path]:
        months = [item] if isinstance(item, LabelledMonth) else item
        return [path for one in months for path in super(DynaS2, self).files(one)]

    def counted(self) -> int:
        """Cubes."""
        return super().counted() if self.task == "segmentation" else len(self)


class DynaMM(DynamicEarthNet):
    """Dyna.-MM: Planet, Sentinel-2 and Sentinel-1 of a month, all on the 3 m grid of the archive.

    Args:
        root, split, days, s2_bands, s1_bands, missing: As in `DynamicEarthNet`.
    """

    name, modalities = "dyna_mm", ("hr", "s2", "s1")


def check_size(path: Path, image: Tensor, like: Tensor) -> None:
    """Refuses a file whose size differs from that of the others."""
    if image.shape != like.shape:
        expected, got = "×".join(map(str, like.shape)), "×".join(map(str, image.shape))
        raise DatasetError.of(f"{path} as {expected}, like the other files of its cube", got, "Get the official file.")
