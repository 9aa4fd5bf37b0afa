"""fMoW-Sentinel, small: two categories, or ten to learn from; images of one location differ in size."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import rasterio
import torch
import xarray as xr

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import place, scenes, split_of

KINDS = {"airport": "airfield", "crop_field": "fields"}
DATES = ("2016-03-12", "2017-06-13", "2018-09-02")
SIZES = ((46, 44), (45, 44), (46, 47))
"""Height and width in pixels, per date."""

LOCATIONS = {"train": 2, "val": 1, "test_gt": 1}
"""Per category; numbers start from 0 in each category and each split."""

PLACE_M = 1000
"""Side of the scene that locations of a category are cut from."""


CATEGORIES = {
    "airfield": "airport", "fields": "crop_field", "meadow": "golf_course", "harbour": "port", "forest": "park",
    "city": "multi-unit_residential", "village": "single-unit_residential", "industry": "factory_or_powerplant",
    "solar farm": "solar_farm", "quarry": "surface_mine",
}  # fmt: skip
"""Category per kind of place to learn from."""

SPLITS = {"train": "train", "val": "val", "test": "test_gt"}
SMALLEST, LARGEST = 24, 40
"""Sides of images to learn from, in pixels."""


def write_fmow_s2(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Three dates per location in train, two in val, one in test_gt; rows of the lists are not in order of time.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Locations to learn from, instead of eight.
    """
    if places is not None:
        return write_places(folder, seed, places)
    truth, cut = {}, 0
    for split, locations in LOCATIONS.items():
        rows = []
        for category, kind in KINDS.items():
            scene = place(kind, seed, PLACE_M, s2_dates=DATES, s1_dates=1, modalities=("s2",), clouds=False)
            for location in range(locations):
                corner, cut = np.random.default_rng([seed, cut]).integers(0, PLACE_M // 10 - 47, 2), cut + 1
                images = reversed(range(len(DATES) - list(LOCATIONS).index(split)))
                views = [(scene["s2"]["image"][date], corner, SIZES[date]) for date in images]
                rows += write_location(folder, split, category, location, views, truth)
        write_list(folder / f"{split}.csv", rows)
    return truth


def write_places(folder: Path, seed: int, count: int) -> dict[str, Record]:
    """Four to eight dates per location, in any order, without clouds as composites are."""
    rows: dict[str, list[tuple]] = {split: [] for split in LOCATIONS}
    truth: dict[str, Record] = {}
    dates = {"s2_dates": lambda number: int(np.random.default_rng([seed, number]).integers(4, 9)), "s1_dates": 1}
    drawn = scenes(tuple(CATEGORIES), seed, count, 10 * LARGEST, modalities=("s2",), clouds=False, **dates)
    for number, (where, scene) in enumerate(drawn):
        dice, images = np.random.default_rng([seed, number, 1]), scene["s2"]["image"]
        size = dice.integers(SMALLEST, LARGEST - 1, 2)
        corner = (LARGEST - size) // 2
        views = [(images[date], corner, size + dice.integers(0, 2, 2)) for date in dice.permutation(len(images))]
        split, category = SPLITS[split_of(number, len(CATEGORIES))], CATEGORIES[where.kind]
        location = len({row[1] for row in rows[split] if row[0] == category})
        rows[split] += write_location(folder, split, category, location, views, truth)
    for split, listed in rows.items():
        write_list(folder / f"{split}.csv", listed)
    return truth


def write_location(
    folder: Path,
    split: str,
    category: str,
    location: int,
    views: list[tuple[xr.DataArray, np.ndarray, np.ndarray]],
    truth: dict[str, Record],
) -> list[tuple]:
    """Images of one location, each cut from its corner in its size; rows of the list. Adds records to `truth`."""
    rows = []
    for number, (image, corner, size) in enumerate(views):
        name = f"{category}_{location}"
        path = folder / "fmow-sentinel" / split / category / name / f"{name}_{number}.tif"
        record = write_image(path, image, corner, size)
        record |= {"id": f"{split}/{path.stem}", "names": category}
        record["label"] = torch.tensor(benchmark("fmow_s2").class_names.index(category))
        truth[record["id"]] = record
        rows.append((category, location, number, f"{record['s2_date'][0]}T10:30:05Z", footprint(record)))
    return rows


def write_image(path: Path, image: xr.DataArray, corner: np.ndarray, size: np.ndarray) -> Record:
    """Writes 13 bands in the order of the satellite; what a reader gives of them."""
    row, column, height, width = map(int, (*corner, *size))
    ten = image.values[:, row : row + height, column : column + width].clip(1).astype(np.uint16)
    b2, b8a = ten[0], ten[7]
    bands = np.stack([b2 + 150, *ten[:8], b8a // 3, b2 % 12 + 9, *ten[8:]])  # B10 sees next to nothing
    grid = {"crs": image.rio.crs, "transform": image.rio.transform() @ rasterio.Affine.translation(column, row)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", "GTiff", width, height, 13, dtype="uint16", compress="deflate", **grid) as file:
        file.write(bands)
    values = torch.from_numpy(ten.astype(np.float32))[None]
    return {"s2": values, "s2_date": image["time"].values.astype("datetime64[D]").reshape(1), **grid}


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
