"""Assignments, agreement and likeness against slow or hand-made answers."""

import itertools

import pytest
import torch

from skysense_nb.errors import SampleError
from skysense_nb.pretraining.prototype_maps import agreement, assign, cosines, drift, nearest_cells, region_likeness


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cells_go_to_the_prototype_of_the_smallest_angle_whatever_their_length():
    cells, prototypes = draw(2, 5, 7), draw(4, 7, seed=1)
    slow = [
        [max(range(4), key=lambda k: float(torch.cosine_similarity(cell, prototypes[k], dim=0))) for cell in row]
        for row in cells
    ]
    assert assign(cells, prototypes).tolist() == slow
    assert torch.equal(assign(cells * 100, prototypes * 0.01), assign(cells, prototypes))
    with pytest.raises(SampleError, match="as wide as the prototypes, 7, got 6. Pass them through the bank's query"):
        cosines(cells[..., :6], prototypes)


def test_adjusted_rand_counts_pairs():
    g = torch.Generator().manual_seed(0)
    classes, groups = torch.randint(3, (40,), generator=g), torch.randint(4, (40,), generator=g)
    pairs = list(itertools.combinations(range(40), 2))
    same_class = [bool(classes[i] == classes[j]) for i, j in pairs]
    same_group = [bool(groups[i] == groups[j]) for i, j in pairs]
    both = sum(a and b for a, b in zip(same_class, same_group, strict=True))
    expected = sum(same_class) * sum(same_group) / len(pairs)
    most = (sum(same_class) + sum(same_group)) / 2
    assert agreement(classes, groups).adjusted_rand == pytest.approx((both - expected) / (most - expected))


def test_purity_grows_with_groups_and_adjusted_rand_does_not():
    classes = torch.arange(60) % 3
    alone, right, one = torch.arange(60), (classes + 1) % 3, torch.zeros(60).long()
    assert agreement(classes, alone).purity == 1 and agreement(classes, alone).adjusted_rand == pytest.approx(0)
    assert agreement(classes, right).purity == agreement(classes, right).adjusted_rand == 1
    assert agreement(classes, one).purity == pytest.approx(1 / 3) and agreement(classes, one).adjusted_rand == 0


def test_regions_are_alike_when_their_prototypes_are_in_any_order():
    bank = draw(5, 8)
    others = torch.stack([bank, bank[torch.tensor([3, 1, 4, 0, 2])] * 7, draw(5, 8, seed=1)])
    likeness = region_likeness(others)
    assert likeness[0, 1] == pytest.approx(1, abs=1e-6)
    assert torch.allclose(likeness, likeness.T) and torch.allclose(likeness.diagonal(), torch.ones(3))
    matrix = torch.cosine_similarity(bank[:, None], others[2][None], dim=2)
    assert likeness[0, 2] == pytest.approx(float(matrix.max(0).values.mean() + matrix.max(1).values.mean()) / 2)


def test_nearest_cells_come_in_order():
    cells, prototypes = draw(30, 4), draw(3, 4, seed=1)
    found = nearest_cells(cells, prototypes, 5)
    for k in range(3):
        order = torch.cosine_similarity(cells, prototypes[k][None], dim=1).sort(descending=True).indices
        assert torch.equal(found[k], order[:5])
    assert nearest_cells(cells[:2], prototypes, 5).shape == (3, 2)


def test_drift_ends_at_one():
    snapshots = [draw(2, 3, 4, seed=seed) for seed in range(3)]
    moved = drift(snapshots)
    assert moved.shape == (3, 2, 3) and torch.allclose(moved[-1], torch.ones(2, 3))
    assert moved[0, 1, 2] == pytest.approx(
        float(torch.cosine_similarity(snapshots[0][1, 2], snapshots[2][1, 2], dim=0))
    )
