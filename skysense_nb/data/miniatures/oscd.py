"""OSCD, small: three cities in the three folders of the archives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.miniatures.places import place
from skysense_nb.data.synthetic.classes import BUILDING
from skysense_nb.sensors import S2

HEIGHT, WIDTH = 60, 72
TITLE = "Onera Satellite Change Detection dataset"
CITIES = {"aguasclaras": ("train", "city"), "bercy": ("train", "industry"), "brasilia": ("test", "village")}
DATES = ("2018-06-20", "2026-06-20")
STEP = {"B01": 6, "B05": 2, "B06": 2, "B07": 2, "B8A": 2, "B09": 6, "B10": 6, "B11": 2, "B12": 2}
"""10 m pixels to a native one, where that is more than one."""
LABELS_PER_PIXEL = 8  # 1.25 m and 10 m


def write_oscd(folder: Path, seed: int) -> dict[str, Record]:
    """Thirteen bands of 60 × 72 pixels on one grid, and native ones that differ in size; labels as R G B or grey PNG
    and as 1 and 2; lists between commas. Without the previews and outlines, which a reader has no use for."""
    truth = {}
    for city, (split, kind) in CITIES.items():
        scene = place(kind, seed, size_m=720, s2_dates=DATES, s1_dates=1, modalities=("s2",), clouds=False)
        stored = scene["s2"]["image"].transpose("time", "band", "y", "x").values[..., :HEIGHT, :WIDTH].clip(0)
        labels = scene["labels"]
        built = (labels["change_to"].values == BUILDING).reshape(WIDTH, LABELS_PER_PIXEL, WIDTH, LABELS_PER_PIXEL)
        mask = (built.mean((1, 3)) > 0.25)[:HEIGHT]
        images = folder / f"{TITLE} - Images" / city
        for number, image in enumerate(stored, start=1):
            write_bands(images, number, thirteen(image.astype(np.uint16)))
        days = "".join(f"date_{number}: {day.replace('-', '')}\n" for number, day in enumerate(DATES, start=1))
        (images / "dates.txt").write_text(days)
        write_labels(folder / f"{TITLE} - {split.title()} Labels" / city / "cm", city, mask, color=city != "bercy")
        truth[city] = {
            "id": city,
            "s2": torch.from_numpy(stored.astype(np.float32)),
            "s2_date": np.array(DATES, "datetime64[D]"),
            "mask": torch.from_numpy(mask.astype(np.int64)),
        }
    for split in ("train", "test"):
        cities = [city for city, (part, _) in CITIES.items() if part == split]
        (folder / f"{TITLE} - Images" / f"{split}.txt").write_text(",".join(cities) + "\n")
    return truth


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
