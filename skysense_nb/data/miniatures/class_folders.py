"""AID and RESISC-45, small: three kinds of place with five images each, or ten kinds to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import aerial, place, save_jpeg
from skysense_nb.data.miniatures.sights import aerial_scenes, covers
from skysense_nb.data.synthetic.classes import (
    BARE,
    BROADLEAF,
    BUILDING,
    CAR_PARK,
    CONIFER,
    CROPLAND,
    GRASS,
    RUNWAY,
    SHRUB,
    WATER,
)

IMAGES = 5

AID_KINDS = {
    "airfield": "Airport", "quarry": "BareLand", "coast": "Beach", "city": "DenseResidential", "fields": "Farmland",
    "forest": "Forest", "industry": "Industrial", "meadow": "Meadow", "village": "MediumResidential",
    "harbour": "Port",
}  # fmt: skip
RESISC45_KINDS = {
    "airfield": "airport", "coast": "beach", "city": "dense_residential", "forest": "forest", "harbour": "harbor",
    "industry": "industrial_area", "meadow": "meadow", "village": "medium_residential",
    "fields": "rectangular_farmland", "river": "river",
}  # fmt: skip
"""Class on disk per kind of place to learn from."""

SHOWN = {
    "airfield": (RUNWAY,), "quarry": (BARE,), "coast": (WATER,), "city": (BUILDING,), "fields": (CROPLAND,),
    "forest": (BROADLEAF, CONIFER), "industry": (BUILDING, CAR_PARK), "meadow": (GRASS, SHRUB),
    "village": (BUILDING,), "harbour": (WATER,), "river": (WATER,),
}  # fmt: skip


def write_aid(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Folders in capitals, stems in small letters, numbers from 1 without zeros in front; 600 × 600 pixels.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Images of 256 × 256 pixels to learn from, each of another place, instead of fifteen.
    """
    name = "AID/{kind}/{lower}_{number}.jpg"
    if places is not None:
        return write_places("aid", folder, seed, AID_KINDS, name, places)
    kinds = {"Airport": "airfield", "BareLand": "quarry", "Port": "harbour"}
    return write("aid", folder, seed, kinds, name, side=600)


def write_resisc45(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Three digits from 001; 256 × 256 pixels.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Images to learn from, each of another place, instead of fifteen.
    """
    name = "NWPU-RESISC45/{kind}/{kind}_{number:03d}.jpg"
    if places is not None:
        return write_places("resisc45", folder, seed, RESISC45_KINDS, name, places)
    kinds = {"airport": "airfield", "dense_residential": "city", "forest": "forest"}
    return write("resisc45", folder, seed, kinds, name, side=256)


def write(
    benchmark_name: str, folder: Path, seed: int, kinds: dict[str, str], pattern: str, side: int
) -> dict[str, Record]:
    """Five corners of one place per class."""
    truth = {}
    for kind, world_kind in kinds.items():
        image = aerial(place(world_kind, seed, size_m=240, s2_dates=1, s1_dates=1, modalities=("hr",)))
        reach = image.shape[0] - side
        for number in range(1, IMAGES + 1):
            top, left = np.random.default_rng([seed, number]).integers(0, reach + 1, 2)
            path = folder / pattern.format(kind=kind, lower=kind.lower(), number=number)
            truth[path.stem] = write_image(path, image[top : top + side, left : left + side], benchmark_name, kind)
    return truth


def write_places(
    benchmark_name: str, folder: Path, seed: int, kinds: dict[str, str], pattern: str, count: int
) -> dict[str, Record]:
    """One image per place; so few classes that each has two images at least, as readers split every class."""
    chosen = list(kinds)[: max(2, count // 2)]
    truth, images = {}, dict.fromkeys(kinds.values(), 0)
    for drawn, scene in aerial_scenes(chosen, seed, count, covers(SHOWN)):
        kind = kinds[drawn.kind]
        images[kind] += 1
        path = folder / pattern.format(kind=kind, lower=kind.lower(), number=images[kind])
        truth[path.stem] = write_image(path, aerial(scene), benchmark_name, kind)
    return truth


def write_image(path: Path, image: np.ndarray, benchmark_name: str, kind: str) -> Record:
    """Writes H W 3; what a reader must find."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "id": path.stem,
        "hr": torch.from_numpy(save_jpeg(path, image))[None],
        "hr_date": UNKNOWN_DATE.reshape(1),
        "label": torch.tensor(benchmark(benchmark_name).class_names.index(kind)),
        "names": kind,
    }
