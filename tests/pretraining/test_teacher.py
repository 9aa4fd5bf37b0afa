"""The teacher follows the student, and the schedules are what their names say."""

import math

import pytest
import torch
from torch import nn

from skysense_nb.pretraining.teacher import cosine_schedule, linear_warmup, update_teacher


def make_network(seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    network(torch.randn(8, 3) + seed)
    return network


def test_parameters_are_averaged_and_buffers_copied():
    teacher, student = make_network(0), make_network(1)
    before = {name: value.clone() for name, value in teacher.named_parameters()}
    update_teacher(teacher, student, momentum=0.9)
    for name, value in teacher.named_parameters():
        assert torch.allclose(value, 0.9 * before[name] + 0.1 * student.get_parameter(name), atol=1e-6)
    for name, value in teacher.named_buffers():
        assert torch.equal(value, student.get_buffer(name))
    assert teacher[1].num_batches_tracked.dtype == torch.int64


def test_many_small_steps_end_where_the_formula_says():
    teacher, student = nn.Linear(2, 2), nn.Linear(2, 2)
    distance = (teacher.weight - student.weight).detach().abs()
    for _ in range(1000):
        update_teacher(teacher, student, momentum=0.999)
    assert torch.allclose((teacher.weight - student.weight).abs(), distance * 0.999**1000, rtol=1e-3)


def test_the_student_and_the_objects_of_the_teacher_stay_what_they_are():
    teacher, student = make_network(0), make_network(1)
    identities, before = [id(value) for value in teacher.parameters()], student[0].weight.clone()
    update_teacher(teacher, student, momentum=0.5)
    assert [id(value) for value in teacher.parameters()] == identities
    assert torch.equal(student[0].weight, before)
    assert all(value.is_leaf and value.grad is None for value in teacher.parameters())


@pytest.mark.parametrize("kept", [torch.float32, torch.bfloat16])
def test_dtypes_may_differ(kept):
    teacher, student = make_network(0).to(kept), make_network(1).bfloat16()
    before = teacher[0].weight.detach().float()
    expected = 0.5 * before + 0.5 * student[0].weight.detach().float()
    update_teacher(teacher, student, momentum=0.5)
    assert teacher[0].weight.dtype == kept
    assert torch.allclose(teacher[0].weight.float(), expected, rtol=1e-2)


def test_other_networks_are_refused():
    with pytest.raises(AssertionError, match="different networks"):
        update_teacher(nn.Linear(2, 2, bias=False), nn.Linear(2, 2), momentum=0.5)


def test_a_cosine_falls_from_start_to_end_with_its_slope_in_the_middle():
    values = [cosine_schedule(2.0, -1.0, 10, step) for step in range(12)]
    assert values[0] == 2.0 and values[5] == pytest.approx(0.5) and values[10] == values[11] == pytest.approx(-1.0)
    assert values[3] == pytest.approx(0.5 + 1.5 * math.cos(math.pi * 0.3))
    steps = [one - other for one, other in zip(values, values[1:], strict=False)]
    assert max(steps) == pytest.approx(steps[4]) or max(steps) == pytest.approx(steps[5])


def test_a_warmup_rises_evenly_and_stays():
    assert [linear_warmup(1.0, 4, step) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert linear_warmup(0.07, 0, 0, start=0.04) == 0.07
    assert cosine_schedule(0.99, 1.0, 0, 0) == 1.0
