"""Cells move towards the name of their class, in either form of the formula."""

import math

import pytest
import torch
import torch.nn.functional as F

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.pretraining.text_loss import TextAlignment, text_loss

FORMS = ["per_cell", "printed"]


def make_case(seed=0):
    """Cells 2 5 D, a table of 4 classes of which one is never seen, and class numbers with gaps."""
    g = torch.Generator().manual_seed(seed)
    tags = torch.tensor([[0, 1, 1, -1, 3], [3, -1, 0, 1, 1]])
    return torch.randn(2, 5, 6, generator=g), torch.randn(4, 6, generator=g), tags


def share(cell, table, number):
    scores = [math.exp(float(cell @ row / cell.norm() / row.norm()) / 0.07) for row in table]
    return scores[number] / sum(scores)


def test_the_printed_form_equals_its_slow_formula():
    cells, table, tags = make_case()
    terms = []
    for number in (0, 1, 3):
        shares = [share(cells[b, n], table, number) for b in range(2) for n in range(5) if tags[b, n] == number]
        terms.append(-math.log(sum(shares)) / len(shares))
    assert float(text_loss(cells, table, tags, form="printed")) == pytest.approx(sum(terms) / 3, rel=1e-4)


def test_the_default_form_is_the_usual_cross_entropy():
    cells, table, tags = make_case()
    terms = [
        -math.log(share(cells[b, n], table, int(tags[b, n]))) for b in range(2) for n in range(5) if tags[b, n] >= 0
    ]
    assert float(text_loss(cells, table, tags)) == pytest.approx(sum(terms) / len(terms), rel=1e-4)
    logits = F.normalize(cells, dim=2) @ F.normalize(table, dim=1).T / 0.07
    usual = F.cross_entropy(logits.flatten(0, 1), tags.flatten(), ignore_index=-1)
    assert torch.allclose(text_loss(cells, table, tags), usual, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_several_tags_of_a_cell_count_one_by_one(form):
    cells, table, tags = make_case()
    several = F.one_hot(tags.clamp(min=0), 4).bool() & (tags >= 0)[..., None]
    assert torch.equal(text_loss(cells, table, several, form=form), text_loss(cells, table, tags, form=form))
    several[0, 0, 2] = True
    twice = torch.cat((cells, cells[:1]), dim=0)
    once_more = torch.cat((tags, torch.tensor([[2, -1, -1, -1, -1]])))
    expected = text_loss(twice, table, once_more, form=form)
    assert torch.allclose(text_loss(cells, table, several, form=form), expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_untagged_cells_change_nothing_and_get_no_gradient(form):
    cells, table, tags = make_case()
    before = text_loss(cells, table, tags, form=form)
    cells[tags < 0] = 5.0
    cells.requires_grad_()
    after = text_loss(cells, table, tags, form=form)
    after.backward()
    assert torch.equal(before, after)
    assert ((cells.grad.abs().amax(-1) > 0) == (tags >= 0)).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_order_of_cells_does_not_matter(form):
    cells, table, tags = make_case()
    turned = text_loss(cells.flip(0, 1), table, tags.flip(0, 1), form=form)
    assert torch.allclose(turned, text_loss(cells, table, tags, form=form), atol=1e-5)


def test_the_printed_form_leaves_a_wrong_cell_alone_once_another_is_right():
    table = torch.eye(3)
    gradients = {}
    for form in FORMS:
        cells = torch.tensor([[[1.0, 0.1, 0.0], [0.1, 1.0, 0.0]]], requires_grad=True)
        text_loss(cells, table, torch.tensor([[0, 0]]), form=form).backward()
        gradients[form] = cells.grad[0, 1].norm()
    assert gradients["printed"] < 1e-3 < 1 < gradients["per_cell"]


def test_the_printed_form_falls_to_minus_log_n_over_n():
    cells, tags = torch.eye(3)[None, [0] * 8], torch.zeros(1, 8, dtype=torch.int64)
    assert float(text_loss(cells, torch.eye(3), tags, 0.01, "printed")) == pytest.approx(-math.log(8) / 8, abs=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_tagged_costs_nothing_and_keeps_the_graph(form):
    cells, table, tags = make_case()
    cells.requires_grad_()
    loss = text_loss(cells, table, tags.fill_(-1), form=form)
    loss.backward()
    assert loss == 0 and cells.grad.abs().max() == 0


def test_only_the_projection_is_trained():
    cells, table, tags = make_case()
    torch.manual_seed(0)
    align = TextAlignment(6, table)
    loss = align(cells, tags)
    loss.backward()
    assert [name for name, _ in align.named_parameters()] == ["projection.weight"]
    assert torch.equal(loss, text_loss(cells @ align.projection.weight.T, table, tags))
    assert align.projection.weight.grad.abs().max() > 0


def test_bf16_under_autocast_is_near_fp32():
    cells, table, tags = make_case()
    exact = text_loss(cells.bfloat16().float(), table, tags)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = text_loss(cells.bfloat16(), table, tags)
    assert inside.dtype == torch.float32
    assert torch.allclose(inside, exact, rtol=1e-5)


@pytest.mark.parametrize(
    "tags",
    [
        torch.full((2, 5), 4),
        torch.full((2, 5), -2),
        torch.zeros(2, 4).long(),
        torch.zeros(2, 5),
        torch.ones(2, 5).bool(),
    ],
)
def test_tags_that_do_not_fit_are_refused(tags):
    cells, table, _ = make_case()
    with pytest.raises(SampleError, match="Expected tags as 2 5 class numbers below 4"):
        text_loss(cells, table, tags)


def test_an_unknown_form_is_refused():
    with pytest.raises(ParameterError, match="per_cell, printed"):
        text_loss(*make_case(), form="both")
