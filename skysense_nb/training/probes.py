"""What frozen features are worth while a model is being trained: neighbours, a linear layer, retrieval.

All three take arrays that are split already. Split by place, never by cell: cells of one place look alike, and a
probe that has seen a neighbour of a test cell measures memory. `SyntheticPlaces(split="held-out")` gives the test
places. Numbers of neighbours and iterations are our choice; the papers report none of these probes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.errors import EnvironmentProblem, SampleError

ROWS_AT_ONCE = 1024
"""Rows whose similarities to all others are held in memory."""


@dataclass(frozen=True)
class Segmentation:
    """How well a linear layer names ground cells.

    Attributes:
        miou: Mean of `iou`, 0–1.
        iou: Intersection over union per class id that occurs in the test labels.
    """

    miou: float
    iou: dict[int, float]

    def words(self, names: Sequence[str] = ()) -> str:
        """One line for logs: the mean, then the classes from worst to best.

        Example:
            >>> Segmentation(0.5, {0: 0.75, 1: 0.25}).words(["water", "road"])
            'mIoU 0.50: road 0.25, water 0.75'
        """
        ranked = sorted(self.iou.items(), key=lambda pair: pair[1])
        listed = ", ".join(f"{names[one] if names else one} {value:.2f}" for one, value in ranked)
        return f"mIoU {self.miou:.2f}: {listed}"


def knn_accuracy(
    train_features: Tensor, train_labels: Tensor, test_features: Tensor, test_labels: Tensor, k: int = 10
) -> float:
    """Share of test places whose class is the most frequent one among their k nearest training places.

    Nearest by cosine; each neighbour has one vote, and the smaller class id wins a tie. Nothing is learned, so the
    number cannot be better than the features.

    Args:
        train_features: n D, one row per place of the training split.
        train_labels: n int64, 0 and up.
        test_features: m D, of other places.
        test_labels: m int64.
        k: Number of neighbours.

    Returns:
        Accuracy, 0–1.

    Raises:
        SampleError: Rows and labels that do not fit, values that are not finite, unlabelled training places, or fewer
            of them than k.

    Example:
        >>> east, north = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> knn_accuracy(torch.cat((east, north)), torch.tensor([0, 1]), 2 * north, torch.tensor([1]), k=1)
        1.0
    """
    check(train_features, train_labels, test_features, test_labels)
    if train_labels.min() < 0:
        raise SampleError.of("class ids of 0 and up", str(int(train_labels.min())), "Leave unlabelled places out.")
    if not 0 < k <= len(train_features):
        raise SampleError.of(f"k from 1 to {len(train_features)} training places", str(k), "Use a smaller k.")
    train, labels = F.normalize(train_features.float(), dim=1), train_labels.to(train_features.device)
    right = 0
    for rows, truth in zip(test_features.split(ROWS_AT_ONCE), test_labels.split(ROWS_AT_ONCE), strict=True):
        near = (rows.float().to(train.device) @ train.T).topk(k, dim=1).indices  # m k; their own length changes no rank
        votes = F.one_hot(labels[near], int(labels.max()) + 1).sum(1)
        right += int((votes.argmax(1).cpu() == truth.cpu()).sum())
    return right / len(test_features)


def linear_probe_miou(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    *,
    most_cells: int = 20_000,
    iterations: int = 200,
    seed: int = 0,
) -> Segmentation:
    """Trains a linear layer on frozen cells and measures how well it names the cells of other places.

    Multinomial logistic regression on standardised features (scikit-learn, L-BFGS), the usual linear probe.

    Args:
        train_features: n D, cells of the training places.
        train_labels: n int64, 0 and up; cells with a negative label are left out.
        test_features: m D, cells of other places.
        test_labels: m int64, likewise.
        most_cells: Training cells that are used at most, drawn at random.
        iterations: Steps of L-BFGS at most.
        seed: Of the drawing.

    Returns:
        IoU of each class in the test labels and their mean. Cells taken for a class that the test places do not have
        count against the classes they belong to.

    Raises:
        SampleError: Rows and labels that do not fit, values that are not finite, or fewer than two classes.
        EnvironmentProblem: scikit-learn is not installed.

    Example:
        >>> cells, truth = torch.tensor([[0.0], [0.1], [0.9], [1.0]]), torch.tensor([0, 0, 1, 1])
        >>> linear_probe_miou(cells, truth, cells, truth).miou
        1.0
    """
    check(train_features, train_labels, test_features, test_labels)
    train, truth = known(train_features, train_labels)
    test, test_truth = known(test_features, test_labels)
    if len(truth.unique()) < 2 or not len(test_truth):
        got = f"{len(truth.unique())} and {len(test_truth)} labelled test cells"
        raise SampleError.of("two or more classes to learn, and cells to test", got, "Take more places.")
    if len(train) > most_cells:
        drawn = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:most_cells]
        train, truth = train[drawn], truth[drawn]
    return segmentation(logistic_regression(train, truth, test, iterations), test_truth)


def logistic_regression(train: Tensor, truth: Tensor, test: Tensor, iterations: int) -> Tensor:
    """Classes of the rows of `test` (m) by scikit-learn, which is imported only here."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        fix = "Install scikit-learn, or use knn_accuracy."
        raise EnvironmentProblem.of("scikit-learn for the linear probe", "a machine without it", fix) from error
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=iterations))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping after `iterations` is what was asked for
        model.fit(train.numpy(), truth.numpy())
    return torch.from_numpy(model.predict(test.numpy()))


def segmentation(predicted: Tensor, truth: Tensor) -> Segmentation:
    """IoU of each class that occurs in `truth` (n int64 each), and their mean.

    Example:
        >>> segmentation(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])).iou
        {0: 0.6666666666666666, 1: 0.5}
    """
    iou = {}
    for one in truth.unique().tolist():
        both = int(((predicted == one) & (truth == one)).sum())
        iou[one] = both / int(((predicted == one) | (truth == one)).sum())
    return Segmentation(sum(iou.values()) / len(iou), iou)


def retrieval_recall(one: Tensor, other: Tensor, k: int = 1) -> tuple[float, float]:
    """How often a place is found by its features of another sensor among the k nearest.

    Nearest by cosine. Rivals that are as near as the place itself count before it, so features that are all alike
    find nothing. With N places, chance is k / N.

    Args:
        one: N D, features of one sensor (such as HR).
        other: N D, of another sensor (such as Sentinel-1), the same places in the same order.
        k: How many may be looked at.

    Returns:
        Recall at k of finding `other` from `one`, and `one` from `other`, 0–1.

    Raises:
        SampleError: Different shapes, no places, k below one, or values that are not finite.

    Example:
        >>> retrieval_recall(torch.eye(3), torch.eye(3)[[0, 2, 1]], k=1)
        (0.3333333333333333, 0.3333333333333333)
    """
    if one.shape != other.shape or one.ndim != 2 or not len(one) or k < 1:
        got = f"{tuple(one.shape)} and {tuple(other.shape)}, k = {k}"
        raise SampleError.of("N D features of the same places twice, and k of at least 1", got, "One row per place.")
    check_finite(one, other)
    one, other = (F.normalize(features.detach().float().cpu(), dim=1) for features in (one, other))
    return found_within(one, other, k), found_within(other, one, k)


def found_within(one: Tensor, other: Tensor, k: int) -> float:
    """Share of rows of `one` with fewer than k rivals of their partner in `other`; rows of length one."""
    found = 0
    for start in range(0, len(one), ROWS_AT_ONCE):
        near = one[start : start + ROWS_AT_ONCE] @ other.T  # n N
        own = near.diagonal(start)[:, None].clone()
        found += int(((near >= own).sum(1) <= k).sum())
    return found / len(one)


def known(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with a label, as fp32 on the CPU."""
    labels = labels.cpu()
    return features.detach().float().cpu()[labels >= 0], labels[labels >= 0]


def check(train_features: Tensor, train_labels: Tensor, test_features: Tensor, test_labels: Tensor) -> None:
    """Refuses features and labels that do not belong together."""
    shapes = [tuple(values.shape) for values in (train_features, train_labels, test_features, test_labels)]
    fits = train_features.ndim == test_features.ndim == 2 and train_features.shape[1] == test_features.shape[1]
    fits = fits and shapes[1] == shapes[0][:1] and shapes[3] == shapes[2][:1]
    if not fits or not len(train_features) or not len(test_features):
        expected = "n D features with n labels, and m D with m labels"
        raise SampleError.of(expected, ", ".join(map(str, shapes)), "Flatten cells: one row and one label per cell.")
    check_finite(train_features, test_features)


def check_finite(*features: Tensor) -> None:
    """Refuses features that are not finite."""
    if not all(bool(values.isfinite().all()) for values in features):
        raise SampleError.of("finite features", "NaN or infinity", "Training has diverged; look at its losses.")
