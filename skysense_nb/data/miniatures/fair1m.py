"""FAIR1M, small: one image in each of two parts, one for validation and one without labels."""

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
from skysense_nb.data.miniatures.places import aerial, box_corners, clockwise, place
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


def write_fair1m(folder: Path, seed: int) -> dict[str, Record]:
    """Numbers start again in `part2`, whose labels lie in `labelXmls`; wider than high, JPEG inside the TIFF."""
    truth = {}
    for name, (where, labels, kind, (width, height)) in FOLDERS.items():
        scene = place(kind, seed, size_m=360 if width > 576 else 180, s2_dates=1, s1_dates=1, modalities=("hr",))
        image = save_tiff(folder / where / "images" / "0.tif", aerial(scene)[:height, :width])
        truth[name] = {"id": name, "hr": torch.from_numpy(image)[None], "hr_date": UNKNOWN_DATE.reshape(1)}
        if labels:
            names, corners = objects(*box_corners(scene), (width, height))
            write_xml(folder / where / labels / "0.xml", names, corners, (width, height))
            ids = [benchmark("fair1m").class_names.index(one) for one in names]
            truth[name] |= {
                "bbox_corners": torch.from_numpy(corners).float(),
                "bbox_label": torch.tensor(ids),
                "names": tuple(names),
            }
    return truth


def objects(corners: np.ndarray, classes: np.ndarray, size: tuple[int, int]) -> tuple[list[str], np.ndarray]:
    """Fine classes and corners of things whose middle is on an image of this width and height."""
    middle = corners.mean(1)
    kept = ((middle > 0) & (middle < size)).all(1) & (classes != STORAGE_TANK)
    names = [KINDS[one][turn % len(KINDS[one])] for turn, one in enumerate(classes[kept])]
    return names, clockwise(corners[kept]).round(6)


def save_tiff(path: Path, image: np.ndarray) -> np.ndarray:
    """Writes H W 3; what a reader will find, 3 H W."""
    path.parent.mkdir(parents=True)
    Image.fromarray(image).save(path, compression="jpeg", quality=75)
    return read_raster(path)


def write_xml(path: Path, names: list[str], corners: np.ndarray, size: tuple[int, int]) -> None:
    """An annotation whose polygons end where they began."""
    path.parent.mkdir(parents=True)
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
