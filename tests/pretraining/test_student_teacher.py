"""One step: which terms there are, what they train, what follows."""

from dataclasses import replace

import pytest
import torch
from small_runs import EVERYTHING, SMALL, networks, views

from skysense_nb.pretraining import Terms
from skysense_nb.pretraining.contrast import Contrast
from skysense_nb.pretraining.student_teacher import read_views

FULL = replace(SMALL, terms=EVERYTHING, geo_regions=4, geo_prototypes=3)
LEVELS = [f"{source}/{level}" for source in ("hr", "s2", "s1", "fused") for level in ("pixel", "object", "image")]
PAIRS = ["alignment/hr-s2", "alignment/hr-s1", "alignment/s2-s1"]


@pytest.fixture(scope="module")
def cut():
    return views(FULL)


@pytest.mark.parametrize("preset", ["skysense-tiny", "skysense-v2-tiny"])
def test_every_term_trains_the_student_and_only_the_student(preset, cut):
    made = networks(replace(FULL, preset=preset))
    terms = made.losses(cut)
    assert sorted(terms) == sorted([*LEVELS, *PAIRS, "queries", "text"])
    assert all(torch.isfinite(value) for value in terms.values())
    sum(terms.values()).backward()
    without = [name for name, p in made.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad is None for p in made.teacher.parameters())
    assert all(p.grad is None for c in made.modules() if isinstance(c, Contrast) for p in c.teacher.parameters())


@pytest.mark.parametrize(
    "terms,expected",
    [
        (Terms(object=0, image=0, alignment=0), [name for name in LEVELS if name.endswith("pixel")]),
        (Terms(pixel=0, object=0, image=0), PAIRS),
        (Terms(pixel=0, object=0, image=0, alignment=0, queries=1), ["queries"]),
        (Terms(pixel=0, object=0, image=0, alignment=0, text=1), ["text"]),
    ],
)
def test_terms_are_switched_one_by_one(terms, expected, cut):
    made = networks(replace(SMALL, terms=terms))
    assert sorted(made.losses(cut)) == sorted(expected)


def test_weights_multiply_their_term(cut):
    plain, heavy = (networks(replace(SMALL, terms=Terms(pixel=w, object=0, alignment=w))).losses(cut) for w in (1, 3))
    for name in plain:
        factor = 1 if name.endswith("image") else 3
        assert torch.allclose(heavy[name], factor * plain[name], rtol=1e-5)


def test_the_teacher_follows_by_its_momentum_and_heads_too(cut):
    made = networks(FULL)
    with torch.no_grad():
        for parameter in made.student.parameters():
            parameter.add_(1.0)
        made.contrasts["fused"].student.prototypes.mul_(2.0)
        made.decoder.queries.add_(1.0)
    before = [p.clone() for p in made.teacher.parameters()]
    head = made.contrasts["fused"].teacher.prototypes.clone()
    asked = made.teacher_decoder.queries.clone()
    made.losses(cut)
    report = made.follow(0.75)
    for old, new in zip(before, made.teacher.parameters(), strict=True):
        assert torch.allclose(new, old + 0.25, atol=1e-5)
    assert torch.allclose(made.contrasts["fused"].teacher.prototypes, 1.25 * head)
    assert torch.allclose(made.teacher_decoder.queries, asked + 0.25)
    assert report.known == made.bank.known_regions > 0


def test_views_read_together_equal_views_read_alone(cut):
    made = networks(SMALL).eval()
    several = [cut.first, cut.second, *cut.local]
    with torch.no_grad():
        together = read_views(made.student, several)
        for view, joined in zip(several, together, strict=True):
            (alone,) = read_views(made.student, [view])
            assert list(alone.sources) == ["hr", "s2", "s1", "fused"]
            for source in alone.sources:
                assert torch.allclose(alone.sources[source], joined.sources[source], atol=1e-5)
                assert torch.equal(alone.valid[source], joined.valid[source])
    assert together[0].sources["s2"].shape == (2, 2, 9, 256)
    assert together[2].sources["fused"].shape == (2, 1, 4, 128)


def test_a_sensor_that_no_tile_has_is_left_out(cut):
    made = networks(SMALL)
    for view in (cut.first, cut.second, *cut.local):
        view.sample = {key: value for key, value in view.sample.items() if not key.startswith("hr")}
    terms = made.losses(cut)
    assert sorted(terms) == sorted([*(name for name in LEVELS if not name.startswith("hr")), "alignment/s2-s1"])
