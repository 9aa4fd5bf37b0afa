"""FAIR1M, small: one image in each of two parts, one for validation and one without labels; or many to learn from."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from PIL import Image

from skysense_nb.data.benchmarks.files import read_raster
from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.boxes_dior import add
from skysense_nb.data.miniatures.places import aerial, box_corners, clockwise, place, spread
from skysense_nb.data.miniatures.sights import aerial_scenes, by_place, named_boxes
from skysense_nb.data.miniatures.sights import objects as sight_of
from skysense_nb.data.synthetic.classes import AIRPLANE, SHIP, SPORTS_FIELD, STORAGE_TANK, VEHICLE

FOLDERS = {
    "part1/0": ("train/part1", "labelXml", "harbour", (1100, 1000)),
    "part2/0": ("train/part2", "labelXmls", "airfield", (1100, 1000)),
    "validation/0": ("validation", "labelXml", "city", (550, 500)),
    "test/0": ("test", None, "coast", (550, 500)),
}
"""Per image its folder, that of its labels, a kind of place, and width and height."""

KINDS = {
    SHIP: ("Dry Cargo Ship", "other-ship", "Motorboat", "Passenger Ship"),
    AIRPLANE: ("Boeing737", "A220", "other-airplane"),
    VEHICLE: ("Small Car", "Van", "other-vehicle"),
    SPORTS_FIELD: ("Football Field",),
}
"""Fine classes that the things of the world take in turn; FAIR1M has none for storage tanks."""


PLACE_KINDS = ("airfield", "harbour", "industry", "city", "village")
"""Of places to learn from."""

SURVEY_M, SCENES_PER_PLACE = 320, 3

ENDS = {"part1": 0.3, "part2": 0.6, "validation": 0.85, "test": 1.0}
"""Upper ends of the shares of places to learn from; few are left without labels."""

FINE = {
    SHIP: (15, "Motorboat", "Dry Cargo Ship"),
    AIRPLANE: (25, "other-airplane", "Boeing737"),
    VEHICLE: (7, "Small Car", "Cargo Truck"),
    SPORTS_FIELD: (50, "Tennis Court", "Football Field"),
}
"""Length in metres, and the class on places to learn from of what is shorter or longer, so that classes can be told."""


def write_fair1m(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """Numbers start again in `part2`, whose labels lie in `labelXmls`; wider than high, JPEG inside the TIFF.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Places to learn from, with up to three images of 256 × 256 pixels each, instead of four images.
    """
    if places is not None:
        return write_places(folder, seed, places)
    truth = {}
    for name, (_, labels, kind, (width, height)) in FOLDERS.items():
        scene = place(kind, seed, size_m=360 if width > 576 else 180, s2_dates=1, s1_dates=1, modalities=("hr",))
        found = objects(*box_corners(scene), (width, height)) if labels else None
        truth[name] = write_image(folder, name, aerial(scene)[:height, :width], found)
    return truth


def write_places(folder: Path, seed: int, count: int) -> dict[str, Record]:
    """Images of places; numbers start again in each folder."""
    truth, following = {}, dict.fromkeys(ENDS, 0)
    drawn = aerial_scenes(PLACE_KINDS, seed, count, sight_of(name_of), SURVEY_M, scenes_per_place=SCENES_PER_PLACE)
    for turn, scene in by_place(drawn):
        part = next(part for part, end in ENDS.items() if spread(turn, len(PLACE_KINDS)) < end)
        name, following[part] = f"{part}/{following[part]}", following[part] + 1
        names, corners = named_boxes(scene, name_of)
        found = None if part == "test" else (names, clockwise(corners).round(6))
        truth[name] = write_image(folder, name, aerial(scene), found)
    return truth


def name_of(kind: int, length_m: float) -> str | None:
    """Class of an object of the world; None for storage tanks."""
    if kind not in FINE:
        return None
    limit, short, long = FINE[kind]
    return short if length_m < limit else long


def write_image(folder: Path, name: str, image: np.ndarray, found: tuple[list[str], np.ndarray] | None) -> Record:
    """Writes H W 3 and, unless there are none, names and corners of objects; what a reader must find."""
    part, number = name.split("/")
    where, labels, *_ = FOLDERS[f"{part}/0"]
    pixels = save_tiff(folder / where / "images" / f"{number}.tif", image)
    record = {"id": name, "hr": torch.from_numpy(pixels)[None], "hr_date": UNKNOWN_DATE.reshape(1)}
    if found is None:
        return record
    names, corners = found
    write_xml(folder / where / labels / f"{number}.xml", names, corners, (image.shape[1], image.shape[0]))
    ids = [benchmark("fair1m").class_names.index(one) for one in names]
    return record | {
        "bbox_corners": torch.from_numpy(corners).float(),
        "bbox_label": torch.tensor(ids),
        "names": tuple(names),
    }


def objects(corners: np.ndarray, classes: np.ndarray, size: tuple[int, int]) -> tuple[list[str], np.ndarray]:
    """Fine classes and corners of things whose middle is on an image of this width and height."""
    middle = corners.mean(1)
    kept = ((middle > 0) & (middle < size)).all(1) & (classes != STORAGE_TANK)
    names = [KINDS[one][turn % len(KINDS[one])] for turn, one in enumerate(classes[kept])]
    return names, clockwise(corners[kept]).round(6)


def save_tiff(path: Path, image: np.ndarray) -> np.ndarray:
    """Writes H W 3; what a reader will find, 3 H W."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compression="jpeg", quality=75)
    return read_raster(path)


def write_xml(path: Path, names: list[str], corners: np.ndarray, size: tuple[int, int]) -> None:
    """An annotation whose polygons end where they began."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element("annotation")
    add(ElementTree.SubElement(root, "source"), filename=f"{path.stem}.tif", origin="GF2/GF3")
    research = {"version": "1.0", "provider": "", "author": "", "pluginname": "FAIR1M", "pluginclass": "", "time": ""}
    add(ElementTree.SubElement(root, "research"), **research)
    add(ElementTree.SubElement(root, "size"), width=size[0], height=size[1], depth=3)
    listed = ElementTree.SubElement(root, "objects")
    for name, box in zip(names, corners, strict=True):
        one = ElementTree.SubElement(listed, "object")
        add(one, coordinate="pixel", type="rectangle", description="None")
        add(ElementTree.SubElement(one, "possibleresult"), name=name)
        points = ElementTree.SubElement(one, "points")
        for x, y in [*box, box[0]]:
            add(points, point=f"{x:.6f},{y:.6f}")
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
