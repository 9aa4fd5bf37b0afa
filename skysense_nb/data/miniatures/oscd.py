"""OSCD, small: three cities in the three folders of the archives, or as many as wanted to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.miniatures.places import place, scenes, split_of
from skysense_nb.data.synthetic.classes import BUILDING, CAR_PARK, QUAY, ROAD, RUNWAY, SOLAR
from skysense_nb.sensors import S2

HEIGHT, WIDTH = 60, 72
TITLE = "Onera Satellite Change Detection dataset"
CITIES = {"aguasclaras": ("train", "city"), "bercy": ("train", "industry"), "brasilia": ("test", "village")}
DATES = ("2018-06-20", "2026-06-20")
STEP = {"B01": 6, "B05": 2, "B06": 2, "B07": 2, "B8A": 2, "B09": 6, "B10": 6, "B11": 2, "B12": 2}
"""10 m pixels to a native one, where that is more than one."""
LABELS_PER_PIXEL = 8  # 1.25 m and 10 m


KINDS = ("industry", "village")
"""Of places to learn from: where the world builds most; its cities hardly change."""

BUILT = (BUILDING, ROAD, CAR_PARK, RUNWAY, SOLAR, QUAY)
PLACE_PIXELS = 64
LEAST_CHANGE = 0.004
"""Share of the pixels of a place to learn from that must have changed."""


def write_oscd(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Thirteen bands of 60 × 72 pixels on one grid, and native ones that differ in size; labels as R G B or grey PNG
    and as 1 and 2; lists between commas. Without the previews and outlines, which a reader has no use for.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Cities of 64 × 64 pixels to learn from, instead of three.
    """
    if places is not None:
        return write_places(folder, seed, places)
    truth = {}
    for city, (split, kind) in CITIES.items():
        scene = place(kind, seed, size_m=720, s2_dates=DATES, s1_dates=1, modalities=("s2",), clouds=False)
        stored = scene["s2"]["image"].transpose("time", "band", "y", "x").values[..., :HEIGHT, :WIDTH].clip(0)
        mask = (share_turned_to(scene, BUILDING) > 0.25)[:HEIGHT]
        truth[city] = write_city(folder, city, split, stored, DATES, mask, color=city != "bercy")
    write_lists(folder, {city: split for city, (split, _) in CITIES.items()})
    return truth


def write_places(folder: Path, seed: int, count: int) -> dict[str, Record]:
    """Cities in two years and seasons: what was built between them is marked, what the season did is not."""
    truth, splits = {}, {}
    built = {"s2_dates": lambda number: days(seed, number), "s1_dates": 1, "modalities": ("s2",), "clouds": False}
    drawn = scenes(KINDS, seed, count, 10 * PLACE_PIXELS, lambda _, scene: new(scene).mean() > LEAST_CHANGE, **built)
    for number, (_, scene) in enumerate(drawn):
        city = f"city{number:03d}"
        splits[city] = "train" if split_of(number, len(KINDS)) == "train" else "test"
        stored = scene["s2"]["image"].transpose("time", "band", "y", "x").values
        mask, dates = new(scene), days(seed, number)
        truth[city] = write_city(folder, city, splits[city], stored, dates, mask, color=number % 2 == 0)
    write_lists(folder, splits)
    return truth


def days(seed: int, number: int) -> tuple[str, str]:
    """Eight years apart, each some day from March to October."""
    shifts = np.random.default_rng([seed, number]).integers(0, 240, 2).tolist()
    return tuple(str(np.datetime64(f"{year}-03-01") + shift) for year, shift in zip((2018, 2026), shifts, strict=True))


def new(scene: xr.DataTree) -> np.ndarray:
    """Where more than a quarter of a pixel was built on, H W bool."""
    return share_turned_to(scene, BUILT) > 0.25


def share_turned_to(scene: xr.DataTree, covers: int | tuple[int, ...]) -> np.ndarray:
    """Share of each 10 m pixel that another land cover turned into, H W."""
    turned = np.isin(scene["labels"]["change_to"].values, covers)
    height, width = (side // LABELS_PER_PIXEL for side in turned.shape)
    return turned.reshape(height, LABELS_PER_PIXEL, width, LABELS_PER_PIXEL).mean((1, 3))


def write_city(
    folder: Path, city: str, split: str, stored: np.ndarray, dates: tuple[str, str], mask: np.ndarray, color: bool
) -> Record:
    """All files of a city; its record."""
    images = folder / f"{TITLE} - Images" / city
    for number, image in enumerate(stored, start=1):
        write_bands(images, number, thirteen(image.astype(np.uint16)))
    lines = "".join(f"date_{number}: {day.replace('-', '')}\n" for number, day in enumerate(dates, start=1))
    (images / "dates.txt").write_text(lines)
    write_labels(folder / f"{TITLE} - {split.title()} Labels" / city / "cm", city, mask, color)
    return {
        "id": city,
        "s2": torch.from_numpy(stored.astype(np.float32)),
        "s2_date": np.array(dates, "datetime64[D]"),
        "mask": torch.from_numpy(mask.astype(np.int64)),
    }


def write_lists(folder: Path, splits: dict[str, str]) -> None:
    """Cities of each split."""
    for split in ("train", "test"):
        cities = [city for city, part in splits.items() if part == split]
        (folder / f"{TITLE} - Images" / f"{split}.txt").write_text(",".join(cities) + "\n")


def thirteen(image: np.ndarray) -> dict[str, np.ndarray]:
    """The world's ten bands by file name, and made-up ones for aerosol, water vapour and cirrus."""
    bands = {f"B{name[1:]:0>2}": band for name, band in zip(S2.bands, image, strict=True)}
    return bands | {"B01": bands["B02"] + 150, "B09": bands["B8A"] // 3, "B10": np.full_like(bands["B02"], 12)}


def write_bands(city: Path, number: int, bands: dict[str, np.ndarray]) -> None:
    """One date in both forms; the second native one lacks a row and a column."""
    for name, band in bands.items():
        save_tiff(city / f"imgs_{number}_rect" / f"{name}.tif", band)
        native = band[:: STEP.get(name, 1), :: STEP.get(name, 1)]
        if number == 2:
            native = native[:-1, :-1]
        save_tiff(city / f"imgs_{number}" / f"S2A_OPER_MSI_L1C_TL_20{number}_{name}.tif", native)


def write_labels(folder: Path, city: str, mask: np.ndarray, color: bool) -> None:
    """Both files of a city."""
    save_tiff(folder / f"{city}-cm.tif", mask.astype(np.uint8) + 1)
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    (grey.convert("RGB") if color else grey).save(folder / "cm.png")


def save_tiff(path: Path, band: np.ndarray) -> None:
    """One band without a coordinate system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(band).save(path, compression="tiff_deflate")
