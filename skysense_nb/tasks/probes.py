"""What frozen vectors of whole places are worth: neighbours, a linear layer, few examples per class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from skysense_nb.errors import SampleError
from skysense_nb.tasks.frozen import FrozenSamples
from skysense_nb.tasks.heads.labels import LabelHead, MultiLabelHead
from skysense_nb.tasks.scores import Scores
from skysense_nb.training.probes import knn_accuracy


def knn(train: FrozenSamples, test: FrozenSamples, k: int = 10) -> float:
    """Accuracy of the majority among the k nearest training samples by cosine, 0–1; see `knn_accuracy`."""
    return knn_accuracy(train.pooled(), train.labels(), test.pooled(), test.labels(), min(k, len(train)))


def linear_probe(train: FrozenSamples, test: FrozenSamples, strength: float = 1.0, iterations: int = 500) -> Scores:
    """Logistic regression on standardised vectors, one per class where a sample can have several.

    scikit-learn's L-BFGS finds the optimum, so nothing but `strength` is to be chosen.

    Args:
        train, test: Frozen features with `label`.
        strength: Inverse of the regularisation, scikit-learn's C.
        iterations: Most steps.

    Returns:
        What the head of the task reports: overall accuracy or mean average precision.

    Raises:
        SampleError: One class only.
    """
    labels = train.labels()
    scores = class_scores(train.pooled(), labels, test.pooled(), len(train.classes), strength, iterations)
    head = (MultiLabelHead if labels.ndim == 2 else LabelHead)(1, train.classes)
    predicted = scores > 0.5 if labels.ndim == 2 else scores.argmax(1)
    metric = head.metric()
    metric.update({"label": predicted, "label_score": scores}, {"label": test.labels()})
    return metric.compute()


def class_scores(train: Tensor, labels: Tensor, test: Tensor, classes: int, strength: float, iterations: int) -> Tensor:
    """Probability of each class for each test row, m K; zero for classes that the training rows do not have."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fitted(truth: Tensor) -> tuple[Tensor, Tensor]:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=iterations))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # stopping after `iterations` is what was asked for
            model.fit(train.numpy(), truth.numpy())
        return torch.from_numpy(model.predict_proba(test.numpy())).float(), torch.from_numpy(model.classes_)

    found = torch.zeros(len(test), classes)
    if labels.ndim == 2:
        for one in range(classes):
            share = labels[:, one].float().mean()
            found[:, one] = fitted(labels[:, one])[0][:, 1] if 0 < share < 1 else share
        return found
    if len(labels.unique()) < 2:
        got = f"only class {int(labels[0])}"
        raise SampleError.of("two or more classes to learn", got, "Take more samples, or another split.")
    scores, ids = fitted(labels)
    found[:, ids] = scores
    return found


@dataclass(frozen=True)
class FewShot:
    """Accuracy with few examples per class.

    Attributes:
        shots: Examples per class.
        mean: Over the draws, 0–1.
        deviation: Standard deviation over the draws.
    """

    shots: int
    mean: float
    deviation: float


def few_shot(
    train: FrozenSamples, test: FrozenSamples, shots: tuple[int, ...] = (1, 2, 5, 10), draws: int = 10, seed: int = 0
) -> list[FewShot]:
    """A linear probe on a few examples per class, drawn several times.

    Classes with fewer examples than asked for give all they have.

    Args:
        train, test: Frozen features with one `label`.
        shots: Examples per class.
        draws: How often they are drawn.
        seed: Of the draws.
    """
    vectors, labels, truth = train.pooled(), train.labels(), test.labels()
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for count in shots:
        found = []
        for _ in range(draws):
            order = torch.randperm(len(labels), generator=generator)
            chosen = torch.cat([order[labels[order] == one][:count] for one in labels.unique()])
            scores = class_scores(vectors[chosen], labels[chosen], test.pooled(), len(train.classes), 1.0, 200)
            found.append((scores.argmax(1) == truth).float().mean())
        spread = torch.stack(found)
        rows.append(FewShot(count, float(spread.mean()), float(spread.std(correction=0))))
    return rows
