"""BigEarthNet: Sentinel-2 patches with several labels each, and the Sentinel-1 patch of each of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch

from skysense_nb.data.benchmarks.files import Raster, open_raster, read_json, read_lines
from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.data.benchmarks.shares import class_share
from skysense_nb.errors import DatasetError, EnvironmentProblem, ParameterError

SIDE = 120
"""Pixels of 10 m."""

FILES = {"s2": ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"), "s1": ("VV", "VH")}
"""Endings of the bands in model order, which is not the order of sorted names."""

BANDS_OF_20_M = ("B05", "B06", "B07", "B8A", "B11", "B12")

FOLDERS = {
    "v1": {"s2": "BigEarthNet-v1.0", "s1": "BigEarthNet-S1-v1.0"},
    "v2": {"s2": "BigEarthNet-S2", "s1": "BigEarthNet-S1"},
}
SPLITS_OF_V2 = {"train": "train", "val": "validation", "test": "test"}


class Patch(NamedTuple):
    """Names of a pair of patches, and class ids where the index has read them already."""

    s2: str
    s1: str = ""
    labels: tuple[int, ...] | None = None


class BigEarthNet(Reader):
    """What both entries have in common.

    Version 1 lies on disk as `BigEarthNet-v1.0/<s2_patch>/<s2_patch>_{B01…B12,B8A}.tif` and
    `<s2_patch>_labels_metadata.json`, with the lists `bigearthnet-{train,val,test}.csv`: no header, each line
    `s2_patch,s1_patch`. Version 2 (reBEN) lies as `BigEarthNet-S2/<patch without its last two fields>/<patch>/` with
    `metadata.parquet`. Their patches, grids and splits differ; never mix them.

    Labels are the 19 classes: of the 43 names in version 1 some are joined and eleven are dropped. The six bands of
    20 m are repeated to 10 m (nearest neighbour), which is exact and can be undone by `[..., ::2, ::2]`; B01 and B09 of
    60 m are not read. A record's `id` is the name of the Sentinel-2 patch. Dates come from the names of patches; their
    times may lack zeros and are not read. A sample is 11 to 15 small files: keep them on a fast disk.

    Version 2 was never read from real files here, nor its counts checked.

    Args:
        root: The folder that holds all of these.
        split: train, val or test; `all` where `lists` is False.
        lists: False: without the lists, every patch is in the split `all`. Looking for them reads the JSON of each
            patch once, 590,000 in all, and patches without any of the 19 classes are left out and counted. The
            official lists have none of these, nor patches with snow, cloud or shadow.
        share: Of the training list, drawn once with `seed`, without replacement, and written beside the data; other
            splits are always whole. The papers use 0.1 and 1. SeCo, whose code many follow, draws its 10 % with
            replacement (generator seeded with 42), which leaves fewer different patches.
        seed: Of the draw.
        version: v1 or v2.
    """

    splits = ("train", "val", "test", "all")
    sensors: tuple[str, ...]

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        lists: bool = True,
        share: float = 1.0,
        seed: int = 0,
        version: str = "v1",
    ) -> None:
        if version not in FOLDERS:
            raise ParameterError.of(f"a version among {', '.join(FOLDERS)}", repr(version), "Choose one of these.")
        if split in self.splits and lists == (split == "all") or (version == "v2" and not lists):
            got = f"split={split!r}, lists={lists}, version={version!r}"
            raise ParameterError.of("the split all for lists=False of v1, and only for it", got, "Change one of them.")
        if not 0 < share <= 1:
            raise ParameterError.of("a share above 0 and up to 1", f"{share}", "The papers use 0.1 and 1.")
        self.lists, self.share, self.seed, self.version = lists, share, seed, version
        super().__init__(root, split)

    def index(self) -> list[Patch]:
        for sensor in self.sensors:
            self.root.folder(FOLDERS[self.version][sensor])
        if self.version == "v2":
            found = self.from_metadata()
        else:
            found = self.from_list() if self.lists else list(self.from_folders())
        self.listed = len(found)
        if self.share == 1 or self.split != "train":
            return found
        name = self.name if self.version == "v1" else f"{self.name}-{self.version}"
        drawn = class_share(self.root, name, dict.fromkeys((one.s2 for one in found), 0), self.share, self.seed)
        return [one for one in found if one.s2 in drawn]

    def counted(self) -> int:
        return self.listed

    def from_list(self) -> list[Patch]:
        """Patches of the split's list; nothing else is opened."""
        path = self.root.file(f"bigearthnet-{self.split}.csv")
        found = [Patch(*(name.strip() for name in line.split(",")[:2])) for line in read_lines(path)]
        if "s1" in self.sensors and (alone := [one.s2 for one in found if not one.s1]):
            raise DatasetError.of(f"lines s2_patch,s1_patch in {path}", repr(alone[0]), self.root.advice)
        return found

    def from_folders(self) -> Iterator[Patch]:
        """All patches on disk that have a label."""
        pairs = self.pairs() if "s1" in self.sensors else ((name, "") for name in self.patches("s2"))
        for s2, s1 in pairs:
            patch = Patch(s2, s1)
            if labels := self.read_labels(patch):
                yield patch._replace(labels=labels)
            else:
                self.skip(f"patches without any of the {len(self.class_names)} classes")

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Names of Sentinel-2 patches and of the Sentinel-1 patches that say they belong to them."""
        pairs: dict[str, str] = {}
        for s1 in self.patches("s1"):
            path = self.labels_file("s1", s1)
            s2 = field_of(path, "corresponding_s2_patch", str)
            if s2 in pairs:
                raise DatasetError.of(f"one Sentinel-1 patch for {s2}", f"{pairs[s2]} and {s1}", self.root.advice)
            pairs[s2] = s1
        both = set(self.patches("s2")) if "s2" in self.sensors else pairs.keys()
        for _ in pairs.keys() - both:
            self.skip("Sentinel-1 patches without their Sentinel-2 patch")
        for _ in both - pairs.keys():
            self.skip("Sentinel-2 patches without their Sentinel-1 patch")
        return ((s2, pairs[s2]) for s2 in sorted(pairs) if s2 in both)

    def patches(self, sensor: str) -> list[str]:
        """Names of the folders of version 1, without a look into them."""
        with os.scandir(self.root.folder(FOLDERS["v1"][sensor])) as found:
            return sorted(one.name for one in found if one.is_dir() and not one.name.startswith("."))

    def from_metadata(self) -> list[Patch]:
        """Patches of version 2."""
        self.entry = self.entry.model_copy(update={"splits": ()})  # the counts are those of version 1
        path, columns = self.root.file("metadata.parquet"), ["patch_id", "s1_name", "split", "labels"]
        try:
            rows = pd.read_parquet(path, columns=columns)
        except ImportError as error:
            next_step = "Install it: pip install pyarrow."
            raise EnvironmentProblem.of(f"pyarrow to read {path.name}", "no such package", next_step) from error
        except (OSError, ValueError) as error:
            raise DatasetError.of(f"columns {', '.join(columns)} in {path}", str(error), self.root.advice) from error
        rows = rows[rows["split"] == SPLITS_OF_V2[self.split]]
        ids = {name: number for number, name in enumerate(self.class_names)}
        return [
            Patch(s2, s1, checked(path, labels, ids))
            for s2, s1, labels in zip(rows["patch_id"], rows["s1_name"], rows["labels"], strict=True)
        ]

    def read(self, item: Patch) -> Record:
        record: Record = {"id": item.s2}
        for sensor in self.sensors:
            patch = getattr(item, sensor)
            record[f"{sensor}_date"] = date_of(patch).reshape(1)
            paths = self.band_files(sensor, patch)
            rasters = [open_raster(path) for path in paths]
            bands = [at_10_m(path, raster) for path, raster in zip(paths, rasters, strict=True)]
            record[sensor] = torch.from_numpy(np.stack(bands).astype(np.float32))[None]  # 1 C H W
            record = rasters[0].place | record  # the first band of either sensor has 10 m
        labels = self.read_labels(item)
        if not labels:
            got = "none"
            raise DatasetError.of(f"one of the {len(self.class_names)} classes for {item.s2}", got, "Mend the list.")
        label = torch.zeros(len(self.class_names), dtype=torch.bool)
        label[list(labels)] = True
        return record | {"label": label, "names": tuple(self.class_names[number] for number in labels)}

    def read_labels(self, item: Patch) -> tuple[int, ...]:
        """Class ids in ascending order; none: all names of the patch are dropped ones."""
        if item.labels is not None:
            return item.labels
        path = self.labels_file(self.sensors[0], getattr(item, self.sensors[0]))
        return checked(path, field_of(path, "labels", list), self.entry.source_classes)

    def labels_file(self, sensor: str, patch: str) -> Path:
        """The JSON of a patch of version 1; those of both sensors name the same classes."""
        return self.root.file(FOLDERS["v1"][sensor], patch, f"{patch}_labels_metadata.json")

    def band_files(self, sensor: str, patch: str) -> list[Path]:
        """Files of a patch in model order."""
        folder = self.root.inside(FOLDERS[self.version][sensor])
        if self.version == "v2":
            folder = folder / patch.rsplit("_", 2 if sensor == "s2" else 3)[0]
        return [self.root.file(folder, patch, f"{patch}_{band}.tif") for band in FILES[sensor]]

    def files(self, item: Patch) -> list[Path]:
        tables = [self.labels_file(self.sensors[0], getattr(item, self.sensors[0]))] if self.version == "v1" else []
        return tables + [path for one in self.sensors for path in self.band_files(one, getattr(item, one))]


class BENS2(BigEarthNet):
    """BEN-S2: the Sentinel-2 patches alone. Layout and options: `BigEarthNet`."""

    name = "ben_s2"
    sensors = ("s2",)


class BENMM(BigEarthNet):
    """BEN-MM: with `BigEarthNet-S1-v1.0/<s1_patch>/<s1_patch>_{VV,VH}.tif` and `<s1_patch>_labels_metadata.json`.

    Backscatter is float32 dB as it is stored, VV before VH. A pair is a line of the lists, or, where `lists` is False,
    named by the Sentinel-1 JSON; patches of one sensor without the other are then left out and counted.

    Args:
        root: As `BigEarthNet`, and so are the other options.
        split: train, val or test.
        sensors: s2, s1 or both; only the files of these are needed.
        options: Of `BigEarthNet`.
    """

    name = "ben_mm"
    known: ClassVar[tuple[str, ...]] = ("s2", "s1")

    def __init__(
        self, root: str | Path, split: str = "train", sensors: tuple[str, ...] = ("s2", "s1"), **options: object
    ) -> None:
        if isinstance(sensors, str) or not sensors or not set(sensors) <= set(self.known):
            raise ParameterError.of("sensors among s2, s1", repr(sensors), "Pass a tuple such as ('s2', 's1').")
        self.sensors = tuple(one for one in self.known if one in sensors)
        super().__init__(root, split, **options)


def date_of(patch: str) -> np.datetime64:
    """The day in the name of a patch; the time after it may lack zeros.

    Example:
        >>> date_of("S2B_MSIL2A_20170924T93020_69_24"), date_of("S1A_IW_GRDH_1SDV_20170925T043256_35VPK_69_24")
        (np.datetime64('2017-09-24'), np.datetime64('2017-09-25'))
    """
    day = next((field for field in patch.split("_") if re.fullmatch(r"\d{8}T\d+", field)), "")
    try:
        return np.datetime64(f"{day[:4]}-{day[4:6]}-{day[6:8]}", "D")
    except ValueError as error:
        raise DatasetError.of("a patch name with a date YYYYMMDDT…", repr(patch), "Mend the list.") from error


def at_10_m(path: Path, raster: Raster) -> np.ndarray:
    """A band at 120 × 120 pixels; each pixel of 20 m becomes four."""
    values, repeats = raster.values, 2 if path.stem.endswith(BANDS_OF_20_M) else 1
    if values.shape != (1, SIDE // repeats, SIDE // repeats):
        wanted, got = (" × ".join(map(str, shape)) for shape in ((1, *2 * [SIDE // repeats]), values.shape))
        raise DatasetError.of(f"{wanted} pixels in {path}", got, "Unpack it again.")
    return values[0] if repeats == 1 else values[0].repeat(repeats, axis=0).repeat(repeats, axis=1)


def field_of(path: Path, key: str, kind: type) -> object:
    """One field of a JSON file."""
    values = read_json(path)
    if not isinstance(values, dict) or not isinstance(values.get(key), kind):
        raise DatasetError.of(f"{key} in {path}", "none", "Unpack it again.")
    return values[key]


def checked(path: Path, names: list[str], ids: dict[str, int | None]) -> tuple[int, ...]:
    """Class ids of names, ascending, without those that map to none."""
    if unknown := [name for name in names if name not in ids]:
        raise DatasetError.of(f"names of classes in {path}", repr(unknown[0]), "Is it of this version?")
    return tuple(sorted({ids[name] for name in names} - {None}))
