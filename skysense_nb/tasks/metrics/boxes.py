"""Average precision of boxes, upright or oriented, by the three definitions that papers use.

Papers print "mAP" or "mAP50" for numbers that are not the same: SkySense's on DIOR is COCO's, while oriented benchmarks
(DIOR-R, FAIR1M, DOTA) usually take the eleven points of VOC 2007. Name the definition with the number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks.metrics.labels import ScoresMetric, check_ids
from skysense_nb.tasks.oriented_boxes import rotated_iou
from skysense_nb.tasks.scores import Scores

KEYS = {"xyxy": "bbox_xyxy", "corners": "bbox_corners"}
RECALLS = {"coco": np.linspace(0, 1, 101), "voc07": np.linspace(0, 1, 11)}
"""Where precision is read. Floating-point numbers as in the published scorers: some, such as 0.30000000000000004, lie a
rounding error above the recall they mean, so that 3 boxes of 10 fall short of it."""


class AveragePrecision(ScoresMetric):
    """Area under the curve of precision over recall, per class, averaged over classes.

    Within a class predictions are taken from the best score down, equal scores in the order they came; each is a hit
    if it overlaps a true box of its class and image by `iou` or more that no earlier one has hit, else a false alarm.
    The definitions differ in two things:

    - `coco` (Lin et al. 2014, as in pycocotools): a prediction whose best box is taken may hit another; precision is
      the mean over 101 recalls. There is no cap on predictions per image; pycocotools has one of 100 per class.
    - `voc07` (Everingham et al. 2010): only the best box counts; precision is the mean over 11 recalls.
    - `voc12`: only the best box counts; all points of the curve.

    In all three precision at a recall is the best at this recall or a higher one, 0 where the recall is not reached.
    Widths have no "+ 1" pixel of the first VOC scorers, and no box is `difficult`. A class without truth is left out
    of the mean, whatever was predicted. One matcher serves all of them and oriented boxes too, so it is ours rather
    than that of a COCO package; tests hold it to faster-coco-eval's numbers.

    Args:
        classes: Names in the order of ids.
        form: Of the boxes: `xyxy` reads `bbox_xyxy`, `corners` reads `bbox_corners`.
        points: The definition: coco, voc07 or voc12.
        iou: Smallest overlap of a hit, above 0 and at most 1.

    Raises:
        ParameterError: An unknown form or definition, or an overlap out of range.

    Example:
        >>> truth = {"bbox_xyxy": [torch.tensor([[0.0, 0, 4, 4]])], "bbox_label": [torch.tensor([0])]}
        >>> metric = AveragePrecision(["ship", "dam"])
        >>> metric.update({**truth, "bbox_score": [torch.tensor([0.9])]}, truth)
        >>> print(metric.compute())
        mAP50 (COCO) 100.0 %: ship 100.0
    """

    higher_is_better = True
    labels: list[Tensor]
    scores: list[Tensor]
    hits: list[Tensor]
    truths: Tensor

    def __init__(
        self,
        classes: Sequence[str],
        form: Literal["xyxy", "corners"] = "xyxy",
        points: Literal["coco", "voc07", "voc12"] = "coco",
        iou: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if form not in KEYS or points not in ("coco", "voc07", "voc12") or not 0 < iou <= 1:
            expected = "form xyxy or corners, points coco, voc07 or voc12, and iou above 0 and at most 1"
            raise ParameterError.of(expected, f"{form!r}, {points!r}, {iou}", "Choose among these.")
        self.classes, self.form, self.points, self.iou = tuple(classes), form, points, iou
        for name in ("labels", "scores", "hits"):  # one type for all: an idle process adds an empty float tensor
            self.add_state(name, [], dist_reduce_fx="cat")
        self.add_state("truths", torch.zeros(len(self.classes), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: Mapping[str, Any], truth: Mapping[str, Any]) -> None:
        """Compares the predictions of a batch with its truth.

        Args:
            prediction: Lists with a tensor per image: boxes n 4 (`bbox_xyxy`) or n 4 2 (`bbox_corners`), their ids
                `bbox_label` n and `bbox_score` n.
            truth: The same without scores.

        Raises:
            SampleError: Other numbers of images or boxes than of truth or labels, or a class that is none of ours.
        """
        found = self.rows(prediction, "prediction", (KEYS[self.form], "bbox_label", "bbox_score"))
        wanted = self.rows(truth, "truth", (KEYS[self.form], "bbox_label"))
        if len(found) != len(wanted):
            got = f"{len(found)} and {len(wanted)}"
            raise SampleError.of("as many images in prediction as in truth", got, "Predict every image of the batch.")
        for (boxes, labels, scores), (true_boxes, true_labels) in zip(found, wanted, strict=True):
            order = scores.argsort(descending=True, stable=True)
            boxes, labels, scores = boxes[order], labels[order], scores[order]
            overlaps = self.overlaps(boxes, true_boxes).cpu()
            overlaps[labels.cpu()[:, None] != true_labels.cpu()] = 0
            if self.points == "coco":
                hits = torch.from_numpy(matches_of_coco(overlaps.numpy(), self.iou) >= 0)
            else:
                hits = torch.from_numpy(hits_of_voc(overlaps.numpy(), self.iou))
            for state, values in ((self.labels, labels), (self.scores, scores), (self.hits, hits)):
                state.append(values.detach().to(self.device, torch.float32))
            self.truths += torch.bincount(true_labels, minlength=len(self.classes)).to(self.device)

    def compute(self) -> Scores:
        """Average precision per class that the truth has, and the mean of these; NaN without any truth.

        Returns:
            Scores, with the mean of the recalls that all predictions together reach in `others`.
        """
        labels, scores, hits = (
            dim_zero_cat(state).cpu().numpy() if len(state) else np.zeros(0)
            for state in (self.labels, self.scores, self.hits)
        )
        per_class, recalls = {}, []
        for number, count in enumerate(self.truths.tolist()):
            if count:
                mine = labels == number
                order = np.argsort(-scores[mine], kind="stable")
                ranked = hits[mine][order]
                per_class[self.classes[number]] = area_under_curve(ranked, count, self.points)
                recalls.append(ranked.sum() / count)
        value = float(np.mean(list(per_class.values()))) if per_class else float("nan")
        others = {"recall": float(np.mean(recalls))} if recalls else {}
        return Scores(f"mAP{100 * self.iou:.0f} ({self.points.upper()})", value, per_class, others)

    def rows(self, side: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> list[tuple[Tensor, ...]]:
        """Boxes, labels and, of predictions, scores of each image."""
        if missing := [key for key in keys if key not in side]:
            raise SampleError.of(f"{', '.join(keys)} in the {name}", f"no {', '.join(missing)}", "Add them.")
        lengths = [[len(values) for values in side[key]] for key in keys]
        if any(length != lengths[0] for length in lengths):
            raise SampleError.of(f"equally many {', '.join(keys)} in the {name}", f"{lengths}", "Mend the lists.")
        for labels in side["bbox_label"]:
            check_ids(labels, len(self.classes), f"bbox_label of the {name}")
        return list(zip(*(side[key] for key in keys), strict=True))

    def overlaps(self, boxes: Tensor, true_boxes: Tensor) -> Tensor:
        """IoU of every prediction with every true box of an image, in double precision."""
        device = "cpu" if boxes.device.type == "mps" else boxes.device  # mps has no double precision
        boxes, true_boxes = (side.detach().to(device).double() for side in (boxes, true_boxes))
        if self.form == "corners":
            return rotated_iou(boxes, true_boxes)
        from torchvision.ops import box_iou

        return box_iou(boxes, true_boxes).nan_to_num(0.0)  # 0 / 0 of boxes without area


def matches_of_coco(overlaps: np.ndarray, iou: float) -> np.ndarray:
    """Which true box each prediction hits, if each takes the best one still free.

    Args:
        overlaps: n m, predictions from the best score down, 0 across classes.
        iou: Smallest overlap of a hit.

    Returns:
        n numbers of true boxes, −1 for none.

    Example:
        >>> matches_of_coco(np.array([[0.8, 0.6], [0.7, 0.6], [0.9, 0.0]]), 0.5).tolist()
        [0, 1, -1]
    """
    matches, free = np.full(len(overlaps), -1), overlaps.copy()
    for number in np.flatnonzero((overlaps >= iou).any(1)):
        best = free.shape[1] - 1 - free[number, ::-1].argmax()  # the last of equals, as COCO's loop
        if free[number, best] >= iou:
            matches[number] = best
            free[:, best] = 0
    return matches


def hits_of_voc(overlaps: np.ndarray, iou: float) -> np.ndarray:
    """Which predictions hit, if each may only take its best true box, n bool; see `matches_of_coco`."""
    hits = np.zeros(len(overlaps), bool)
    near = np.flatnonzero((overlaps >= iou).any(1))
    _, first = np.unique(overlaps[near].argmax(1), return_index=True) if len(near) else (None, [])
    hits[near[first]] = True
    return hits


def area_under_curve(hits: np.ndarray, truths: int, points: str) -> float:
    """Average precision of one class.

    Args:
        hits: n, whether each prediction hits, from the best score down.
        truths: Number of true boxes, at least one.
        points: The definition.

    Example:
        >>> [round(area_under_curve(np.array([1, 0, 1]), 2, points), 4) for points in ("coco", "voc07", "voc12")]
        [0.835, 0.8485, 0.8333]
    """
    if not len(hits):
        return 0.0
    caught = np.cumsum(hits, dtype=np.float64)
    recall = caught / truths
    precision = caught / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if points == "voc12":
        return float((np.diff(recall, prepend=0) * envelope).sum())
    reached = np.searchsorted(recall, RECALLS[points], side="left")
    return float(np.append(envelope, 0)[reached].mean())
