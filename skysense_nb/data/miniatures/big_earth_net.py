"""BigEarthNet v1, small: five patches of two places, four of them in the lists."""

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
from skysense_nb.data.miniatures.places import place

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
    """What one patch shows, with the names it has on disk and those of the 19 classes they become."""

    split: str
    kind: str
    date: int
    on_disk: tuple[str, ...]
    labels: tuple[str, ...]


FIELDS, FOREST = "Non-irrigated arable land", "Coniferous forest"
PATCHES = (
    Patch("train", "fields", 0, (FIELDS, "Pastures"), ("Arable land", "Pastures")),
    Patch(
        "train", "fields", 1,
        (FOREST, "Transitional woodland/shrub", "Peatbogs", "Construction sites"),
        (FOREST, "Transitional woodland, shrub", "Inland wetlands"),
    ),
    Patch("val", "fields", 2, ("Rice fields", FIELDS), ("Arable land",)),
    Patch(
        "test", "harbour", 0,
        ("Sea and ocean", "Port areas", "Discontinuous urban fabric", "Estuaries"),
        ("Urban fabric", "Marine waters"),
    ),
    Patch("", "harbour", 1, ("Port areas", "Dump sites"), ()),
)  # fmt: skip
"""The last has none of the 19 classes and is in no list."""


def write_ben_s2(folder: Path, seed: int) -> dict[str, Record]:
    """Sentinel-2 only; the lists name the Sentinel-1 patches all the same."""
    return write("ben_s2", folder, seed, ("s2",))


def write_ben_mm(folder: Path, seed: int) -> dict[str, Record]:
    """Both sensors; some pairs are a day apart, and backscatter is no whole number."""
    return write("ben_mm", folder, seed, ("s2", "s1"))


def write(benchmark_name: str, folder: Path, seed: int, sensors: tuple[str, ...]) -> dict[str, Record]:
    """Twelve files of 120, 60 or 20 pixels per Sentinel-2 patch, two per Sentinel-1 patch, and a JSON for each."""
    classes, truth = benchmark(benchmark_name).class_names, {}
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number, patch in enumerate(PATCHES):
        dates = {f"{sensor}_dates": days for sensor, days in DATES.items()}
        scene = place(patch.kind, seed, SIDE_M, **dates, modalities=("s2", "s1"), clouds=False)
        names = patch_names(patch, number)
        images = {"s2": write_s2, "s1": write_s1}
        found = {sensor: images[sensor](folder, scene, patch, names) for sensor in sensors}
        if not patch.labels:
            continue
        lists[patch.split].append(f"{names['s2']},{names['s1']}")
        grid = scene["s2"]["image"]
        truth[names["s2"]] = {
            "id": names["s2"],
            **{sensor: torch.from_numpy(image.astype(np.float32))[None] for sensor, image in found.items()},
            **{f"{sensor}_date": np.array([DATES[sensor][patch.date]], "datetime64[D]") for sensor in sensors},
            "label": torch.tensor([name in patch.labels for name in classes]),
            "names": patch.labels,
            "crs": grid.rio.crs,
            "transform": grid.rio.transform(),
        }
    for split, lines in lists.items():
        (folder / f"bigearthnet-{split}.csv").write_text("\n".join(lines) + "\n")
    return truth


def patch_names(patch: Patch, number: int) -> dict[str, str]:
    """Names of both patches; columns and rows have one or two digits."""
    day = {sensor: DATES[sensor][patch.date].replace("-", "") for sensor in DATES}
    place_on_tile = f"{4 + 17 * number}_{55 - 13 * number}"
    return {
        "s2": f"S2{'AB'[patch.date > 0]}_MSIL2A_{day['s2']}T{TIMES['s2'][patch.date]}_{place_on_tile}",
        "s1": f"S1A_IW_GRDH_1SDV_{day['s1']}T{TIMES['s1'][patch.date]}_34UDV_{place_on_tile}",
    }


def write_s2(folder: Path, scene: xr.DataTree, patch: Patch, names: dict[str, str]) -> np.ndarray:
    """Writes twelve bands; what a reader gives of them, 10 H W."""
    image, name, given = scene["s2"]["image"].isel(time=patch.date), names["s2"], []
    for ending, (band, pixels) in BANDS.items():
        fine = image.sel(band=band).values.astype(np.float64)
        coarse = np.stack([fine[row::pixels, column::pixels] for row in range(pixels) for column in range(pixels)])
        stored = coarse.mean(axis=0).round().clip(1, 65535).astype(np.uint16)
        write_band(folder / "BigEarthNet-v1.0" / name / f"{name}_{ending}.tif", stored, image, pixels)
        given.append(np.kron(stored, np.ones((pixels, pixels), np.uint16)))
    west, south, east, north = image.rio.bounds()
    about = {
        "labels": patch.on_disk,
        "coordinates": {"ulx": west, "uly": north, "lrx": east, "lry": south},
        "projection": image.rio.crs.to_wkt(),
        "tile_source": f"{name}.SAFE",
        "acquisition_date": f"{DATES['s2'][patch.date]} 10:10:31",
    }
    (folder / "BigEarthNet-v1.0" / name / f"{name}_labels_metadata.json").write_text(json.dumps(about))
    return np.stack(given[:10])


def write_s1(folder: Path, scene: xr.DataTree, patch: Patch, names: dict[str, str]) -> np.ndarray:
    """Writes two bands; what a reader gives of them, 2 H W. The key `lly` is spelt as in the real files."""
    image, name = scene["s1"]["image"].isel(time=patch.date), names["s1"]
    for band in ("VV", "VH"):
        path = folder / "BigEarthNet-S1-v1.0" / name / f"{name}_{band}.tif"
        write_band(path, image.sel(band=band).values, image, 1)
    west, south, east, north = image.rio.bounds()
    about = {
        "labels": patch.on_disk,
        "coordinates": {"ulx": west, "uly": north, "lrx": east, "lly": south},
        "projection": image.rio.crs.to_wkt(),
        "corresponding_s2_patch": names["s2"],
        "scene_source": name,
        "acquisition_time": f"{DATES['s1'][patch.date]}T04:32:56",
    }
    (folder / "BigEarthNet-S1-v1.0" / name / f"{name}_labels_metadata.json").write_text(json.dumps(about))
    return image.sel(band=["VV", "VH"]).values


def write_band(path: Path, values: np.ndarray, like: xr.DataArray, pixels: int) -> None:
    """One band, uncompressed, without a value for no data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = values.shape
    grid = {"crs": like.rio.crs, "transform": like.rio.transform() * rasterio.Affine.scale(pixels)}
    with rasterio.open(path, "w", "GTiff", width, height, 1, dtype=values.dtype, **grid) as file:
        file.write(values, 1)
