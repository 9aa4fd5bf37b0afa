"""Boxes in the JSON form of COCO, which detectors such as those of MMDetection train on."""

from __future__ import annotations

from typing import Any

import torch

from skysense_nb.data.benchmarks.reader import Reader, Record


def coco_json(reader: Reader) -> dict[str, Any]:
    """One split in the form of COCO, ready for `json.dump`.

    The official SkySense configuration for DIOR trains on such a file, which is not distributed. Categories are 0 to
    K-1, the label ids of the reader, with names: MMDetection maps the ids of the file by name, so where they start
    does not matter there. `file_name` is the path seen from the root. Every image is decoded once, for its size.

    Args:
        reader: Of any benchmark whose records hold `bbox_xyxy` or `bbox_corners`; images without are listed alone.

    Returns:
        `images` (id: the sample's number in the reader), `annotations` (x, y, width, height in pixels; corners also as
        `segmentation`) and `categories`.
    """
    images, annotations = [], []
    for number, item in enumerate(reader.items):
        record = reader.read(item)
        name = reader.root.name(reader.files(item)[0])
        height, width = record["hr"].shape[-2:]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        annotations += coco_boxes(record, number, first=len(annotations) + 1)  # COCO's tools take id 0 for "no match"
    categories = [{"id": label, "name": name} for label, name in enumerate(reader.class_names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def coco_boxes(record: Record, image: int, first: int = 1) -> list[dict[str, Any]]:
    """The boxes of one record.

    Args:
        record: Of a reader.
        image: Id of the image.
        first: Id of the first box.

    Example:
        >>> record = {"bbox_xyxy": torch.tensor([[10.0, 20.0, 15.0, 40.0]]), "bbox_label": torch.tensor([3])}
        >>> coco_boxes(record, image=0)[0]["bbox"]
        [10.0, 20.0, 5.0, 20.0]
    """
    if "bbox_label" not in record:
        return []
    oriented = "bbox_corners" in record
    if oriented:
        corners = record["bbox_corners"].double()  # N 4 2
        low, high = corners.amin(1), corners.amax(1)
        x, y = corners.unbind(-1)
        areas = (x * y.roll(-1, 1) - x.roll(-1, 1) * y).sum(1).abs() / 2
    else:
        low, high = record["bbox_xyxy"].double().split(2, dim=1)
        areas = (high - low).prod(1)
    found = []
    for number, box in enumerate(torch.cat([low, high - low], dim=1).tolist()):
        one = {
            "id": first + number,
            "image_id": image,
            "category_id": int(record["bbox_label"][number]),
            "bbox": box,
            "area": float(areas[number]),
            "iscrowd": 0,
        }
        if oriented:
            one["segmentation"] = [corners[number].flatten().tolist()]
        found.append(one)
    return found
