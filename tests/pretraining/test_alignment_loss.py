"""Alignment: two sensors' cells find each other among all cells of the batch."""

import math
from itertools import combinations

import pytest
import torch

from skysense_nb.pretraining.alignment_loss import Alignment, contrast_places, mean_over_dates

WIDTH = 10


def make_sources(batch=2, cells=4, seed=0):
    """Three sensors with their own numbers of dates; one invalid date of S2, no S1 at all in the second sample."""
    g = torch.Generator().manual_seed(seed)
    dates = {"hr": 1, "s2": 3, "s1": 2}
    sources = {name: torch.randn(batch, count, cells, WIDTH, generator=g) for name, count in dates.items()}
    valid = {name: torch.ones(batch, count, dtype=torch.bool) for name, count in dates.items()}
    valid["s2"][0, 1], valid["s1"][1] = False, False
    return sources, valid


def make_alignment(**options):
    torch.manual_seed(0)
    return Alignment(WIDTH, common_width=6, **options)


def slow_pair(alignment, sources, valid, one, other):
    """Both directions, cell by cell, with dictionaries of unit vectors."""
    unit = {}
    for name in (one, other):
        weight = alignment.projections[name].weight.detach()
        for b, n in [(b, n) for b in range(len(valid[name])) for n in range(sources[name].shape[2])]:
            dates = [sources[name][b, t, n] for t in range(valid[name].shape[1]) if valid[name][b, t]]
            if dates:
                vector = weight @ (sum(dates) / len(dates))
                unit[name, b, n] = vector / vector.norm()
    places = [key[1:] for key in unit if key[0] == one and (other, *key[1:]) in unit]
    total = 0.0
    for query, key in ((one, other), (other, one)):
        for place in places:
            scores = {p: math.exp(float(unit[(query, *place)] @ unit[(key, *p)]) / 0.1) for p in places}
            total -= math.log(scores[place] / sum(scores.values())) / 2
    return total / len(places)


def test_equals_the_slow_formula():
    alignment, (sources, valid) = make_alignment(), make_sources()
    pairs = alignment(sources, valid)
    assert list(pairs) == ["hr-s2", "hr-s1", "s2-s1"]
    for (one, other), value in zip(combinations(sources, 2), pairs.values(), strict=True):
        assert value.item() == pytest.approx(slow_pair(alignment, sources, valid, one, other), rel=1e-4)


def test_invalid_dates_and_absent_sensors_change_nothing():
    alignment, (sources, valid) = make_alignment(), make_sources()
    before = alignment(sources, valid)
    sources["s2"][0, 1], sources["s1"][1] = torch.nan, torch.nan
    after = alignment(sources, valid)
    assert all(torch.equal(before[pair], after[pair]) for pair in before)
    first = {name: value[:1] for name, value in sources.items()}
    alone = alignment(first, {name: value[:1] for name, value in valid.items()})
    assert torch.allclose(after["hr-s1"], alone["hr-s1"], atol=1e-6)


def test_the_order_of_batch_cells_and_dates_does_not_matter():
    alignment, (sources, valid) = make_alignment(), make_sources()
    before = alignment(sources, valid)
    turned = {name: value.flip(0, 1, 2) for name, value in sources.items()}
    after = alignment(turned, {name: value.flip(0, 1) for name, value in valid.items()})
    assert all(torch.allclose(before[pair], after[pair], atol=1e-5) for pair in before)


def test_places_that_agree_cost_little_and_places_that_swap_cost_much():
    same = contrast_places(torch.eye(5), torch.eye(5), temperature=0.1)
    swapped = contrast_places(torch.eye(5), torch.eye(5).roll(1, 0), temperature=0.1)
    even = contrast_places(torch.ones(5, 4) / 2, torch.ones(5, 4) / 2, temperature=0.1)
    assert same < 0.001 and swapped > 9.9
    assert float(even) == pytest.approx(math.log(5), rel=1e-5)


def test_gradients_reach_valid_dates_of_every_sensor():
    alignment, (sources, valid) = make_alignment(), make_sources()
    for value in sources.values():
        value.requires_grad_()
    sum(alignment(sources, valid).values()).backward()
    for name, value in sources.items():
        assert ((value.grad.abs().amax((2, 3)) > 0) == valid[name]).all()
        assert alignment.projections[name].weight.grad.abs().max() > 0


def test_no_common_place_costs_nothing_and_keeps_the_graph():
    alignment, (sources, valid) = make_alignment(), make_sources()
    valid["s1"][:] = False
    pairs = alignment(sources, valid)
    sum(pairs.values()).backward()
    assert pairs["hr-s1"] == 0 and pairs["s2-s1"] == 0 and pairs["hr-s2"] > 0
    assert alignment.projections["s1"].weight.grad.abs().max() == 0


def test_drawn_cells_are_those_of_the_generator_and_the_same_for_all_sensors():
    whole, drawn = make_alignment(), make_alignment(cells_per_image=2)
    sources, valid = make_sources()
    chosen = torch.randperm(4, generator=torch.Generator().manual_seed(5))[:2]
    expected = whole({name: value[:, :, chosen] for name, value in sources.items()}, valid)
    found = drawn(sources, valid, torch.Generator().manual_seed(5))
    assert all(torch.allclose(expected[pair], found[pair], atol=1e-5) for pair in expected)
    assert found["hr-s2"] != whole(sources, valid)["hr-s2"]
    more = make_alignment(cells_per_image=9)(sources, valid)
    assert torch.equal(more["hr-s2"], whole(sources, valid)["hr-s2"])


def test_mean_over_dates_is_that_of_valid_ones():
    sources, valid = make_sources()
    mean = mean_over_dates(sources["s2"], valid["s2"])
    assert torch.allclose(mean[0], (sources["s2"][0, 0] + sources["s2"][0, 2]) / 2)
    assert mean_over_dates(sources["s1"], valid["s1"])[1].abs().max() == 0
    assert mean_over_dates(sources["s1"].bfloat16(), valid["s1"]).dtype == torch.bfloat16


def test_autocast_does_not_change_the_arithmetic():
    one, other = torch.nn.functional.normalize(make_sources()[0]["s2"].flatten(0, 2), dim=1).split(12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = contrast_places(one, other, 0.1)
    assert torch.equal(inside, contrast_places(one, other, 0.1))


def test_bf16_under_autocast_is_near_fp32():
    alignment, (sources, valid) = make_alignment(), make_sources()
    rounded = {name: value.bfloat16() for name, value in sources.items()}
    exact = alignment({name: value.float() for name, value in rounded.items()}, valid)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = alignment(rounded, valid)
    assert all(value.dtype == torch.float32 for value in inside.values())
    assert all(torch.allclose(inside[pair], exact[pair], rtol=0.05) for pair in exact)
