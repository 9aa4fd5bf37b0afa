"""The monitor tells a living run from the ways it can die."""

import copy
import math

import pytest
import torch
from loss_cases import WIDTH

from skysense_nb.pretraining.collapse import Collapse, effective_rank
from skysense_nb.pretraining.contrast import Contrast, Targets
from skysense_nb.pretraining.projection import ProjectionHead
from skysense_nb.pretraining.teacher import update_teacher


class Recorded:
    """Stands for a contrast whose last targets are given, n K."""

    def __init__(self, *targets):
        entropy = torch.stack([torch.special.entr(row).sum() for row in targets]).mean()
        self.last = {"pixel": Targets(torch.stack(targets).mean(0), entropy, len(targets))}


def named(number, of=8):
    return torch.eye(of)[number]


def test_targets_that_differ_are_alive():
    watch = Collapse()
    watch.observe("s2", Recorded(*(named(number) for number in range(8))))
    state = watch.state()
    assert watch.words() is None
    assert state["s2/pixel/entropy"] == pytest.approx(0.0, abs=1e-6)
    assert state["s2/pixel/entropy_of_mean"] == pytest.approx(1.0, abs=1e-6)
    assert state["s2/pixel/information"] == pytest.approx(1.0, abs=1e-6)


def test_one_prototype_for_all_is_a_collapse():
    watch = Collapse()
    watch.observe("s2", Recorded(named(3), named(3), named(3)))
    assert "All places get the same prototypes (pixel of s2)" in watch.words()


def test_the_same_few_prototypes_for_all_are_a_collapse_too():
    watch, half = Collapse(), (named(1) + named(2)) / 2
    watch.observe("s2", Recorded(half, half))
    assert watch.state()["s2/pixel/entropy_of_mean"] == pytest.approx(math.log(2) / math.log(8))
    assert "same prototypes" in watch.words()


def test_targets_that_name_nothing_are_a_collapse():
    watch = Collapse()
    watch.observe("s2", Recorded(torch.full((8,), 1 / 8), torch.full((8,), 1 / 8)))
    assert "say nothing" in watch.words()


def test_batches_of_one_kind_each_are_alive_together():
    watch = Collapse()
    for number in range(8):
        watch.observe("s2", Recorded(named(number), named(number)))
    assert watch.words() is None


def test_an_empty_batch_is_not_judged():
    watch = Collapse()
    watch.observe("s2", Recorded(named(0), named(1)))
    before = watch.state()
    empty = Recorded(named(0))
    empty.last["pixel"] = Targets(torch.zeros(8), torch.zeros(()), 0)
    watch.observe("s2", empty)
    assert watch.state() == before


def test_effective_rank_is_exp_entropy_of_singular_values():
    rows = torch.randn(30, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 2, 1, 0.1, 0])
    values = (
        torch.linalg.eigvalsh((rows - rows.mean(0)).T.double() @ (rows - rows.mean(0)).double()).clamp(min=0).sqrt()
    )
    shares = [float(value / values.sum()) for value in values if value > 1e-6]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert effective_rank(rows) == pytest.approx(expected, rel=1e-4)
    assert effective_rank(rows + 7) == pytest.approx(expected, rel=1e-3)
    assert effective_rank(rows[:1] * (1 + 1e-7 * rows)) == pytest.approx(1.0)  # equal but for rounding
    assert effective_rank(torch.randn(5000, 6)) == pytest.approx(6.0, rel=0.02)


def test_features_on_a_line_are_a_collapse():
    watch = Collapse()
    watch.observe_features("fused", torch.randn(40, 1) * torch.ones(40, 6))
    assert "features of fused lie in 1.0 directions" in watch.words()


def train(centre_momentum, teacher_temperature, steps=150):
    """A short run on ten kinds of places seen through noise; returns its monitor."""
    torch.manual_seed(0)
    kinds, network = torch.randn(10, WIDTH), torch.nn.Linear(WIDTH, WIDTH)
    teacher, watch = copy.deepcopy(network).requires_grad_(False), Collapse()
    contrast = Contrast(
        ProjectionHead(WIDTH, 32, 8, 64), teacher_temperature=teacher_temperature, centre_momentum=centre_momentum
    )
    optimiser = torch.optim.AdamW([*network.parameters(), *contrast.student.parameters()], lr=2e-3)
    for _ in range(steps):
        places = kinds[torch.randint(0, 10, (64,))]
        features = network(places + 0.3 * torch.randn_like(places))
        loss = contrast(features, teacher(places + 0.3 * torch.randn_like(places)), "pixel")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        update_teacher(teacher, network, 0.98)
        update_teacher(contrast.teacher, contrast.student, 0.98)
        watch.observe("s2", contrast)
        watch.observe_features("s2", features)
    return watch


def test_a_real_run_lives_with_centring_and_sharpening_and_dies_without_either():
    assert train(0.9, 0.04).words() is None
    assert "same prototypes" in train(1.0, 0.04).words()
    assert "say nothing" in train(0.9, 1.0).words()
