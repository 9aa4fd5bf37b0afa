"""AID and RESISC-45, small: three kinds of place with five images each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import aerial, place, save_jpeg

IMAGES = 5


def write_aid(folder: Path, seed: int) -> dict[str, Record]:
    """Folders in capitals, stems in small letters, numbers from 1 without zeros in front; 600 × 600 pixels."""
    kinds = {"Airport": "airfield", "BareLand": "quarry", "Port": "harbour"}
    name = "AID/{kind}/{lower}_{number}.jpg"
    return write("aid", folder, seed, kinds, name, side=600)


def write_resisc45(folder: Path, seed: int) -> dict[str, Record]:
    """Three digits from 001; 256 × 256 pixels."""
    kinds = {"airport": "airfield", "dense_residential": "city", "forest": "forest"}
    return write("resisc45", folder, seed, kinds, "NWPU-RESISC45/{kind}/{kind}_{number:03d}.jpg", side=256)


def write(
    benchmark_name: str, folder: Path, seed: int, kinds: dict[str, str], pattern: str, side: int
) -> dict[str, Record]:
    """Five corners of one place per class."""
    ids, truth = benchmark(benchmark_name).class_names, {}
    for kind, world_kind in kinds.items():
        image = aerial(place(world_kind, seed, size_m=240, s2_dates=1, s1_dates=1, modalities=("hr",)))
        reach = image.shape[0] - side
        for number in range(1, IMAGES + 1):
            top, left = np.random.default_rng([seed, number]).integers(0, reach + 1, 2)
            path = folder / pattern.format(kind=kind, lower=kind.lower(), number=number)
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = save_jpeg(path, image[top : top + side, left : left + side])
            truth[path.stem] = {
                "id": path.stem,
                "hr": torch.from_numpy(stored)[None],
                "hr_date": UNKNOWN_DATE.reshape(1),
                "label": torch.tensor(ids.index(kind)),
                "names": kind,
            }
    return truth
