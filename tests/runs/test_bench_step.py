"""Ways to take a step of training are compared with the plain one, by the same gradients."""

import json

import pytest
import torch
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.models.vit import ViTConfig, ViTEncoder
from skysense_nb.runs import bench_step as bench
from skysense_nb.runs.bench_step import WAYS, Step, bench_step, gradient_of, step_of

SMALL = ViTConfig(2, embed_dims=48, num_layers=4, num_heads=3, out_indices=(3,), drop_path_rate=0.0)
QUICK = {"dates": 2, "pixels": 16, "device": "cpu", "rounds": 1}


@pytest.fixture(scope="module")
def steps():
    return {step.way: step for step in bench_step(SMALL, **QUICK | {"dates": 8, "pixels": 48})}


def test_gradients_of_all_ways_agree(steps):
    assert list(steps) == list(WAYS)
    assert steps["fp32"].ratio == 1 and steps["fp32"].error == 0
    assert steps["fp32, faster products"].error < 1e-5
    assert 1e-5 < steps["bf16"].error < 5e-2 and 1e-5 < steps["bf16, recomputed"].error < 5e-2


def kept_for_the_backward_pass(way: str) -> int:
    """Bytes of the different tensors that a forward pass keeps, weights and images apart."""
    torch.manual_seed(0)
    model, images = ViTEncoder(SMALL).train(), torch.randn(2, 2, 48, 48)
    own = {tensor.untyped_storage().data_ptr() for tensor in (images, *model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    precision, model.recompute, _ = WAYS[way]
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        levels = model(images)
    assert levels[-1].requires_grad
    return sum(kept.values())


def test_recomputed_activations_are_not_kept():
    plain = kept_for_the_backward_pass("fp32")
    assert kept_for_the_backward_pass("bf16") < plain
    assert kept_for_the_backward_pass("bf16, recomputed") < 0.2 * plain


def test_memory_is_told_beside_that_of_the_plain_step(steps):
    if steps["bf16"].peak_mib is None:
        pytest.skip("the system does not tell")
    assert all(step.peak_mib > 0 for step in steps.values())
    assert steps["bf16"].less == pytest.approx(steps["fp32"].peak_mib / steps["bf16"].peak_mib)


def test_ratios_are_of_the_median(monkeypatch):
    """Three rounds of four ways that take turns; the disturbed first round does not count."""
    seconds = iter([99.0] * 4 + [4.0, 2.0, 1.0, 8.0] * 2)
    monkeypatch.setattr(bench, "timed", lambda step, device: next(seconds))
    steps = list(bench_step(SMALL, **QUICK | {"rounds": 3}))
    assert [step.seconds for step in steps] == [4.0, 2.0, 1.0, 8.0]
    assert [step.ratio for step in steps] == [1.0, 2.0, 4.0, 0.5]


def test_a_step_leaves_the_gradients_of_its_loss():
    torch.manual_seed(0)
    model = ViTEncoder(SMALL).train()
    images = torch.randn(2, 2, 16, 16)
    target = torch.randn(model(images)[-1].shape)
    taken = gradient_of(model, step_of(model, images, target, "fp32"))
    model.zero_grad()
    (model(images)[-1] * target).mean().backward()
    expected = torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])
    torch.testing.assert_close(taken, expected)
    assert expected.abs().max() > 0


def test_the_command_prints_rows_or_json(monkeypatch):
    rows = [Step("fp32", 2.0, 1.0, 400.0, 1.0, 0.0), Step("bf16", 0.5, 4.0, None, None, 4e-3)]
    monkeypatch.setattr(bench, "bench_step", lambda device: iter(rows))
    lines = CliRunner().invoke(app, ["bench", "--training"]).stdout.splitlines()
    assert lines == [str(row) for row in rows] and "4.00 × faster · gradients off 4e-03" in lines[1]
    assert json.loads(CliRunner().invoke(app, ["bench", "--training", "--json"]).stdout)[1]["ratio"] == 4.0
