"""Metrics of whole images: one label or several, and what all metrics of this room have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks.scores import Scores

UNDEFINED = float("nan")


class ScoresMetric(Metric):
    """A torchmetrics metric whose `compute` gives `Scores`.

    torchmetrics copies what `compute` returns and refuses frozen dataclasses, so it is handed the fields alone.
    """

    full_state_update = False

    def _wrap_compute(self, compute: Callable[[], Scores]) -> Callable[[], Scores]:
        fields = super()._wrap_compute(lambda: vars(compute()))
        return lambda: Scores(**fields())


class Accuracy(ScoresMetric):
    """How often the right class is named: overall accuracy, and whether it is among the best few.

    Correct over all images, so frequent classes weigh more; `mean class accuracy`, among the others, weighs all classes
    alike. The first place is asked of `label`, the best few of `label_score`; of equal scores the lower id is better.

    Args:
        classes: Names in the order of ids.
        top: How many of the best scores may hold the class; the first one gives the value.

    Example:
        >>> accuracy = Accuracy(["river", "harbour"])
        >>> accuracy.update({"label": torch.tensor([0, 1, 0])}, {"label": torch.tensor([0, 1, 1])})
        >>> print(accuracy.compute())
        OA 66.7 %: harbour 50.0, river 100.0
    """

    higher_is_better = True
    hits: Tensor
    images: Tensor

    def __init__(self, classes: Sequence[str], top: Sequence[int] = (1,), **options: Any) -> None:
        super().__init__(**options)
        if not top or min(top) < 1:
            raise ParameterError.of("numbers from 1 up in top", f"{tuple(top)}", "Pass (1,) or (1, 5).")
        self.classes, self.top = tuple(classes), tuple(top)
        self.add_state("hits", torch.zeros(len(self.top), len(self.classes), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros(len(self.classes), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, prediction: dict[str, Tensor], truth: dict[str, Tensor]) -> None:
        """Counts a batch.

        Args:
            prediction: `label`, B int64, and `label_score`, B K, where more than the first place is asked for.
            truth: `label`, B int64.

        Raises:
            SampleError: Shapes that do not fit, or ids that are no class.
        """
        label = truth["label"]
        check_ids(label, len(self.classes), "label of the truth")
        self.images += torch.bincount(label, minlength=len(self.classes))
        for row, places in enumerate(self.top):
            right = self.is_right(prediction, label) if places == 1 else self.rank(prediction, label) < places
            self.hits[row] += torch.bincount(label[right], minlength=len(self.classes))

    def is_right(self, prediction: dict[str, Tensor], label: Tensor) -> Tensor:
        """Whether the predicted label is the true one, B bool."""
        check_ids(prediction["label"], len(self.classes), "predicted label")
        check_shape(prediction["label"], label.shape, "predicted label")
        return prediction["label"] == label

    def rank(self, prediction: dict[str, Tensor], label: Tensor) -> Tensor:
        """How many classes have a better score than the true one, B."""
        score = prediction["label_score"]
        check_shape(score, (len(label), len(self.classes)), "label_score")
        own = score.gather(1, label[:, None])
        lower = torch.arange(score.shape[1], device=score.device) < label[:, None]
        return ((score > own) | ((score == own) & lower)).sum(1)

    def compute(self) -> Scores:
        """The share of right images, in all and per class of the truth; NaN before the first image."""
        hits, images = self.hits.cpu().double(), self.images.cpu().double()
        shares = (hits.sum(1) / images.sum()).tolist()
        recall, seen = hits[0] / images, images > 0
        names = ["OA" if self.top == (1,) else f"top-{places}" for places in self.top]
        others = {**dict(zip(names[1:], shares[1:], strict=True)), "mean class accuracy": recall[seen].mean().item()}
        return Scores(names[0], shares[0], by_name(self.classes, recall, seen), others)


class MeanAveragePrecision(ScoresMetric):
    """Average precision of images with several labels: how well scores put the true labels first.

    AP = Σ (Rₙ − Rₙ₋₁) Pₙ over all distinct scores, without interpolation, as scikit-learn has it. `micro` takes all
    pairs of image and class together; `macro` is the mean over the classes that the truth has. Papers on BigEarthNet
    mostly report micro, which is several points higher, under the name mAP: compare like with like.

    Args:
        classes: Names in the order of ids.
        average: Which of the two is the value; the other one is among the others.

    Example:
        >>> precision = MeanAveragePrecision(["pastures", "water bodies"])
        >>> score, label = torch.tensor([[0.9, 0.2], [0.4, 0.6]]), torch.tensor([[True, False], [True, True]])
        >>> precision.update({"label_score": score}, {"label": label})
        >>> print(precision.compute())
        mAP micro 100.0 %: pastures 100.0, water bodies 100.0
    """

    higher_is_better = True
    scores: list[Tensor]
    truths: list[Tensor]

    def __init__(self, classes: Sequence[str], average: str = "micro", **options: Any) -> None:
        super().__init__(**options)
        if average not in ("micro", "macro"):
            raise ParameterError.of("an average of micro or macro", repr(average), "Choose one of these.")
        self.classes, self.average = tuple(classes), average
        for state in ("scores", "truths"):  # rows of floats, as an idle process adds an empty one
            self.add_state(state, [], dist_reduce_fx="cat")

    def update(self, prediction: dict[str, Tensor], truth: dict[str, Tensor]) -> None:
        """Keeps a batch.

        Args:
            prediction: `label_score`, B K, 0–1.
            truth: `label`, B K bool.

        Raises:
            SampleError: Shapes that do not fit, or scores that are none.
        """
        score, label = prediction["label_score"].float(), truth["label"].bool()
        for name, values in (("label_score", score), ("label of the truth", label)):
            check_shape(values, (len(label), len(self.classes)), name)
        if not ((score >= 0) & (score <= 1)).all():
            got = f"{score.min().item():.3g} to {score.max().item():.3g}"
            raise SampleError.of("label_score from 0 to 1", got, "Take the sigmoid of logits first.")
        self.scores.append(score.flatten())
        self.truths.append(label.float().flatten())

    def compute(self) -> Scores:
        """Both averages, AP per class of the truth, and F1 at scores from 0.5; NaN without a true label."""
        name, sides = f"mAP {self.average}", (self.scores, self.truths)
        rows = [dim_zero_cat(side) if len(side) else torch.zeros(0) for side in sides]
        score, label = (row.view(-1, len(self.classes)) for row in rows)  # B K
        label = label.bool()
        seen = label.any(0).cpu()
        if not seen.any():
            return Scores(name, UNDEFINED)
        precision = torch.full((len(self.classes),), UNDEFINED)
        for index in seen.nonzero().flatten().tolist():
            precision[index] = average_precision(score[:, index], label[:, index])
        said = score >= 0.5
        hits, marked = (said & label).sum(0).cpu().double(), (said.sum(0) + label.sum(0)).cpu().double()
        values = {
            "mAP micro": average_precision(score.flatten(), label.flatten()),
            "mAP macro": precision[seen].mean().item(),
            "F1 micro": (2 * hits.sum() / marked.sum()).item(),
            "F1 macro": (2 * hits / marked)[seen].mean().item(),
        }
        return Scores(name, values.pop(name), by_name(self.classes, precision, seen), values)


def average_precision(score: Tensor, label: Tensor) -> float:
    """AP of one ranking: scores N and whether each is a true one, N bool.

    Example:
        >>> average_precision(torch.tensor([0.9, 0.8, 0.1]), torch.tensor([True, False, True]))
        0.8333333730697632
    """
    return binary_average_precision(score, label.long(), validate_args=False).item()


def by_name(classes: Sequence[str], values: Tensor, counted: Tensor) -> dict[str, float]:
    """Values (K) of the classes that count (K bool), by name."""
    return {name: values[index].item() for index, name in enumerate(classes) if counted[index]}


def check_ids(ids: Tensor, classes: int, name: str) -> None:
    """Refuses ids that are no class."""
    if ids.dtype.is_floating_point:
        raise SampleError.of(f"whole numbers as {name}", f"{ids.dtype}", "Take the argmax over classes first.")
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < classes:
        got = f"{int(ids.min())} to {int(ids.max())}"
        raise SampleError.of(f"{name} from 0 to {classes - 1}", got, "Give the head and the metric the same classes.")


def check_shape(values: Tensor, shape: Sequence[int], name: str) -> None:
    """Refuses a tensor of another shape."""
    if tuple(values.shape) != tuple(shape):
        raise SampleError.of(f"{name} of shape {tuple(shape)}", f"{tuple(values.shape)}", "Pass those of one batch.")
