"""fMoW-Sentinel, small: two categories, images of one location differing in size."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import rasterio
import torch
import xarray as xr

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import place

KINDS = {"airport": "airfield", "crop_field": "fields"}
DATES = ("2016-03-12", "2017-06-13", "2018-09-02")
SIZES = ((46, 44), (45, 44), (46, 47))
"""Height and width in pixels, per date."""

LOCATIONS = {"train": 2, "val": 1, "test_gt": 1}
"""Per category; numbers start from 0 in each category and each split."""

PLACE_M = 1000
"""Side of the scene that locations of a category are cut from."""


def write_fmow_s2(folder: Path, seed: int) -> dict[str, Record]:
    """Three dates per location in train, two in val, one in test_gt; rows of the lists are not in order of time."""
    truth, cut = {}, 0
    for split, locations in LOCATIONS.items():
        rows = []
        for category, kind in KINDS.items():
            scene = place(kind, seed, PLACE_M, s2_dates=DATES, s1_dates=1, modalities=("s2",), clouds=False)
            for location in range(locations):
                corner, cut = np.random.default_rng([seed, cut]).integers(0, PLACE_M // 10 - 47, 2), cut + 1
                dates = range(len(DATES) - list(LOCATIONS).index(split))
                for image, date in enumerate(reversed(dates)):
                    name = f"{category}_{location}"
                    path = folder / "fmow-sentinel" / split / category / name / f"{name}_{image}.tif"
                    record = write_image(path, scene, date, corner)
                    record |= {"id": f"{split}/{path.stem}", "names": category}
                    record["label"] = torch.tensor(benchmark("fmow_s2").class_names.index(category))
                    truth[record["id"]] = record
                    rows.append((category, location, image, f"{DATES[date]}T10:30:05Z", footprint(record)))
        write_list(folder / f"{split}.csv", rows)
    return truth


def write_image(path: Path, scene: xr.DataTree, date: int, corner: np.ndarray) -> Record:
    """Writes 13 bands in the order of the satellite; what a reader gives of them."""
    (row, column), (height, width) = corner, SIZES[date]
    image = scene["s2"]["image"].isel(time=date)
    ten = image.values[:, row : row + height, column : column + width].clip(1).astype(np.uint16)
    b2, b8a = ten[0], ten[7]
    bands = np.stack([b2 + 150, *ten[:8], b8a // 3, b2 % 12 + 9, *ten[8:]])  # B10 sees next to nothing
    grid = {"crs": image.rio.crs, "transform": image.rio.transform() * rasterio.Affine.translation(column, row)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", "GTiff", width, height, 13, dtype="uint16", compress="deflate", **grid) as file:
        file.write(bands)
    values = torch.from_numpy(ten.astype(np.float32))[None]
    return {"s2": values, "s2_date": np.array([DATES[date]], "datetime64[D]"), **grid}


def footprint(record: Record) -> str:
    """Outline as WKT, whose commas the list has to quote."""
    height, width = record["s2"].shape[-2:]
    corners = ((0, 0), (width, 0), (width, height), (0, height), (0, 0))
    points = ", ".join(f"{x:.0f} {y:.0f}" for x, y in (record["transform"] @ corner for corner in corners))
    return f"POLYGON (({points}))"


def write_list(path: Path, rows: list[tuple]) -> None:
    """The first column is a number without a name."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("", "category", "location_id", "image_id", "timestamp", "polygon"))
        table.writerows((number, *row) for number, row in enumerate(rows))
