"""LEVIR-CD, small: seven pairs in the official tree, years apart, or many to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.miniatures.places import aerial, place, split_of
from skysense_nb.data.miniatures.sights import aerial_scenes, outline
from skysense_nb.data.synthetic.classes import BUILDING
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.regions import Place

SIDE = 256
PIXELS_PER_LABEL = 4  # 1.25 m and 0.3125 m
PLACES = {"city": ("train_1", "train_2", "train_10"), "village": ("val_1", "val_2", "test_1", "test_2")}
DATES = ("2018-06-20", "2026-06-20")

KINDS = ("city", "village", "industry")
"""Of places to learn from."""

SURVEY_M = 320


def write_levir_cd(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """A before and B after; 255 where a building was built or torn down; 256 × 256 pixels.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Pairs to learn from, each of another place, instead of seven.
    """
    if places is not None:
        return write_places(folder, seed, places)
    truth = {}
    for kind, names in PLACES.items():
        scene = place(kind, seed, size_m=240, hr_dates=DATES, s2_dates=1, s1_dates=1, modalities=("hr",))
        pairs = [aerial(scene, date) for date in (0, 1)]
        change = buildings(scene)
        for name, (top, left) in zip(names, liveliest(change, len(names)), strict=True):
            area = np.s_[top : top + SIDE, left : left + SIDE]
            truth[name] = write_pair(folder, name, pairs[0][area], pairs[1][area], change[area])
    return truth


def write_places(folder: Path, seed: int, count: int) -> dict[str, Record]:
    """One pair per place, all with some change."""
    truth, pairs = {}, dict.fromkeys(("train", "val", "test"), 0)
    for turn, (_, scene) in enumerate(aerial_scenes(KINDS, seed, count, building_sites, SURVEY_M, DATES)):
        split = split_of(turn)
        pairs[split] += 1
        name = f"{split}_{pairs[split]}"
        truth[name] = write_pair(folder, name, aerial(scene, 0), aerial(scene, 1), buildings(scene))
    return truth


def building_sites(place: Place, survey: xr.DataTree, dice: Dice) -> np.ndarray:
    """Sight of the outlines of buildings that came or went; the middle of a new hall alone would be one flat grey."""
    return outline(rebuilt(survey))


def write_pair(folder: Path, name: str, before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> Record:
    """Writes two images H W 3 and what changed, H W bool; what a reader must find."""
    parent = folder / name.split("_")[0]
    for where, pixels in {"A": before, "B": after, "label": mask.astype(np.uint8) * 255}.items():
        (parent / where).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(parent / where / f"{name}.png")
    return {
        "id": name,
        "hr": torch.from_numpy(np.stack([before, after]).transpose(0, 3, 1, 2).copy()),
        "hr_date": UNKNOWN_DATE.repeat(2),
        "mask": torch.from_numpy(mask.astype(np.int64)),
    }


def rebuilt(scene: xr.DataTree) -> np.ndarray:
    """Where buildings came or went, H W bool on the grid of the labels."""
    labels = scene["labels"]
    built = (labels["change_from"].values == BUILDING) | (labels["change_to"].values == BUILDING)
    return built & (labels["change"].values > 0)


def buildings(scene: xr.DataTree) -> np.ndarray:
    """Where buildings came or went, H W bool on the grid of the images."""
    return np.kron(rebuilt(scene), np.ones((PIXELS_PER_LABEL, PIXELS_PER_LABEL), bool))


def liveliest(change: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Top and left of the cells with the most change."""
    starts = range(0, change.shape[0] - SIDE + 1, SIDE)
    cells = [(top, left) for top in starts for left in starts]
    return sorted(cells, key=lambda at: -change[at[0] : at[0] + SIDE, at[1] : at[1] + SIDE].sum())[:count]
