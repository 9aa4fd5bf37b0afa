"""Probes: hand-made cases, scikit-learn and slow loops agree; collapsed features earn nothing."""

import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score
from sklearn.neighbors import KNeighborsClassifier

from skysense_nb.errors import EnvironmentProblem, SampleError
from skysense_nb.training import probes
from skysense_nb.training.probes import (
    Segmentation,
    knn_accuracy,
    linear_probe_miou,
    retrieval_recall,
    segmentation,
)


def clouds(count, classes=4, width=6, spread=1.0, seed=0):
    """Points around one random direction per class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    middle = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    return 2 * middle[labels] + spread * torch.randn(count, width, generator=generator), labels


@pytest.mark.parametrize("k", [1, 5, 20])
def test_neighbours_vote_as_in_scikit_learn(k, monkeypatch):
    monkeypatch.setattr(probes, "ROWS_AT_ONCE", 7)
    train, train_labels = clouds(120, spread=2.5)
    test, test_labels = clouds(45, spread=2.5, seed=1)
    reference = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(train.numpy(), train_labels.numpy())
    expected = reference.score(test.numpy(), test_labels.numpy())
    assert 0.4 < expected < 1
    assert knn_accuracy(train, train_labels, test, test_labels, k=k) == pytest.approx(expected)


def test_neighbours_do_not_depend_on_the_length_of_features():
    train, train_labels = clouds(60)
    test, test_labels = clouds(30, seed=1)
    scale = torch.rand(30, 1, generator=torch.Generator().manual_seed(0)) * 100 + 0.01
    assert knn_accuracy(train, train_labels, test * scale, test_labels) == knn_accuracy(
        train, train_labels, test, test_labels
    )


def test_the_majority_of_neighbours_wins_by_hand():
    angle = torch.tensor([0.0, 0.1, 0.2, 1.0, 1.1])
    train = torch.stack((angle.cos(), angle.sin()), dim=1)
    labels, test = torch.tensor([2, 1, 1, 0, 0]), torch.tensor([[1.0, 0.0]])
    assert knn_accuracy(train, labels, test, torch.tensor([2]), k=1) == 1.0
    assert knn_accuracy(train, labels, test, torch.tensor([1]), k=3) == 1.0
    assert knn_accuracy(train, labels, test, torch.tensor([7]), k=3) == 0.0  # a class that training never saw


def test_overlap_per_class_is_that_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 5, (300,), generator=generator) * 2  # classes 0, 2, … 8
    predicted = torch.where(torch.rand(300, generator=generator) < 0.6, truth, truth.roll(1))
    predicted[:20] = 11
    found = segmentation(predicted, truth)
    expected = jaccard_score(truth, predicted, labels=list(found.iou), average=None)
    assert list(found.iou) == [0, 2, 4, 6, 8]
    assert list(found.iou.values()) == pytest.approx(expected)
    assert found.miou == pytest.approx(np.mean(expected))


def test_overlap_by_hand():
    found = segmentation(torch.tensor([0, 0, 0, 1, 3]), torch.tensor([0, 0, 1, 1, 1]))
    assert found.iou == {0: 2 / 3, 1: 1 / 3}
    assert found.words() == "mIoU 0.50: 1 0.33, 0 0.67"


def test_a_linear_layer_separates_what_is_linear_and_not_what_is_noise():
    train, train_labels = clouds(400, spread=0.2)
    test, test_labels = clouds(200, spread=0.2, seed=1)
    assert linear_probe_miou(train, train_labels, test, test_labels).miou == 1.0
    noise = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    assert linear_probe_miou(noise, train_labels, noise[:200], test_labels).miou < 0.3


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_the_linear_probe_is_a_logistic_regression_on_standardised_features():
    train, train_labels = clouds(300, spread=2.5)
    test, test_labels = clouds(150, spread=2.5, seed=1)
    far = torch.tensor([1.0, 10.0, 0.1, 1000.0, 1.0, 1.0])
    mean, std = train.mean(0), train.std(0, correction=0)
    model = LogisticRegression(max_iter=8).fit(((train - mean) / std).numpy(), train_labels.numpy())
    predicted = torch.from_numpy(model.predict(((test - mean) / std).numpy()))
    found = linear_probe_miou(train * far + 50, train_labels, test * far + 50, test_labels, iterations=8)
    assert found.miou == pytest.approx(segmentation(predicted, test_labels).miou, abs=0.02)
    assert 0.2 < found.miou < 0.95


def test_cells_without_a_label_change_nothing():
    train, train_labels = clouds(200)
    test, test_labels = clouds(100, seed=1)
    junk = torch.full((50, 6), 1e4)
    none = torch.full((50,), -1)
    expected = linear_probe_miou(train, train_labels, test, test_labels)
    more, more_labels = torch.cat((junk, train)), torch.cat((none, train_labels))
    found = linear_probe_miou(more, more_labels, torch.cat((test, junk)), torch.cat((test_labels, none)))
    assert found == expected
    assert -1 not in found.iou


def test_no_more_cells_are_learnt_from_than_allowed(monkeypatch):
    train, train_labels = clouds(500)
    seen = []
    original = probes.logistic_regression
    monkeypatch.setattr(probes, "logistic_regression", lambda *given: seen.append(given[:2]) or original(*given))
    linear_probe_miou(train, train_labels, train, train_labels, most_cells=120)
    cells, labels = seen[0]
    rows = {tuple(row): number for number, row in enumerate(train.tolist())}
    drawn = [rows[tuple(row)] for row in cells.tolist()]
    assert len(drawn) == len(set(drawn)) == 120
    assert torch.equal(train_labels[drawn], labels)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_retrieval_is_the_rank_of_the_partner_counted_slowly(k, monkeypatch):
    monkeypatch.setattr(probes, "ROWS_AT_ONCE", 5)
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(23, 4, generator=generator)
    other = one + torch.randn(23, 4, generator=generator)
    cosine = [[float(torch.cosine_similarity(a, b, dim=0)) for b in other] for a in one]
    forward = sum(sum(value > row[i] for value in row) < k for i, row in enumerate(cosine)) / 23
    columns = list(zip(*cosine, strict=True))
    backward = sum(sum(value > column[i] for value in column) < k for i, column in enumerate(columns)) / 23
    assert forward != backward or k == 10
    assert retrieval_recall(one, other, k=k) == pytest.approx((forward, backward))


def test_retrieval_of_the_same_features_is_perfect_and_of_collapsed_ones_empty():
    features = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    assert retrieval_recall(features, 3 * features) == (1.0, 1.0)
    assert retrieval_recall(torch.ones(40, 8), torch.ones(40, 8)) == (0.0, 0.0)
    assert retrieval_recall(torch.ones(40, 8), torch.ones(40, 8), k=40) == (1.0, 1.0)


def test_probes_take_half_precision_and_features_with_a_graph():
    train, labels = clouds(60)
    features = train.bfloat16().requires_grad_()
    assert knn_accuracy(features, labels, features, labels, k=1) == 1.0
    assert linear_probe_miou(features, labels, features, labels).miou > 0.8
    assert retrieval_recall(features, features) == (1.0, 1.0)


def test_what_cannot_be_probed_is_refused():
    features, labels = torch.eye(4), torch.tensor([0, 1, 0, 1])
    with pytest.raises(SampleError, match=r"got \(4, 4\), \(3,\), \(4, 4\), \(4,\)"):
        knn_accuracy(features, labels[:3], features, labels)
    with pytest.raises(SampleError, match="Expected k from 1 to 4 training places, got 10"):
        knn_accuracy(features, labels, features, labels)
    with pytest.raises(SampleError, match="Expected class ids of 0 and up, got -1"):
        knn_accuracy(features, labels - 1, features, labels, k=1)
    with pytest.raises(SampleError, match="Expected finite features"):
        linear_probe_miou(features / 0, labels, features, labels)
    with pytest.raises(SampleError, match="Expected two or more classes to learn, and cells to test, got 1 and 4"):
        linear_probe_miou(features, labels * 0, features, labels)
    with pytest.raises(SampleError, match="Expected n D features"):
        linear_probe_miou(features[:0], labels[:0], features, labels)
    for one, other, k in ((features, features[:3], 1), (features[:0], features[:0], 1), (features, features, 0)):
        with pytest.raises(SampleError, match="Expected N D features of the same places twice"):
            retrieval_recall(one, other, k)


def test_scikit_learn_is_missed_only_by_the_linear_probe(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    features, labels = torch.eye(4), torch.tensor([0, 1, 0, 1])
    with pytest.raises(EnvironmentProblem, match="Install scikit-learn, or use knn_accuracy"):
        linear_probe_miou(features, labels, features, labels)
    assert knn_accuracy(features, labels, features, labels, k=1) == 1.0


def test_a_line_for_logs_names_the_worst_class_first():
    assert Segmentation(0.5, {2: 0.9, 0: 0.1}).words(["a", "b", "c"]) == "mIoU 0.50: a 0.10, c 0.90"
