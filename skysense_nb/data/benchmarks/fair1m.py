"""FAIR1M: fine-grained objects with oriented boxes, in parts whose file numbers start again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch

from skysense_nb.data.benchmarks.boxes_dior import BoxReader, finite, text
from skysense_nb.data.benchmarks.files import natural, read_raster, read_xml
from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Record
from skysense_nb.errors import DatasetError

FOLDERS = {
    "train": {"part1": "train/part1", "part2": "train/part2"},
    "validation": {"validation": "validation"},
    "test": {"test": "test"},
}
CLOSED_WITHIN = 1e-3  # pixels


@dataclass(frozen=True)
class Annotated:
    """An image and, outside of the test part, its annotation."""

    id: str
    image: Path
    annotation: Path | None


class FAIR1M(BoxReader):
    """FAIR1M: `train/part1`, `train/part2` and `validation` hold `images/N.tif` and `labelXml/N.xml` (one archive
    unpacks to `labelXmls`); `test/images` has no labels.

    File numbers start again in each part, so ids are `part1/0`, `part2/0`, `validation/0`, `test/0`. A polygon on disk
    ends with its first point, which is dropped. Classes are found with blanks, as in the XML, and with hyphens, as in
    texts made from it. Records of `test` hold no boxes: it is scored by the authors' server alone. Which version of
    FAIR1M SkySense used, and the sizes of the splits, are not verified.

    Args:
        root: The folder that holds `train`, `validation` and `test`; those of other splits may be missing.
        split: train, validation or test.
        drop_empty: Leave out boxes without area.
    """

    name = "fair1m"
    splits = ("train", "validation", "test")

    def index(self) -> list[Annotated]:
        return [one for part, folder in FOLDERS[self.split].items() for one in self.part(part, folder)]

    def part(self, part: str, folder: str) -> list[Annotated]:
        """Images of one folder in the order of their numbers."""
        images = {path.stem: path for path in self.root.list(f"{folder}/images", ".tif")}
        if self.split == "test":
            return [Annotated(f"{part}/{stem}", path, None) for stem, path in images.items()]
        labels = self.root.name(self.root.first(f"{folder}/labelXml", f"{folder}/labelXmls"))
        annotations = {path.stem: path for path in self.root.list(labels, ".xml")}
        if alone := sorted(images.keys() ^ annotations.keys(), key=natural):
            there = images.get(alone[0]) or annotations[alone[0]]
            wanted = f"images and annotations of the same numbers in {self.root.given / folder}"
            raise DatasetError.of(wanted, f"{self.root.name(there)} alone", self.root.advice)
        return [Annotated(f"{part}/{stem}", path, annotations[stem]) for stem, path in images.items()]

    def read(self, item: Annotated) -> Record:
        files = self.files(item)
        record = {"id": item.id, "hr": torch.from_numpy(rgb(files[0]))[None], "hr_date": UNKNOWN_DATE.reshape(1)}
        if item.annotation is None:
            return record
        objects = read_xml(files[1]).iter("object")
        found = [(text(one, "possibleresult/name", files[1]), corners(one, files[1])) for one in objects]
        return record | self.boxes(files[1], found)

    def files(self, item: Annotated) -> list[Path]:
        return [self.root.file(path) for path in (item.image, item.annotation) if path]


def rgb(path: Path) -> np.ndarray:
    """R G B of a TIFF, 3 H W uint8."""
    image = read_raster(path)
    if image.shape[0] != 3 or image.dtype != "uint8":
        got = f"{image.shape[0]} bands of {image.dtype}"
        raise DatasetError.of(f"R G B as uint8 in {path}", got, "Get the official file.")
    return image


def corners(node: ElementTree.Element, path: Path) -> list[float]:
    """Four corners x, y, x, y, … of an object whose fifth point closes the polygon.

    Example:
        >>> points = "".join(f"<point>{at}</point>" for at in ("0,0", "9,0", "9,5", "0,5", "0,0"))
        >>> corners(ElementTree.fromstring(f"<object><points>{points}</points></object>"), Path("0.xml"))
        [0.0, 0.0, 9.0, 0.0, 9.0, 5.0, 0.0, 5.0]
    """
    points = [
        [finite(value, path) for value in (point.text or "").split(",")] for point in node.iterfind("points/point")
    ]
    if len(points) != 5 or any(len(point) != 2 for point in points):
        raise DatasetError.of(f"five points x,y for every object of {path}", f"{points}", "Get the official file.")
    if any(abs(last - first) > CLOSED_WITHIN for first, last in zip(points[0], points[4], strict=True)):
        got = f"{points[4]} after {points[0]}"
        raise DatasetError.of(f"a fifth point that is the first in {path}", got, "Get the official file.")
    return [value for point in points[:4] for value in point]
