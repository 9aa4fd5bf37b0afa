"""Metrics of maps of classes: IoU, F1 and accuracy of one confusion over all pixels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from skysense_nb.errors import ParameterError
from skysense_nb.tasks.metrics.labels import ScoresMetric, by_name, check_ids, check_shape
from skysense_nb.tasks.scores import Scores

PER_CLASS = {"mIoU": "IoU", "mF1": "F1", "OA": "recall"}
"""Metrics, and what is told per class beside each."""


class MaskScores(ScoresMetric, MulticlassConfusionMatrix):
    """How well masks agree, from one confusion summed over all images: never a mean of images.

    - Pixels whose truth is `ignored` do not count, whatever was said of them.
    - mIoU and mF1 are means over the classes that truth or prediction has. So a class that is only predicted counts as
      0, and one that neither has does not count: the rule of DynamicEarthNet and, for iSAID, of mmsegmentation.
    - F1 is 2 TP / (2 TP + FP + FN), so it is 0 for a class that is never predicted. (mmsegmentation takes it from
      precision, which is undefined there, and leaves the class out.)
    - OA is over all pixels that count.

    Background or clutter can be handled in two ways that give different numbers. Papers that score the 15 classes of
    iSAID, or Potsdam with clutter as a class, predict it and leave it out of the mean: name it in `left_out`; pixels
    confused with it still count as errors of the other classes. For Potsdam here, as in the protocol of most papers,
    clutter is 255 in the truth and is no class.

    Args:
        classes: Names in the order of ids.
        metric: mIoU, mF1 or OA; the other two are among the others.
        ignored: Id in the truth of what does not count.
        left_out: Names of classes that do not count in mIoU and mF1.

    Example:
        >>> scores = MaskScores(["water", "road"])
        >>> scores.update({"mask": torch.tensor([[[0, 0, 1]]])}, {"mask": torch.tensor([[[0, 1, 255]]])})
        >>> print(scores.compute())
        mIoU 25.0 %: road 0.0, water 50.0
    """

    higher_is_better = True

    def __init__(
        self,
        classes: Sequence[str],
        metric: str = "mIoU",
        ignored: int = 255,
        left_out: Collection[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(len(classes), ignore_index=ignored, validate_args=False, **options)
        if metric not in PER_CLASS:
            raise ParameterError.of(f"a metric among {', '.join(PER_CLASS)}", repr(metric), "Choose one of these.")
        if unknown := set(left_out) - set(classes):
            raise ParameterError.of(f"left_out among {', '.join(classes)}", ", ".join(sorted(unknown)), "Correct it.")
        self.classes, self.metric = tuple(classes), metric
        self.in_mean = torch.tensor([name not in left_out for name in classes])

    def update(self, prediction: dict[str, Tensor], truth: dict[str, Tensor]) -> None:
        """Counts the pixels of a batch.

        Args:
            prediction: `mask`, B H W ids.
            truth: `mask`, B H W ids or `ignored`.

        Raises:
            SampleError: Shapes that do not fit, or ids that are no class.
        """
        super().update(*checked_masks(prediction, truth, self.num_classes, self.ignore_index))

    def compute(self) -> Scores:
        """The metric over all pixels so far, and per class that the truth has; NaN where nothing counts."""
        counts = self.confmat.cpu().double()
        hits, true, said = counts.diagonal(), counts.sum(1), counts.sum(0)
        union = true + said - hits
        values = {"IoU": hits / union, "F1": 2 * hits / (true + said), "recall": hits / true}
        counted = (union > 0) & self.in_mean
        means = {
            "mIoU": values["IoU"][counted].mean().item(),
            "mF1": values["F1"][counted].mean().item(),
            "OA": (hits.sum() / counts.sum()).item(),
        }
        per_class = by_name(self.classes, values[PER_CLASS[self.metric]], true > 0)
        return Scores(self.metric, means.pop(self.metric), per_class, means)


def checked_masks(
    prediction: dict[str, Tensor], truth: dict[str, Tensor], classes: int, ignored: int
) -> tuple[Tensor, Tensor]:
    """Masks of a batch, predicted and true, once both fit together and hold classes.

    Raises:
        SampleError: They do not.

    Example:
        >>> mask = torch.zeros(1, 2, 2).long()
        >>> [part.shape for part in checked_masks({"mask": mask}, {"mask": mask}, 2, 255)]
        [torch.Size([1, 2, 2]), torch.Size([1, 2, 2])]
    """
    said, true = prediction["mask"], truth["mask"]
    check_shape(said, true.shape, "predicted mask")
    check_ids(said, classes, "ids in the predicted mask")
    check_ids(true[true != ignored], classes, "ids in the true mask")
    return said, true
