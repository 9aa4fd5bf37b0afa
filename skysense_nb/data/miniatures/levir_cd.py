"""LEVIR-CD, small: seven pairs in the official tree, years apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.miniatures.places import aerial, place
from skysense_nb.data.synthetic.classes import BUILDING

SIDE = 256
PIXELS_PER_LABEL = 4  # 1.25 m and 0.3125 m
PLACES = {"city": ("train_1", "train_2", "train_10"), "village": ("val_1", "val_2", "test_1", "test_2")}
DATES = ("2018-06-20", "2026-06-20")


def write_levir_cd(folder: Path, seed: int) -> dict[str, Record]:
    """A before and B after; 255 where a building was built or torn down; 256 × 256 pixels."""
    truth = {}
    for kind, names in PLACES.items():
        scene = place(kind, seed, size_m=240, hr_dates=DATES, s2_dates=1, s1_dates=1, modalities=("hr",))
        pairs = [aerial(scene, date) for date in (0, 1)]
        change = buildings(scene)
        for name, (top, left) in zip(names, liveliest(change, len(names)), strict=True):
            area, parent = np.s_[top : top + SIDE, left : left + SIDE], folder / name.split("_")[0]
            before, after, mask = pairs[0][area], pairs[1][area], change[area]
            for where, pixels in {"A": before, "B": after, "label": mask.astype(np.uint8) * 255}.items():
                (parent / where).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(parent / where / f"{name}.png")
            truth[name] = {
                "id": name,
                "hr": torch.from_numpy(np.stack([before, after]).transpose(0, 3, 1, 2).copy()),
                "hr_date": UNKNOWN_DATE.repeat(2),
                "mask": torch.from_numpy(mask.astype(np.int64)),
            }
    return truth


def buildings(scene: xr.DataTree) -> np.ndarray:
    """Where buildings came or went, H W bool on the grid of the images."""
    labels = scene["labels"]
    built = (labels["change_from"].values == BUILDING) | (labels["change_to"].values == BUILDING)
    return np.kron(built & (labels["change"].values > 0), np.ones((PIXELS_PER_LABEL, PIXELS_PER_LABEL), bool))


def liveliest(change: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Top and left of the cells with the most change."""
    starts = range(0, change.shape[0] - SIDE + 1, SIDE)
    cells = [(top, left) for top in starts for left in starts]
    return sorted(cells, key=lambda at: -change[at[0] : at[0] + SIDE, at[1] : at[1] + SIDE].sum())[:count]
