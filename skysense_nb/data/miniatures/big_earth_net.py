"""BigEarthNet v1, small: five patches of two places, four of them in the lists, or as many places as wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
import xarray as xr

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.corine import corine_names
from skysense_nb.data.miniatures.places import place, scenes, split_of
from skysense_nb.data.synthetic.classes import PLACES

SIDE_M = 1200
DATES = {"s2": ("2017-06-13", "2017-09-24", "2018-02-04"), "s1": ("2017-06-13", "2017-09-25", "2018-02-04")}
"""A pair need not be of the same day."""

TIMES = {"s2": ("101031", "93020", "94161"), "s1": ("165043", "043256", "043253")}
"""As real names have them: an hour without its zero, and 9:41:56 written as 94161."""

BANDS = {
    "B02": ("B2", 1), "B03": ("B3", 1), "B04": ("B4", 1), "B05": ("B5", 2), "B06": ("B6", 2), "B07": ("B7", 2),
    "B08": ("B8", 1), "B8A": ("B8A", 2), "B11": ("B11", 2), "B12": ("B12", 2), "B01": ("B2", 6), "B09": ("B8A", 6),
}  # fmt: skip
"""Per file the band of the world, and how many pixels of 10 m one has on a side; those of 60 m come last."""


@dataclass(frozen=True)
class Patch:
    """What one patch shows: kind of place, the date among `DATES`, names of classes as they are on disk."""

    split: str
    kind: str
    date: int
    on_disk: tuple[str, ...]


FIELDS, FOREST = "Non-irrigated arable land", "Coniferous forest"
PATCHES = (
    Patch("train", "fields", 0, (FIELDS, "Pastures")),
    Patch("train", "fields", 1, (FOREST, "Transitional woodland/shrub", "Peatbogs", "Construction sites")),
    Patch("val", "fields", 2, ("Rice fields", FIELDS)),
    Patch("test", "harbour", 0, ("Sea and ocean", "Port areas", "Discontinuous urban fabric", "Estuaries")),
    Patch("", "harbour", 1, ("Port areas", "Dump sites")),
)
"""The last has none of the 19 classes and is in no list."""


KINDS = tuple(kind for kind in PLACES if kind != "sea")
"""Of places to learn from."""

FIRST_DAY = "2017-06-01"
"""Of the year in which real patches were taken."""


def write_ben_s2(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Sentinel-2 only; the lists name the Sentinel-1 patches all the same.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Patches to learn from, instead of five.
    """
    return write(folder, seed, ("s2",)) if places is None else write_places(folder, seed, ("s2",), places)


def write_ben_mm(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Both sensors; some pairs are a day apart, and backscatter is no whole number. Arguments as `write_ben_s2`."""
    sensors = ("s2", "s1")
    return write(folder, seed, sensors) if places is None else write_places(folder, seed, sensors, places)


def write(folder: Path, seed: int, sensors: tuple[str, ...]) -> dict[str, Record]:
    """Patches with all that is odd about real ones."""
    files = Files(folder, sensors)
    for number, patch in enumerate(PATCHES):
        dates = {f"{sensor}_dates": days for sensor, days in DATES.items()}
        scene = place(patch.kind, seed, SIDE_M, **dates, modalities=("s2", "s1"), clouds=False)
        names = patch_names(patch, number)
        files.add({name: scene[name]["image"][patch.date] for name in sensors}, names, patch.on_disk, patch.split)
    files.write_lists()
    return files.truth


def write_places(folder: Path, seed: int, sensors: tuple[str, ...], count: int) -> dict[str, Record]:
    """A patch per place, without clouds as in the official lists, on any day of a year."""
    files, options = Files(folder, sensors), {"modalities": sensors, "clouds": False}
    options |= {f"{sensor}_dates": lambda number, sensor=sensor: [day(seed, number, sensor)] for sensor in DATES}
    drawn = scenes(KINDS, seed, count, SIDE_M, lambda _, scene: bool(classes_of(corine_names(scene))), **options)
    for number, (_, scene) in enumerate(drawn):
        days = {sensor: str(day(seed, number, sensor)).replace("-", "") for sensor in DATES}
        cut = f"{number % 90}_{number // 90}"
        names = {
            "s2": f"S2{'AB'[number % 2]}_MSIL2A_{days['s2']}T101031_{cut}",
            "s1": f"S1A_IW_GRDH_1SDV_{days['s1']}T165043_34UDV_{cut}",
        }
        images = {name: scene[name]["image"][0] for name in sensors}
        files.add(images, names, corine_names(scene), split_of(number, len(KINDS)))
    files.write_lists()
    return files.truth


def day(seed: int, number: int, sensor: str) -> np.datetime64:
    """When a sensor saw a place; radar up to two days after the other."""
    shift, later = np.random.default_rng([seed, number]).integers(0, (365, 3)).tolist()
    return np.datetime64(FIRST_DAY) + shift + (later if sensor == "s1" else 0)


def classes_of(on_disk: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the 19 classes, in their order, that names on disk become."""
    entry = benchmark("ben_s2")
    ids = {entry.source_classes[name] for name in on_disk}
    return tuple(name for number, name in enumerate(entry.class_names) if number in ids)


class Files:
    """What is written so far: lines of the lists, and records of the patches in them."""

    def __init__(self, folder: Path, sensors: tuple[str, ...]) -> None:
        self.folder, self.sensors = folder, sensors
        self.lines: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        self.truth: dict[str, Record] = {}

    def add(self, images: dict[str, xr.DataArray], names: dict[str, str], on_disk: tuple[str, ...], split: str) -> None:
        """Twelve files of 120, 60 or 20 pixels per Sentinel-2 patch, two per Sentinel-1 patch, and a JSON for each;
        no split: in no list."""
        writers = {"s2": write_s2, "s1": write_s1}
        found = {name: writers[name](self.folder, images[name], names, on_disk) for name in self.sensors}
        if not split:
            return
        self.lines[split].append(f"{names['s2']},{names['s1']}")
        grid, labels = images["s2"].rio, classes_of(on_disk)
        dates = {name: image["time"].values.astype("datetime64[D]").reshape(1) for name, image in images.items()}
        self.truth[names["s2"]] = {
            "id": names["s2"],
            **{name: torch.from_numpy(image.astype(np.float32))[None] for name, image in found.items()},
            **{f"{name}_date": date for name, date in dates.items()},
            "label": torch.tensor([name in labels for name in benchmark("ben_s2").class_names]),
            "names": labels,
            "crs": grid.crs,
            "transform": grid.transform(),
        }

    def write_lists(self) -> None:
        """One per split."""
        for split, lines in self.lines.items():
            (self.folder / f"bigearthnet-{split}.csv").write_text("\n".join(lines) + "\n")


def patch_names(patch: Patch, number: int) -> dict[str, str]:
    """Names of both patches; columns and rows have one or two digits."""
    day = {sensor: DATES[sensor][patch.date].replace("-", "") for sensor in DATES}
    place_on_tile = f"{4 + 17 * number}_{55 - 13 * number}"
    return {
        "s2": f"S2{'AB'[patch.date > 0]}_MSIL2A_{day['s2']}T{TIMES['s2'][patch.date]}_{place_on_tile}",
        "s1": f"S1A_IW_GRDH_1SDV_{day['s1']}T{TIMES['s1'][patch.date]}_34UDV_{place_on_tile}",
    }


def write_s2(folder: Path, image: xr.DataArray, names: dict[str, str], on_disk: tuple[str, ...]) -> np.ndarray:
    """Writes twelve bands; what a reader gives of them, 10 H W."""
    name, given = names["s2"], []
    for ending, (band, pixels) in BANDS.items():
        fine = image.sel(band=band).values.astype(np.float64)
        coarse = np.stack([fine[row::pixels, column::pixels] for row in range(pixels) for column in range(pixels)])
        stored = coarse.mean(axis=0).round().clip(1, 65535).astype(np.uint16)
        write_band(folder / "BigEarthNet-v1.0" / name / f"{name}_{ending}.tif", stored, image, pixels)
        given.append(np.kron(stored, np.ones((pixels, pixels), np.uint16)))
    west, south, east, north = image.rio.bounds()
    about = {
        "labels": on_disk,
        "coordinates": {"ulx": west, "uly": north, "lrx": east, "lry": south},
        "projection": image.rio.crs.to_wkt(),
        "tile_source": f"{name}.SAFE",
        "acquisition_date": f"{image['time'].values.astype('datetime64[D]')} 10:10:31",
    }
    (folder / "BigEarthNet-v1.0" / name / f"{name}_labels_metadata.json").write_text(json.dumps(about))
    return np.stack(given[:10])


def write_s1(folder: Path, image: xr.DataArray, names: dict[str, str], on_disk: tuple[str, ...]) -> np.ndarray:
    """Writes two bands; what a reader gives of them, 2 H W. The key `lly` is spelt as in the real files."""
    name = names["s1"]
    for band in ("VV", "VH"):
        path = folder / "BigEarthNet-S1-v1.0" / name / f"{name}_{band}.tif"
        write_band(path, image.sel(band=band).values, image, 1)
    west, south, east, north = image.rio.bounds()
    about = {
        "labels": on_disk,
        "coordinates": {"ulx": west, "uly": north, "lrx": east, "lly": south},
        "projection": image.rio.crs.to_wkt(),
        "corresponding_s2_patch": names["s2"],
        "scene_source": name,
        "acquisition_time": f"{image['time'].values.astype('datetime64[D]')}T04:32:56",
    }
    (folder / "BigEarthNet-S1-v1.0" / name / f"{name}_labels_metadata.json").write_text(json.dumps(about))
    return image.sel(band=["VV", "VH"]).values


def write_band(path: Path, values: np.ndarray, like: xr.DataArray, pixels: int) -> None:
    """One band, uncompressed, without a value for no data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    grid = {"crs": like.rio.crs, "transform": like.rio.transform() @ rasterio.Affine.scale(pixels)}
    with rasterio.open(path, "w", "GTiff", width, height, 1, dtype=values.dtype, **grid) as file:
        file.write(values, 1)
