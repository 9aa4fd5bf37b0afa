"""iSAID, small: whole images with colour and instance masks, and patches of 896 pixels cut from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import aerial, box_corners, place
from skysense_nb.data.synthetic.classes import AIRPLANE, SHIP, SPORTS_FIELD, STORAGE_TANK, VEHICLE

CLASSES = {AIRPLANE: 14, SHIP: 1, VEHICLE: 9, STORAGE_TANK: 2, SPORTS_FIELD: 13}
"""Class on disk per class of object in the world."""

IMAGES = {
    "train": {"P0002": ("harbour", 240, 200), "P0010": ("industry", 180, 220)},
    "val": {"P0003": ("city", 160, 192)},
    "test": {"P0006": ("village", 160, 160)},
}
"""Per split and name: kind of place, height and width in pixels."""

PATCH = 896
INSTANCE_STEP = 66_000
"""Instance numbers need all three colours of a pixel; the first is 1000, and 999 is not an object."""


def write_isaid(folder: Path, seed: int) -> dict[str, Record]:
    """A strip with a block of each class runs along the top, so that every colour is there."""
    truth: dict[str, Record] = {}
    for split, images in IMAGES.items():
        (folder / split / "images").mkdir(parents=True)
        for name, (kind, height, width) in images.items():
            image, mask, instances = scene_of(kind, seed, height, width)
            Image.fromarray(image).save(folder / split / "images" / f"{name}.png", optimize=True)
            truth[name] = record(name, image, None if split == "test" else mask)
            if split != "test":
                write_masks(folder / split / "images" / name, mask, instances)
                truth |= write_patch(folder / "patches", split, name, image, mask)
    return truth


def scene_of(kind: str, seed: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image H W 3, its class ids and its instance numbers."""
    scene = place(kind, seed, 160, s2_dates=1, s1_dates=1, modalities=("hr",))
    corners, kinds = box_corners(scene)
    middles = corners.mean(axis=1) if len(corners) else np.full((1, 2), 256.0)
    left, top = (middles[0] - (width / 2, height / 2)).clip(0, (512 - width, 512 - height)).astype(int)
    ids, instances = (Image.new("I", (width, height)) for _ in range(2))
    for number, (box, object_kind) in enumerate(zip(corners - (left, top), kinds, strict=True)):
        outline = [tuple(point) for point in box]
        ImageDraw.Draw(ids).polygon(outline, fill=CLASSES[int(object_kind)])
        ImageDraw.Draw(instances).polygon(outline, fill=1000 + INSTANCE_STEP * number)
    mask, numbers = np.array(ids), np.array(instances)
    block = width // 16
    for one in range(16):
        mask[:8, one * block : (one + 1) * block] = one
        numbers[:8, one * block : (one + 1) * block] = 998 + one  # 998 and 999 are no objects
    return aerial(scene)[top : top + height, left : left + width], mask, numbers


def record(name: str, image: np.ndarray, mask: np.ndarray | None) -> Record:
    """What a reader gives."""
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    found: Record = {"id": name, "hr": pixels, "hr_date": UNKNOWN_DATE.reshape(1)}
    return found if mask is None else {**found, "mask": torch.from_numpy(mask.astype(np.int64))}


def write_masks(path: Path, mask: np.ndarray, instances: np.ndarray) -> None:
    """Classes as colours, and instances as R + 256 G + 65,536 B."""
    colors = np.array([one.color for one in benchmark("isaid").classes], np.uint8)
    Image.fromarray(colors[mask]).save(f"{path}_instance_color_RGB.png")
    numbers = np.stack([instances & 255, instances >> 8 & 255, instances >> 16], axis=-1)
    Image.fromarray(numbers.astype(np.uint8)).save(f"{path}_instance_id_RGB.png")


def write_patch(folder: Path, split: str, name: str, image: np.ndarray, mask: np.ndarray) -> dict[str, Record]:
    """One patch, larger than the image: filled up with 0, and in the mask, which is a palette of ids, with 255."""
    name = f"{name}_0_{PATCH}_0_{PATCH}"
    border = [(0, PATCH - size) for size in mask.shape]
    image, ids = np.pad(image, (*border, (0, 0))), np.pad(mask, border, constant_values=IGNORED)
    paths = {"img_dir": f"{name}.png", "ann_dir": f"{name}_instance_color_RGB.png"}
    for kind in paths:
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / "img_dir" / split / paths["img_dir"], optimize=True)
    palette = Image.fromarray(ids.astype(np.uint8)).convert("P")
    colors = [value for one in benchmark("isaid").classes for value in one.color]
    palette.putpalette(colors + [255] * (3 * 256 - len(colors)))  # a shorter one would be stored with 4 bits
    palette.save(folder / "ann_dir" / split / paths["ann_dir"])
    return {name: record(name, image, ids)}
