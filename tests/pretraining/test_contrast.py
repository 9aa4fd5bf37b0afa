"""The contrast of student and teacher equals DINO's formula, and its centre follows the teacher."""

import math

import pytest
import torch
from loss_cases import PROTOTYPES, WIDTH, make_contrast, mean, slow_contrast

from skysense_nb.pretraining.contrast import Contrast
from skysense_nb.pretraining.projection import ProjectionHead


def rows(count=6, seed=1):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(count, WIDTH, generator=g, requires_grad=True), torch.randn(count, WIDTH, generator=g)


def test_equals_the_slow_formula():
    contrast, (student, teacher) = make_contrast().eval(), rows()
    slow = mean(slow_contrast(contrast, s, t, "object") for s, t in zip(student, teacher, strict=True))
    assert contrast(student, teacher, "object").item() == pytest.approx(slow, rel=1e-4)


def test_weights_count_rows_more_than_once():
    contrast, (student, teacher) = make_contrast().eval(), rows(3)
    index = torch.tensor([0, 1, 1, 1])
    repeated = contrast(student[index], teacher[index], "pixel")
    weighted = contrast(student, teacher, "pixel", weight=torch.tensor([1.0, 3.0, 0.0]))
    assert torch.allclose(weighted, repeated, atol=1e-6)
    assert contrast.last["pixel"].mean.sum() == pytest.approx(1.0)


def test_gradients_reach_the_student_and_never_the_teacher():
    contrast, (student, teacher) = make_contrast(), rows()
    teacher.requires_grad_()
    contrast(student, teacher, "pixel").backward()
    assert student.grad.abs().min() > 0
    assert all(value.grad.abs().max() > 0 for value in contrast.student.parameters())
    assert teacher.grad is None
    assert all(value.grad is None and not value.requires_grad for value in contrast.teacher.parameters())


def test_gradient_is_answer_minus_target_over_the_temperature():
    contrast, (student, teacher) = make_contrast().eval(), rows(1)
    logits = {}
    contrast.student.register_forward_hook(lambda _, __, out: logits.update(student=out) or out.retain_grad())
    contrast(student, teacher, "pixel").backward()
    target = ((contrast.teacher(teacher) - contrast.centres[0]) / 0.04).softmax(-1)
    expected = ((logits["student"] / 0.1).softmax(-1) - target) / 0.1
    assert torch.allclose(logits["student"].grad, expected, atol=1e-4)


def test_the_teacher_starts_as_a_copy_of_the_student():
    contrast = Contrast(ProjectionHead(WIDTH, 16, 8, PROTOTYPES))
    pairs = zip(contrast.student.parameters(), contrast.teacher.parameters(), strict=True)
    assert all(torch.equal(one, other) and one is not other for one, other in pairs)


def test_the_centre_of_the_level_follows_the_teachers_mean_in_training_only():
    contrast, (student, teacher) = make_contrast(), rows()
    before, weight = contrast.centres.clone(), torch.tensor([1.0, 1, 2, 0, 0, 0])
    logits = contrast.teacher(teacher).detach()
    contrast.eval()(student, teacher, "image", weight)
    assert torch.equal(contrast.centres, before)
    contrast.train()(student, teacher, "image", weight)
    moved = 0.9 * before[2] + 0.1 * (logits[0] + logits[1] + 2 * logits[2]) / 4
    assert torch.allclose(contrast.centres[2], moved, atol=1e-6)
    assert torch.equal(contrast.centres[:2], before[:2])


def test_the_centre_of_before_the_batch_is_used():
    contrast, (student, teacher) = make_contrast(), rows()
    resting = contrast.eval()(student, teacher, "pixel")
    assert torch.equal(contrast.train()(student, teacher, "pixel"), resting)
    assert contrast(student, teacher, "pixel") != resting


@pytest.mark.parametrize("weight", [None, torch.zeros(0)])
def test_no_rows_cost_nothing_move_nothing_and_keep_the_graph(weight):
    contrast, (student, teacher) = make_contrast(), rows(0)
    before = contrast.centres.clone()
    loss = contrast(student, teacher, "pixel", weight)
    loss.backward()
    assert loss == 0
    assert torch.equal(contrast.centres, before)
    assert all(value.grad.abs().max() == 0 for value in contrast.student.parameters())


def test_rows_in_parts_give_the_same_loss_gradient_and_centre():
    whole, parts = make_contrast(), make_contrast(rows_at_once=4)
    losses, gradients = [], []
    for contrast in (whole, parts):
        student, teacher = rows(10)
        weight = torch.linspace(0.0, 1.0, 10)
        losses.append(contrast(student, teacher, "pixel", weight))
        losses[-1].backward()
        gradients.append((student.grad, *(value.grad for value in contrast.student.parameters())))
    assert torch.allclose(*losses, atol=1e-6)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*gradients, strict=True))
    assert torch.allclose(whole.centres, parts.centres, atol=1e-6)
    assert torch.allclose(whole.last["pixel"].mean, parts.last["pixel"].mean, atol=1e-6)


def test_parts_may_have_fewer_rows_than_there_are_prototypes_on_any_device():
    contrast, (student, teacher) = make_contrast(rows_at_once=4).to("meta"), rows(10)
    assert PROTOTYPES > 4
    loss = contrast(student.to("meta"), teacher.to("meta"), "pixel")
    assert loss.shape == () and loss.requires_grad and contrast.last["pixel"].mean.shape == (PROTOTYPES,)


def test_the_order_of_rows_does_not_matter():
    contrast, (student, teacher) = make_contrast().eval(), rows()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    shuffled = contrast(student[order], teacher[order], "pixel")
    assert torch.allclose(contrast(student, teacher, "pixel"), shuffled, atol=1e-6)


def test_a_sharp_teacher_names_one_prototype_and_a_flat_one_none():
    contrast, (student, teacher) = make_contrast().eval(), rows()
    contrast.teacher_temperature = 1e-4
    contrast(student, teacher, "pixel")
    assert contrast.last["pixel"].entropy == pytest.approx(0.0, abs=1e-3)
    contrast.teacher_temperature = 1e4
    contrast(student, teacher, "pixel")
    assert contrast.last["pixel"].entropy == pytest.approx(math.log(PROTOTYPES), rel=1e-4)
    assert torch.allclose(contrast.last["pixel"].mean, torch.full((PROTOTYPES,), 1 / PROTOTYPES), atol=1e-4)


def test_balanced_targets_are_what_turns_of_columns_and_rows_give():
    contrast, (student, teacher) = make_contrast(balanced=True), rows(12)
    with torch.no_grad():
        share = (contrast.teacher(teacher) / contrast.teacher_temperature).double().exp()
        for _ in range(3):
            share = share / share.sum(0)
            share = share / share.sum(1, keepdim=True)
        answer = (contrast.student(student).double() / 0.1).log_softmax(-1)
    before = contrast.centres.clone()
    loss = contrast(student, teacher, "pixel")
    assert loss.item() == pytest.approx(-(share * answer).sum(1).mean().item(), rel=1e-4)
    assert torch.allclose(contrast.last["pixel"].mean, share.mean(0).float(), atol=1e-5)
    assert torch.equal(contrast.centres, before)


def test_balanced_targets_do_not_collapse_where_plain_ones_do():
    """A teacher that says the same of everything but for a trace."""
    student, teacher = rows(64)
    alike = teacher[:1] + 1e-3 * teacher
    spread = {}
    for balanced in (False, True):
        contrast = make_contrast(balanced=balanced).eval()
        contrast(student, alike, "pixel")
        spread[balanced] = float(torch.special.entr(contrast.last["pixel"].mean).sum()) / math.log(PROTOTYPES)
    assert spread[True] > 0.95 > spread[False]


def test_bf16_under_autocast_is_near_fp32():
    contrast, (student, teacher) = make_contrast().eval(), rows(64)
    exact = contrast(student, teacher, "pixel")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = contrast(student.bfloat16(), teacher.bfloat16(), "pixel")
    assert rounded.dtype == torch.float32
    assert torch.allclose(rounded, exact, rtol=0.05)
    assert contrast.last["pixel"].mean.dtype == contrast.centres.dtype == torch.float32
    assert contrast.last["pixel"].mean.sum().item() == pytest.approx(1.0, abs=1e-5)
    rounded.backward()
    assert student.grad.isfinite().all()
