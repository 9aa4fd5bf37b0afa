"""Predicted boxes of an image matched with the truth once, to be read at any score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skysense_nb.errors import SampleError
from skysense_nb.tasks.metrics.boxes import KEYS, matches_of_coco
from skysense_nb.tasks.oriented_boxes import rotated_iou
from skysense_nb.tasks.outcomes import corners_of

Boxes = Mapping[str, Any]
"""Lists with one tensor per image: `bbox_xyxy` or `bbox_corners`, `bbox_label`, and `bbox_score` of predictions."""


@dataclass(frozen=True)
class Judged:
    """The boxes of one image, predictions from the best score down.

    As each prediction takes what better ones have left, a lower score adds hits and changes none.

    Attributes:
        told, wanted: Corners of predictions (n 4 2) and of the truth (m 4 2), pixels (x, y).
        told_label, wanted_label: Class ids.
        score: Of predictions, 0–1.
        overlaps: IoU n m, 0 across classes.
    """

    told: np.ndarray
    wanted: np.ndarray
    told_label: np.ndarray
    wanted_label: np.ndarray
    score: np.ndarray
    overlaps: np.ndarray

    def hits(self, iou: float) -> np.ndarray:
        """Number of the true box that each prediction finds, n; −1 for none."""
        return matches_of_coco(self.overlaps, iou)


def judge(prediction: Boxes, truth: Boxes, image: int) -> Judged:
    """Overlaps of the predictions of one image with its truth.

    Args:
        prediction: Boxes of several images.
        truth: Likewise, of the same kind.
        image: Number in both.

    Example:
        >>> import torch
        >>> truth = {"bbox_xyxy": [torch.tensor([[0.0, 0, 4, 4]])], "bbox_label": [torch.tensor([0])]}
        >>> judge({**truth, "bbox_score": [torch.tensor([0.9])]}, truth, 0).hits(0.5).tolist()
        [0]
    """
    key = kind_of(prediction, truth)
    order = prediction["bbox_score"][image].cpu().argsort(descending=True, stable=True)
    told, wanted = corners_of(prediction[key][image])[order], corners_of(truth[key][image])
    labels, names = prediction["bbox_label"][image].cpu()[order], truth["bbox_label"][image].cpu()
    overlaps = rotated_iou(told, wanted) * (labels[:, None] == names)
    scores = prediction["bbox_score"][image].cpu()[order]
    return Judged(*(one.numpy() for one in (told, wanted, labels, names, scores, overlaps)))


def kind_of(prediction: Boxes, truth: Boxes) -> str:
    """The key of the boxes that predictions and truth share."""
    for key in KEYS.values():
        if key in prediction and key in truth:
            return key
    got = f"{', '.join(sorted(prediction))} and {', '.join(sorted(truth))}"
    raise SampleError.of("bbox_xyxy or bbox_corners in predictions and truth", got, "Pass what head.predict gives.")


def joined(batches: Boxes | Sequence[Boxes]) -> dict[str, list]:
    """Boxes of all images in one dict of lists; batches are put behind each other.

    Example:
        >>> joined([{"bbox_label": ["a", "b"], "id": ["1", "2"]}, {"bbox_label": ["c"], "id": ["3"]}])
        {'bbox_label': ['a', 'b', 'c']}
    """
    batches = [batches] if isinstance(batches, Mapping) else list(batches)
    keys = [key for key in (batches[0] if batches else ()) if key.startswith("bbox_")]
    return {key: [one for batch in batches for one in batch[key]] for key in keys}
