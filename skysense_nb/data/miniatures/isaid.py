"""iSAID, small: whole images with colour and instance masks, and patches of these; or many images to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image, ImageDraw
from rasterio.features import rasterize
from shapely import Polygon

from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import aerial, box_corners, place, spread
from skysense_nb.data.miniatures.sights import aerial_scenes, longer_sides, objects
from skysense_nb.data.synthetic.classes import AIRPLANE, SHIP, SPORTS_FIELD, STORAGE_TANK, VEHICLE
from skysense_nb.data.synthetic.things import OUTLINES

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

KINDS = ("airfield", "harbour", "industry", "city", "village")
"""Of places to learn from."""

SURVEY_M = 320

ENDS = {"train": 0.6, "val": 0.85, "test": 1.0}
"""Upper ends of the shares of places to learn from; few are left without masks."""

LARGE_M, TENNIS_M = 7, 50
"""Vehicles from the one length on are large, fields up to the other are tennis courts."""

ROUND = np.stack([np.cos(np.arange(0, 6.28, 0.2)), np.sin(np.arange(0, 6.28, 0.2))], axis=-1) / 2
BOX = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
SHAPES = {**OUTLINES, STORAGE_TANK: ROUND, SPORTS_FIELD: BOX}
"""Outline of each class of object in the world, of unit length and width."""


def write_isaid(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """A strip with a block of each class runs along the top, so that every colour is there.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Whole images of 256 × 256 pixels to learn from, each of another place, instead of five and patches.
    """
    if places is not None:
        return write_places(folder, seed, places)
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


def write_places(folder: Path, seed: int, count: int) -> dict[str, Record]:
    """One image per place, with the outlines of its objects."""
    truth: dict[str, Record] = {}
    for turn, (_, scene) in enumerate(aerial_scenes(KINDS, seed, count, objects(name_of), SURVEY_M)):
        split = next(split for split, end in ENDS.items() if spread(turn, len(KINDS)) < end)
        name, image = f"P{turn:04d}", aerial(scene)
        (folder / split / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / split / "images" / f"{name}.png")
        mask, instances = outlined(scene)
        truth[name] = record(name, image, None if split == "test" else mask)
        if split != "test":
            write_masks(folder / split / "images" / name, mask, instances)
    return truth


def name_of(kind: int, length_m: float) -> str:
    """Class of an object of the world."""
    if kind == VEHICLE and length_m >= LARGE_M:
        return "Large_Vehicle"
    if kind == SPORTS_FIELD and length_m < TENNIS_M:
        return "tennis_court"
    return benchmark("isaid").class_names[CLASSES[kind]]


def outlined(scene: xr.DataTree) -> tuple[np.ndarray, np.ndarray]:
    """Class ids and instance numbers of a scene with one aerial image, H W each."""
    image, labels = scene["hr"]["image"], scene["labels"]
    corners, kinds = labels["object_corners"].values, labels["object_class"].values.tolist()
    names, shapes = benchmark("isaid").class_names, []
    for box, kind, long in zip(corners, kinds, longer_sides(corners).tolist(), strict=True):
        along, across = box[1] - box[0], box[3] - box[0]  # boxes of the world begin behind on the right
        outline = box.mean(0) + SHAPES[kind] @ np.stack([along, across])
        shapes.append((Polygon(outline), names.index(name_of(kind, long))))
    grid = {"out_shape": image.shape[-2:], "transform": image.odc.geobox.transform, "dtype": "int32"}
    if not shapes:
        return np.zeros(image.shape[-2:], np.int32), np.zeros(image.shape[-2:], np.int32)
    numbered = [(shape, 1000 + INSTANCE_STEP * number) for number, (shape, _) in enumerate(shapes)]
    return rasterize(shapes, **grid), rasterize(numbered, **grid)


def record(name: str, image: np.ndarray, mask: np.ndarray | None) -> Record:
    """What a reader gives."""
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    found: Record = {"id": name, "hr": pixels, "hr_date": UNKNOWN_DATE.reshape(1)}
    return found if mask is None else {**found, "mask": torch.from_numpy(mask.astype(np.int64))}


def write_masks(path: Path, mask: np.ndarray, instances: np.ndarray) -> None:
    """Classes as colours, and instances as R + 256 G + 65,536 B."""
    colors = np.array([one.code for one in benchmark("isaid").classes], np.uint8)
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
    colors = [value for one in benchmark("isaid").classes for value in one.code]
    palette.putpalette(colors + [255] * (3 * 256 - len(colors)))  # a shorter one would be stored with 4 bits
    palette.save(folder / "ann_dir" / split / paths["ann_dir"])
    return {name: record(name, image, ids)}
