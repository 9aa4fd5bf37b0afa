"""What became of the objects of an image: found, missed, or made up by a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skysense_nb.tasks.metrics.boxes import KEYS, matches_of_coco
from skysense_nb.tasks.oriented_boxes import rotated_iou


@dataclass(frozen=True)
class Outcome:
    """The boxes of one image, as corners n 4 2 (x, y) and class ids n.

    Attributes:
        found, missed: True boxes with a prediction of their class, and without.
        made_up: Predictions that found nothing.
        found_label, missed_label, made_up_label: Their classes.
    """

    found: Tensor
    missed: Tensor
    made_up: Tensor
    found_label: Tensor
    missed_label: Tensor
    made_up_label: Tensor


def outcome(
    prediction: Mapping[str, Any], truth: Mapping[str, Any], image: int, least_score: float = 0.5, iou: float = 0.5
) -> Outcome:
    """Compares the surer predictions of one image of a batch with its truth.

    From the best score down each prediction takes the true box of its class that it overlaps most and that is free.

    Args:
        prediction: Of a head that finds upright or oriented boxes.
        truth: The batch it is of.
        image: Number in the batch.
        least_score: Of predictions that count, 0–1.
        iou: Smallest overlap of a hit, 0–1.

    Example:
        >>> truth = {"bbox_xyxy": [torch.tensor([[0.0, 0, 4, 4]])], "bbox_label": [torch.tensor([0])]}
        >>> len(outcome({**truth, "bbox_score": [torch.tensor([0.9])]}, truth, 0).found)
        1
    """
    key = next(key for key in KEYS.values() if key in prediction)
    wanted, names = corners_of(truth[key][image]), truth["bbox_label"][image].cpu()
    scores = prediction["bbox_score"][image].cpu()
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] >= least_score]
    told, labels = corners_of(prediction[key][image])[order], prediction["bbox_label"][image].cpu()[order]
    overlaps = rotated_iou(told, wanted) * (labels[:, None] == names)
    matches = torch.from_numpy(matches_of_coco(overlaps.numpy(), iou))
    hit, free = matches >= 0, torch.ones(len(wanted), dtype=torch.bool)
    free[matches[hit]] = False
    return Outcome(wanted[~free], wanted[free], told[~hit], names[~free], names[free], labels[~hit])


def corners_of(boxes: Tensor) -> Tensor:
    """Corners n 4 2 of upright boxes n 4, clockwise for the eye; corners as they are.

    Example:
        >>> corners_of(torch.tensor([[0.0, 0, 4, 2]])).tolist()
        [[[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]]]
    """
    boxes = boxes.detach().cpu().float()
    if boxes.ndim == 3:
        return boxes
    return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].unflatten(1, (4, 2))
