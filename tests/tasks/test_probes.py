"""Probes of whole places find what is there to be found, by scikit-learn used directly and by hand."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from skysense_nb.errors import SampleError
from skysense_nb.models import Features
from skysense_nb.tasks.frozen import FrozenSamples
from skysense_nb.tasks.probes import few_shot, knn, linear_probe

CLASSES = ("a", "b", "c")


def samples(vectors, labels, classes=CLASSES):
    def features(row):
        return Features(maps={}, fused=row[None, :, None, None], pooled=row[None], valid=torch.ones(1, 1).bool())

    items = [{"features": features(row), "label": label} for row, label in zip(vectors, labels, strict=True)]
    return FrozenSamples(items, classes)


def clouds(count, spread=0.6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    middles = torch.tensor([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0]])
    return middles[labels] + spread * torch.randn(count, 4, generator=generator), labels


def test_a_linear_probe_is_logistic_regression_on_standardised_vectors():
    (train, labels), (test, truth) = clouds(60), clouds(45, seed=1)
    found = linear_probe(samples(train, labels), samples(test, truth))
    scaler = StandardScaler().fit(train.numpy())
    model = LogisticRegression(max_iter=500).fit(scaler.transform(train.numpy()), labels.numpy())
    assert found.metric == "OA"
    assert found.value == pytest.approx(model.score(scaler.transform(test.numpy()), truth.numpy()))


def test_a_linear_probe_of_several_labels_is_one_regression_each():
    generator = torch.Generator().manual_seed(2)
    train, test = torch.randn(80, 4, generator=generator), torch.randn(40, 4, generator=generator)
    labels, truth = (torch.stack([v[:, 0] > 0, v[:, 1] + v[:, 2] > 0.3, v[:, 3] > -9], 1) for v in (train, test))
    found = linear_probe(samples(train, labels), samples(test, truth))
    scaler, scores = StandardScaler().fit(train.numpy()), []
    for one in (0, 1):
        model = LogisticRegression(max_iter=500).fit(scaler.transform(train.numpy()), labels[:, one].numpy())
        scores.append(model.predict_proba(scaler.transform(test.numpy()))[:, 1])
    scores = torch.stack([*map(torch.tensor, scores), torch.ones(40, dtype=torch.float64)], 1)
    by_hand = average_precision_score(truth.numpy().ravel(), scores.numpy().ravel())
    assert found.value == pytest.approx(by_hand, abs=1e-3)


def test_neighbours_vote_and_few_places_have_few_neighbours():
    (train, labels), (test, truth) = clouds(30, spread=0.05), clouds(9, spread=0.05, seed=1)
    assert knn(samples(train, labels), samples(test, truth)) == 1.0
    assert knn(samples(train[:3], labels[:3]), samples(test, truth), k=10) == pytest.approx(1 / 3)


def test_more_examples_tell_more_and_draws_repeat():
    (train, labels), (test, truth) = clouds(90, spread=1.2), clouds(90, spread=1.2, seed=1)
    rows = few_shot(samples(train, labels), samples(test, truth), shots=(1, 20), draws=8)
    assert rows[1].mean > rows[0].mean
    assert rows[0].deviation > 0
    assert rows == few_shot(samples(train, labels), samples(test, truth), shots=(1, 20), draws=8)


def test_a_class_that_was_not_seen_is_never_named():
    (train, labels), (test, truth) = clouds(60), clouds(45, seed=1)
    seen = labels != 2
    found = linear_probe(samples(train[seen], labels[seen]), samples(test, truth))
    assert found.per_class["c"] == 0.0


def test_one_class_alone_teaches_nothing():
    train, labels = clouds(9)
    with pytest.raises(SampleError, match="Expected two or more classes to learn, got only class 1"):
        linear_probe(samples(train, torch.ones_like(labels)), samples(train, labels))
