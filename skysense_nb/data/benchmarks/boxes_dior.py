"""DIOR and DIOR-R: one set of images, boxes along the image axes or along the objects."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import torch
from torch import Tensor

from skysense_nb.data.benchmarks.files import plain, read_image, read_lines, read_xml
from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Reader, Record
from skysense_nb.errors import DatasetError

SMALLEST_AREA = 1e-3
"""Square pixels; a box below has none."""


class BoxReader(Reader):
    """What readers of boxes share: names become ids, corners turn clockwise, boxes without area are found.

    Whether real copies hold boxes without area is not known. One is an error that names its file, unless they are to
    be dropped.

    Args:
        root: See the reader.
        split: See the reader.
        drop_empty: Leave out boxes without area.
    """

    key: ClassVar[str] = "bbox_corners"

    def __init__(self, root: str | Path, split: str = "train", drop_empty: bool = False) -> None:
        self.drop_empty = drop_empty
        super().__init__(root, split)
        self.ids = {plain(name): number for number, name in enumerate(self.class_names)}

    def boxes(self, path: Path, found: list[tuple[str, list[float]]]) -> Record:
        """Boxes, ids and names of an image.

        Args:
            path: Of the annotation, for errors.
            found: Per object the class on disk, and x, y, x, y, … in pixels.

        Raises:
            DatasetError: A class that the benchmark does not have, or a box without area.
        """
        kept = []
        for number, (name, values) in enumerate(found, start=1):
            label = self.ids.get(plain(name))
            if label is None:
                raise DatasetError.of(f"classes of {self.entry.title} in {path}", repr(name), "Get the official file.")
            if area(values) >= SMALLEST_AREA:
                kept.append((label, values))
            elif not self.drop_empty:
                advice = "Mend the file, or pass drop_empty=True."
                raise DatasetError.of(f"a box with an area as object {number} of {path}", f"{values}", advice)
        labels = [label for label, _ in kept]
        boxes = torch.tensor([values for _, values in kept], dtype=torch.float32)
        oriented = self.key == "bbox_corners"
        boxes = clockwise_corners(boxes.reshape(-1, 4, 2)) if oriented else boxes.reshape(-1, 4)
        names = tuple(self.class_names[label] for label in labels)
        return {self.key: boxes, "bbox_label": torch.tensor(labels, dtype=torch.int64), "names": names}


class DIOR(BoxReader):
    """DIOR: `ImageSets/Main/<split>.txt` lists what lies in `JPEGImages-trainval` or `JPEGImages-test`, and
    `Annotations/Horizontal Bounding Boxes/NNNNN.xml` holds xmin, ymin, xmax, ymax.

    SkySense trains on `trainval` and is scored on `test`. Ids are in SkySense's order, with dam after the expressway
    classes; others count by the alphabet, so names travel with ids. Whether pixels count from 0 or from 1 is not
    published: numbers are given as stored. The sizes of the splits are not verified.

    Args:
        root: The folder that holds `DIOR`, or that folder itself.
        split: train, val, trainval or test.
        drop_empty: Leave out boxes without area.
    """

    name = "dior"
    key = "bbox_xyxy"
    splits = ("train", "val", "trainval", "test")
    annotations: ClassVar[str] = "Horizontal Bounding Boxes"
    shape: ClassVar[str] = "bndbox"
    fields: ClassVar[tuple[str, ...]] = ("xmin", "ymin", "xmax", "ymax")

    def index(self) -> list[str]:
        top = self.root.first("DIOR", ".")
        self.image_folder = self.root.folder(top, f"JPEGImages-{'test' if self.split == 'test' else 'trainval'}")
        self.annotation_folder = self.root.folder(top, "Annotations", self.annotations)
        lists = ("train", "val") if self.split == "trainval" else (self.split,)
        paths = [self.root.file(top, "ImageSets", "Main", f"{name}.txt") for name in lists]
        return [number for path in paths for number in read_lines(path)]

    def read(self, item: str) -> Record:
        image, annotation = self.files(item)
        objects = read_xml(annotation).iter("object")
        found = [(text(one, "name", annotation), numbers(one, self.shape, self.fields, annotation)) for one in objects]
        return {
            "id": item,
            "hr": read_image(image)[None],
            "hr_date": UNKNOWN_DATE.reshape(1),
            **self.boxes(annotation, found),
        }

    def files(self, item: str) -> list[Path]:
        return [
            self.root.file(self.image_folder, f"{item}.jpg"),
            self.root.file(self.annotation_folder, f"{item}.xml"),
        ]


class DIORR(DIOR):
    """DIOR-R: the images and lists of DIOR, and `Annotations/Oriented Bounding Boxes/NNNNN.xml` with four corners.

    The `angle` in the files says nothing that the corners do not, and is not read. Corners may lie on the border or
    beyond it, as stored.

    Args:
        root: The folder that holds `DIOR`, or that folder itself.
        split: train, val, trainval or test.
        drop_empty: Leave out boxes without area.
    """

    name = "dior_r"
    key = "bbox_corners"
    annotations = "Oriented Bounding Boxes"
    shape = "robndbox"
    fields = tuple(
        f"{axis}_{corner}" for corner in ("left_top", "right_top", "right_bottom", "left_bottom") for axis in ("x", "y")
    )


def text(node: ElementTree.Element, field: str, path: Path) -> str:
    """What an element of an annotation says.

    Raises:
        DatasetError: It is not there or empty.
    """
    found = (node.findtext(field) or "").strip()
    if not found:
        raise DatasetError.of(f"{field} in every {node.tag} of {path}", "none", "Get the official file.")
    return found


def numbers(node: ElementTree.Element, shape: str, fields: tuple[str, ...], path: Path) -> list[float]:
    """Numbers of a box or polygon in an object of an annotation.

    Raises:
        DatasetError: One is missing, or not a finite number.
    """
    inner = node.find(shape)
    if inner is None:
        raise DatasetError.of(f"{shape} in every {node.tag} of {path}", "none", "Get the official file.")
    return [finite(text(inner, field, path), path) for field in fields]


def finite(value: str, path: Path) -> float:
    """A finite number as a file holds it.

    Example:
        >>> finite("12.5", Path("00001.xml"))
        12.5
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DatasetError.of(f"coordinates that are numbers in {path}", repr(value), "Get the official file.")
    return number


def area(values: list[float]) -> float:
    """Square pixels of x0, y0, x1, y1 (0 or less where an edge is on the wrong side), or of a polygon's corners.

    Example:
        >>> area([0, 0, 4, 2]), area([4, 2, 0, 0]), area([0, 0, 0, 2, 4, 2, 4, 0])
        (8, 0, 8.0)
    """
    if len(values) == 4:
        return max(values[2] - values[0], 0) * max(values[3] - values[1], 0)
    points = list(zip(values[::2], values[1::2], strict=True))
    following = points[1:] + points[:1]
    return abs(sum(x * v - u * y for (x, y), (u, v) in zip(points, following, strict=True))) / 2


def clockwise_corners(corners: Tensor) -> Tensor:
    """Corners N 4 2 (x, y), from the same one on, so that they turn clockwise where y points down.

    Example:
        >>> clockwise_corners(torch.tensor([[[0, 0], [0, 2], [3, 2], [3, 0]]]))[0].tolist()
        [[0, 0], [3, 0], [3, 2], [0, 2]]
    """
    from_center = corners.double() - corners.double().mean(1, keepdim=True)
    following = from_center.roll(-1, 1)
    turn = (from_center[..., 0] * following[..., 1] - following[..., 0] * from_center[..., 1]).sum(1)
    return torch.where(turn[:, None, None] < 0, corners[:, [0, 3, 2, 1]], corners)
