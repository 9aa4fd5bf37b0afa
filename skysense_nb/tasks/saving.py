"""Predictions on disk: masks as GeoTIFF where the data lie, labels as a table, boxes as COCO results."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from skysense_nb.errors import DatasetError, writable
from skysense_nb.tasks.heads.head import Batch, Prediction

NOTHING = 255
"""In masks: no class. No prediction has it; it is the nodata value of the files."""


def save_predictions(
    predicted: Iterable[tuple[Prediction, Batch]], classes: Sequence[str], folder: str | Path
) -> list[Path]:
    """Writes what `predictions` yields, all or nothing.

    A mask becomes `<id>.tif`, one byte per pixel with class names in its tags, with CRS and transform where the
    benchmark tells them. Labels become
    `labels.csv` with the score of each class. Boxes become `boxes.json`, a list of COCO results with names beside ids;
    oriented ones have their corners as `segmentation`.

    Args:
        predicted: Pairs of a prediction and its batch, which has `id`.
        classes: Names in the order of ids.
        folder: Must not exist.

    Returns:
        The files.

    Raises:
        DatasetError: The folder exists, or cannot be made.

    Example:
        >>> save_predictions(predictions(model, head, test), head.classes, "answers")      # doctest: +SKIP
        [PosixPath('answers/10000.tif')]
    """
    folder = Path(folder)
    if folder.exists():
        raise DatasetError.of(f"a new folder at {folder}", "one that exists", "Choose another, or delete it.")
    with writable(folder.parent, DatasetError):
        inside = TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-")
    labels: list[list[Any]] = []
    boxes: list[dict[str, Any]] = []
    with inside as beside:
        whole = Path(beside) / "predictions"
        whole.mkdir()
        for prediction, batch in predicted:
            for row, name in enumerate(batch["id"]):
                if "mask" in prediction:
                    place = {key: batch[key][row] for key in ("crs", "transform", "grid") if key in batch}
                    write_mask(whole / f"{file_name(name)}.tif", prediction["mask"][row].cpu().numpy(), classes, place)
                elif "label" in prediction:
                    said, scores = prediction["label"][row].cpu(), prediction["label_score"][row].cpu()
                    named = [classes[one] for one in (said.nonzero()[:, 0] if said.ndim else [said])]
                    labels.append([name, "; ".join(named), *(f"{score:.4f}" for score in scores.tolist())])
                else:
                    boxes += coco_results(name, prediction, row, classes)
        if labels:
            with (whole / "labels.csv").open("w", newline="") as file:
                csv.writer(file).writerows([["id", "predicted", *classes], *labels])
        elif boxes or not any(whole.iterdir()):
            (whole / "boxes.json").write_text(json.dumps(boxes))
        whole.rename(folder)
    return sorted(folder.iterdir())


def file_name(name: str) -> str:
    """The id of a sample without what file systems do not take.

    Example:
        >>> file_name("airport/airport_1:2")
        'airport_airport_1_2'
    """
    return re.sub(r"[^\w.-]", "_", name)


def write_mask(path: Path, mask: np.ndarray, classes: Sequence[str], place: dict[str, Any]) -> None:
    """One mask, H W, as a GeoTIFF of bytes on the ground of the grid that `place` describes."""
    height, width = mask.shape
    known = {}
    if place.get("crs") is not None and place.get("transform") is not None:
        rows, columns = place["grid"]
        pixel = Affine.scale(columns / width, rows / height)
        known = {"crs": place["crs"], "transform": Affine(*place["transform"][:6]) @ pixel}
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": "uint8", "nodata": NOTHING}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", compress="deflate", **profile, **known) as file:
            file.write(mask.astype(np.uint8), 1)
            file.update_tags(1, **{f"class_{number}": name for number, name in enumerate(classes)})


def coco_results(name: str, prediction: Prediction, row: int, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Boxes of one image, best first as they come."""
    form = "bbox_corners" if "bbox_corners" in prediction else "bbox_xyxy"
    rows = []
    values = (prediction[key][row].cpu().tolist() for key in (form, "bbox_label", "bbox_score"))
    for box, label, score in zip(*values, strict=True):
        corners = box if form == "bbox_corners" else [box[:2], box[2:]]
        (left, top), (right, bottom) = (tuple(edge(axis) for axis in zip(*corners, strict=True)) for edge in (min, max))
        told = {"image_id": name, "category_id": label, "category": classes[label], "score": round(score, 6)}
        told["bbox"] = [left, top, right - left, bottom - top]
        rows.append(told | ({"segmentation": [sum(box, [])]} if form == "bbox_corners" else {}))
    return rows
