"""Limits of a machine, and where parts of a model stand below them: every number by hand."""

import pytest
import torch
from torch import nn

from skysense_nb.models import preset
from skysense_nb.models.inference import choose
from skysense_nb.runs import roofline
from skysense_nb.runs.bench import count_gflop
from skysense_nb.runs.bench_inference import Comparison, compared
from skysense_nb.runs.bench_parts import Geometry
from skysense_nb.runs.roofline import memory_rate, numbers_moved, roofline_points, roofs

SMALL = Geometry(cells=2, s2_dates=2, s1_dates=1)


def row(part: str, precision: str, plain_s: float, fast_s: float) -> Comparison:
    return Comparison(part, "", precision, plain_s, fast_s, plain_s / fast_s, None, None, 0.0, 1.0, 0.5)


def test_weights_inputs_and_outputs_are_moved():
    assert numbers_moved(lambda: nn.Linear(8, 4), (3, 8)) == (8 * 4 + 4) + 3 * 8 + 3 * 4


def test_a_fusion_by_hand():
    make, shape = next(
        (make, shape) for label, _, make, shape in compared(preset("skysense-tiny"), SMALL) if label == "fusion"
    )
    weights = sum(parameter.numel() for parameter in make().parameters())
    assert shape == (4, 4, 256) and numbers_moved(make, shape) == weights + 4 * 4 * 256 + 4 * 128
    rows = [row("fusion", "fp32", 4.0, 2.0), row("fusion", "bf16", 5.0, 1.0), row("whole model", "fp32", 9.0, 1.0)]
    points = roofline_points("skysense-tiny", rows, SMALL)
    flop = 1e9 * count_gflop(make, shape)
    assert points[["part", "form", "precision"]].values.tolist() == [
        ["fusion", "plain form", "fp32"],
        ["fusion", "inference form", "fp32"],
        ["fusion", "inference form", "bf16"],
    ]
    intensity = flop / numbers_moved(make, shape)
    assert points["flop_per_byte"].tolist() == pytest.approx([intensity / 4, intensity / 4, intensity / 2])
    assert points["gflop_per_s"].tolist() == pytest.approx([flop / 4e9, flop / 2e9, flop / 1e9])


def test_the_fastest_of_some_rounds_counts(monkeypatch):
    """Calls that take 9, 2, 4, 4 and 4 seconds."""
    seconds = iter([9.0, 2.0, 4.0, 4.0, 4.0] * 4)
    monkeypatch.setattr(roofline, "timed", lambda call, device: next(seconds))
    kind = choose(torch.device("cpu"), torch.bfloat16).kind
    rate = 2 * 2048**3 / 2 / 1e9
    assert roofs(("bf16",), "cpu") == {"fp32, plain products": rate, f"bf16, {kind} products": rate}
    assert memory_rate("cpu") == 2 * 256e6 / 2 / 1e9


def test_limits_are_those_of_one_thread(monkeypatch):
    before, seen = torch.get_num_threads(), set()
    monkeypatch.setattr(roofline, "timed", lambda call, device: seen.add(torch.get_num_threads()) or 1.0)
    roofs(("fp32",), "cpu"), memory_rate("cpu")
    assert seen == {1} and torch.get_num_threads() == before
