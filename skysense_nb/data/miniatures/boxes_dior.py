"""DIOR and DIOR-R, small: six images, or many to learn from, and annotations of both kinds in one tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch

from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import aerial, box_corners, clockwise, place, save_jpeg, split_of
from skysense_nb.data.miniatures.sights import aerial_scenes, by_place, named_boxes, objects
from skysense_nb.data.synthetic.classes import AIRPLANE, SHIP, SPORTS_FIELD, STORAGE_TANK, VEHICLE

SIDE = 800
ON_DISK = {
    AIRPLANE: "airplane",
    SHIP: "ship",
    VEHICLE: "vehicle",
    STORAGE_TANK: "storagetank",
    SPORTS_FIELD: "groundtrackfield",
}
PARTS = {
    "train": {"00001": ("airfield", 0), "00003": ("harbour", 0)},
    "val": {"00002": ("river", 0), "00010": ("river", 160)},
    "test": {"11726": ("industry", 0), "11727": ("industry", 160)},
}
"""Per image a kind of place, and where the image begins in it: pixels from the upper left, both ways."""

DRAWN = {
    "00001": {"airport": [[0, 120], [640, 60], [660, 420], [20, 480]]},  # touches the left border
    "00003": {"Expressway-Service-area": [[400, 200], [520, 320], [400, 440], [280, 320]]},  # at 45 degrees
    "00002": {"harbor": [[300, 700], [800, 640], [812, 740], [312, 800]]},  # leaves the image on the right
    "00010": {"Expressway-toll-station": [[500, 90], [610, 90], [610, 170], [500, 170]]},
    "11726": {"dam": [[90, 610], [330, 560], [345, 632], [105, 682]]},
    "11727": {"overpass": [[220, 0], [300, 0], [300, 790], [220, 790]]},
}
"""Larger things that the world does not name, drawn so that every spelling and position occurs."""

KINDS = ("airfield", "harbour", "industry", "city", "village")
"""Of places to learn from."""

SURVEY_M, SCENES_PER_PLACE = 320, 3

TENNIS_M = 50
"""Sports fields up to this length are tennis courts."""

FIRST_FOR_TESTING = 11726

Image = tuple[str, str, np.ndarray, list[str], np.ndarray]
"""Split, number, pixels H W 3, classes on disk and corners N 4 2."""


def write_dior(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """800 × 800 pixels, whole numbers, the two expressway classes with hyphens and capitals.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Places to learn from, with up to three images of 256 × 256 pixels each, instead of six images.
    """
    truth = {}
    for number, image, names, corners in write(folder, seed, places):
        boxes = torch.from_numpy(edges(corners, image.shape[-1])).float()
        truth[number] = record(number, image, names) | {"bbox_xyxy": boxes}
    return truth


def write_dior_r(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """The same files; boxes touch the border, leave the image, stand at 45 degrees; `angle` is of no use.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Places to learn from, with up to three images of 256 × 256 pixels each, instead of six images.
    """
    truth = {}
    for number, image, names, corners in write(folder, seed, places):
        truth[number] = record(number, image, names) | {"bbox_corners": torch.from_numpy(corners).float()}
    return truth


def write(folder: Path, seed: int, places: int | None) -> Iterator[tuple[str, np.ndarray, list[str], np.ndarray]]:
    """All files; per image its number, pixels 3 H W as stored, classes on disk and corners N 4 2."""
    lists: dict[str, list[str]] = {split: [] for split in PARTS}
    for split, number, image, names, corners in six_images(seed) if places is None else new_images(seed, places):
        lists[split].append(number)
        boxes = clockwise(corners)
        path = folder / f"DIOR/JPEGImages-{'test' if split == 'test' else 'trainval'}/{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = save_jpeg(path, image)
        for kind_of_box in ("Horizontal", "Oriented"):
            write_xml(folder / f"DIOR/Annotations/{kind_of_box} Bounding Boxes/{number}.xml", names, boxes, len(image))
        yield number, pixels, names, boxes
    (folder / "DIOR" / "ImageSets" / "Main").mkdir(parents=True)
    for split, numbers in lists.items():
        (folder / f"DIOR/ImageSets/Main/{split}.txt").write_text("".join(f"{number}\n" for number in numbers))


def six_images(seed: int) -> Iterator[Image]:
    """Things of the world, and one that it does not name on each."""
    for split, images in PARTS.items():
        for number, (kind, start) in images.items():
            scene = place(kind, seed, size_m=300, s2_dates=1, s1_dates=1, modalities=("hr",))
            corners, classes = box_corners(scene)
            inside = ((corners.mean(1) > start) & (corners.mean(1) < start + SIDE)).all(1)
            drawn = DRAWN[number]
            names = [ON_DISK[one] for one in classes[inside]] + list(drawn)
            boxes = np.concatenate([(corners[inside] - start).round(), np.array(list(drawn.values()), float)])
            yield split, number, aerial(scene)[start : start + SIDE, start : start + SIDE], names, boxes


def new_images(seed: int, count: int) -> Iterator[Image]:
    """Images of places, numbered as the official ones: those for testing come after all others."""
    following = {"trainval": 1, "test": FIRST_FOR_TESTING}
    drawn = aerial_scenes(KINDS, seed, count, objects(name_of), SURVEY_M, scenes_per_place=SCENES_PER_PLACE)
    for turn, scene in by_place(drawn):
        split = split_of(turn, len(KINDS))
        row = "test" if split == "test" else "trainval"
        number, following[row] = f"{following[row]:05d}", following[row] + 1
        names, corners = named_boxes(scene, name_of)
        yield split, number, aerial(scene), names, corners.round()


def name_of(kind: int, length_m: float) -> str:
    """Class on disk of an object of the world."""
    return "tenniscourt" if kind == SPORTS_FIELD and length_m < TENNIS_M else ON_DISK[kind]


def write_xml(path: Path, names: list[str], corners: np.ndarray, side: int) -> None:
    """An annotation with horizontal or oriented boxes, as its folder says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element("annotation")
    add(root, filename=f"{path.stem}.jpg")
    add(ElementTree.SubElement(root, "source"), database="DIOR")
    add(ElementTree.SubElement(root, "size"), width=side, height=side, depth=3)
    add(root, segmented=0)
    for name, box, (left, top, right, bottom) in zip(names, corners, edges(corners, side), strict=True):
        one = ElementTree.SubElement(root, "object")
        if path.parent.name.startswith("Horizontal"):
            add(one, name=name, pose="Unspecified")
            add(ElementTree.SubElement(one, "bndbox"), xmin=left, ymin=top, xmax=right, ymax=bottom)
            continue
        add(one, type="robndbox", name=name, pose="Unspecified", truncated=0, difficult=0, angle=0)
        corner = ElementTree.SubElement(one, "robndbox")
        for key, (x, y) in zip(("left_top", "right_top", "right_bottom", "left_bottom"), box, strict=True):
            add(corner, **{f"x_{key}": int(x), f"y_{key}": int(y)})
    ElementTree.indent(root, "\t")
    ElementTree.ElementTree(root).write(path)


def add(node: ElementTree.Element, **values: object) -> None:
    """Children of an element that hold a value each."""
    for key, value in values.items():
        ElementTree.SubElement(node, key).text = str(value)


def edges(corners: np.ndarray, side: int) -> np.ndarray:
    """Boxes N 4 around corners, within the image."""
    return np.concatenate([corners.min(1), corners.max(1)], axis=1).clip(0, side).astype(int)


def record(number: str, image: np.ndarray, names: list[str]) -> Record:
    """What a reader must find, but for the boxes."""
    ids = [benchmark("dior").class_names.index(name.lower()) for name in names]
    return {
        "id": number,
        "hr": torch.from_numpy(image)[None],
        "hr_date": UNKNOWN_DATE.reshape(1),
        "bbox_label": torch.tensor(ids),
        "names": tuple(name.lower() for name in names),
    }
