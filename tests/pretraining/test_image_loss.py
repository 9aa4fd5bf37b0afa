"""The image loss compares the means of whole views."""

import pytest
import torch
from loss_cases import make_contrast, make_views, mean, slow_contrast

from skysense_nb.pretraining.image_loss import image_loss


def test_equals_the_slow_formula_for_views_of_different_sizes():
    contrast, (student, teacher, _, valid) = make_contrast().eval(), make_views()
    teacher = teacher[:, :, :4]
    slow = mean(
        slow_contrast(contrast, sum(student[b, t]) / 9, sum(teacher[b, t]) / 4, "image")
        for b in range(2)
        for t in range(3)
        if valid[b, t]
    )
    assert image_loss(student, teacher, valid, contrast).item() == pytest.approx(slow, rel=1e-4)


def test_the_order_of_cells_does_not_matter_and_invalid_dates_do_not_count():
    contrast, (student, teacher, _, valid) = make_contrast().eval(), make_views()
    before = image_loss(student, teacher, valid, contrast)
    other, partner = student.detach().flip(2), teacher.clone()
    other[1, 1] = partner[1, 1] = torch.nan
    assert torch.allclose(image_loss(other, partner, valid, contrast), before, atol=1e-6)


def test_gradients_reach_every_cell_of_valid_dates_and_never_the_teacher():
    contrast, (student, teacher, _, valid) = make_contrast(), make_views()
    teacher.requires_grad_()
    image_loss(student, teacher, valid, contrast).backward()
    assert ((student.grad.abs().amax((2, 3)) > 0) == valid).all()
    assert teacher.grad is None


def test_no_valid_date_costs_nothing():
    contrast, (student, teacher, _, valid) = make_contrast(), make_views()
    loss = image_loss(student, teacher, valid & False, contrast)
    loss.backward()
    assert loss == 0 and student.grad.abs().max() == 0
