"""The pixel loss compares matched cells of valid dates, and nothing else."""

import pytest
import torch
from loss_cases import make_contrast, make_views, mean, slow_contrast

from skysense_nb.errors import SampleError
from skysense_nb.pretraining.pixel_loss import pixel_loss, take_matched


def test_equals_the_slow_formula():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    slow = mean(
        slow_contrast(contrast, student[b, t, s], teacher[b, t, int(match[b, s])], "pixel")
        for b in range(2)
        for t in range(3)
        for s in range(9)
        if valid[b, t] and match[b, s] >= 0
    )
    assert pixel_loss(student, teacher, match, valid, contrast).item() == pytest.approx(slow, rel=1e-4)


def test_unmatched_cells_and_invalid_dates_change_nothing():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    before = pixel_loss(student, teacher, match, valid, contrast)
    other, partner = student.detach().clone(), teacher.clone()
    other[0, :, :3], other[1, 1], partner[1, 1] = 9.0, torch.nan, torch.nan
    lonely = sorted(set(range(9)) - set(match[0].tolist()))
    partner[0, :, lonely] = 9.0
    assert torch.equal(pixel_loss(other, partner, match, valid, contrast), before)


def test_gradients_reach_compared_cells_only_and_never_the_teacher():
    contrast, (student, teacher, match, valid) = make_contrast(), make_views()
    teacher.requires_grad_()
    pixel_loss(student, teacher, match, valid, contrast).backward()
    assert not take_matched(teacher, match, like=student).requires_grad
    compared = (valid[:, :, None] & (match >= 0)[:, None])[..., None]
    assert ((student.grad.abs() > 0) == compared).all()
    assert teacher.grad is None


def test_the_order_of_the_batch_and_of_cells_does_not_matter():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views(batch=3)
    before = pixel_loss(student, teacher, match, valid, contrast)
    turned = pixel_loss(student.flip(0), teacher.flip(0), match.flip(0), valid.flip(0), contrast)
    cells = pixel_loss(student.flip(2), teacher, match.flip(1), valid, contrast)
    assert torch.allclose(turned, before, atol=1e-6) and torch.allclose(cells, before, atol=1e-6)


def test_a_local_view_meets_a_larger_one():
    contrast, (student, teacher, match, valid) = make_contrast().eval(), make_views()
    local = pixel_loss(student[:, :, :4], teacher, match[:, :4], valid, contrast)
    match[:, 4:] = -1
    assert torch.allclose(local, pixel_loss(student, teacher, match, valid, contrast), atol=1e-6)


def test_nothing_shared_costs_nothing_and_keeps_the_graph():
    contrast, (student, teacher, match, valid) = make_contrast(), make_views()
    loss = pixel_loss(student, teacher, match.fill_(-1), valid, contrast)
    loss.backward()
    assert loss == 0 and student.grad.abs().max() == 0


@pytest.mark.parametrize("wrong", ["dates", "cells", "width"])
def test_views_that_do_not_belong_together_are_refused(wrong):
    student, teacher, match, _ = make_views()
    teacher = teacher[:, 1:] if wrong == "dates" else teacher[..., 1:] if wrong == "width" else teacher
    match = match[:, 1:] if wrong == "cells" else match
    with pytest.raises(SampleError, match="match from the student's view"):
        take_matched(teacher, match, like=student)
