"""Inference forms are compared with the plain form of the same part, on the same input."""

import json
import math

import pytest
import torch
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.errors import ParameterError, RunError, SkySenseError
from skysense_nb.layers import FeedForward
from skysense_nb.models import preset
from skysense_nb.runs import bench_inference as bench
from skysense_nb.runs.bench import count_gflop, random_module
from skysense_nb.runs.bench_inference import bench_inference, compared, prepared, timed, whole_gflop
from skysense_nb.runs.bench_parts import Geometry

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SMALL = Geometry(cells=2, s2_dates=2, s1_dates=1)
QUICK = {"geometry": SMALL, "device": "cpu", "rounds": 1}


@pytest.fixture(scope="module")
def rows():
    return {(row.part, row.precision): row for row in bench_inference("skysense-tiny", **QUICK)}


def test_every_part_is_compared_in_every_precision(rows):
    parts = ["HR encoder", "S2 encoder", "S2 head and dates", "S1 encoder", "S1 head and dates", "fusion"]
    assert list(rows) == [(part, precision) for part in [*parts, "whole model"] for precision in ("fp32", "bf16")]


def test_forms_agree_to_rounding(rows):
    for (_, precision), row in rows.items():
        assert row.error < (1e-5 if precision == "fp32" else 5e-2)
        assert row.cosine > (1 - 1e-6 if precision == "fp32" else 0.999)


def test_ratio_and_share_belong_to_the_seconds(rows, monkeypatch):
    """On a clock on which the plain form takes 6 seconds, the inference form 3 and the product 1."""
    for row in rows.values():
        assert row.ratio == pytest.approx(row.plain_s / row.fast_s)
    seconds = iter([6.0, 3.0, 1.0])
    monkeypatch.setattr(bench, "timed", lambda call, device: next(seconds))
    (row,) = bench_inference("skysense-tiny", parts=("fusion",), precisions=("fp32",), **QUICK)
    _, _, make, shape = next(part for part in compared(preset("skysense-tiny"), SMALL) if part[0] == "fusion")
    assert (row.plain_s, row.fast_s, row.ratio) == (6.0, 3.0, 2.0)
    assert row.share == pytest.approx(count_gflop(make, shape) / 3 / (2 * 2048**3 / 1e9))


def test_a_wrong_form_would_show(monkeypatch):
    """An inference form that is off by a tenth is told as such."""

    def off(*given):
        form = prepared(*given)
        return lambda x: 1.1 * form(x)

    monkeypatch.setattr(bench, "prepared", off)
    (row,) = bench_inference("skysense-tiny", parts=("fusion",), precisions=("fp32",), **QUICK)
    assert row.error == pytest.approx(0.1, rel=1e-3) and row.cosine == pytest.approx(1)


def test_both_forms_have_one_precision_on_a_gpu(monkeypatch):
    seen = []

    def noted(plain, device, dtype):
        seen.append((next(plain.parameters()).dtype, dtype))
        return prepared(plain, device, dtype)

    monkeypatch.setattr(bench, "prepared", noted)
    monkeypatch.setattr(bench, "plain_dtype", lambda device, dtype, real=bench.plain_dtype: real(GPU, dtype))
    rows = list(bench_inference("skysense-tiny", parts=("HR", "S2", "whole"), **QUICK))
    assert seen == 4 * [(torch.float32, torch.float32), (torch.bfloat16, torch.bfloat16)]
    for row in rows:
        assert row.error < (1e-5 if row.precision == "fp32" else 5e-2)
    assert bench.product_side(CPU) < bench.product_side(GPU)


def test_the_whole_is_the_sum_of_its_parts():
    config = preset("skysense-tiny")
    parts = [count_gflop(make, shape) for _, _, make, shape in compared(config, SMALL) if isinstance(shape, tuple)]
    assert len(parts) == 6 and whole_gflop(config, SMALL) == pytest.approx(sum(parts))


def test_heads_stand_in_the_order_of_the_fusion():
    """Folded head and plain head give the same token to the same cell."""
    head = next(make for label, _, make, _ in compared(preset("skysense-tiny"), SMALL) if label == "S2 head and dates")
    plain = random_module(head, CPU, torch.float32)
    deepest = torch.randn(3, 128, 2, 5)
    torch.testing.assert_close(prepared(plain, CPU, torch.float32)(deepest), plain(deepest), rtol=1e-4, atol=1e-5)


def test_experts_stand_beside_a_dense_layer():
    labels = [label for label, *_ in compared(preset("skysense-v2-moe"), SMALL)]
    assert labels[-3:] == ["experts", "dense feed-forward", "whole model"]
    plain = random_module(lambda: FeedForward(32), CPU, torch.float32)
    x = torch.randn(7, 32)
    torch.testing.assert_close(prepared(plain, CPU, torch.float32)(x), plain(x), rtol=1e-4, atol=1e-6)


def test_time_is_that_of_one_thread_and_threads_come_back():
    before, seen = torch.get_num_threads(), []
    with bench.one_thread(CPU):
        timed(lambda: seen.append(torch.get_num_threads()), CPU)
    assert seen == [1] and torch.get_num_threads() == before


@pytest.mark.parametrize(
    "wrong",
    [{"parts": ("HR", "tail")}, {"precisions": ("int8",)}, {"rounds": 0}, {"geometry": Geometry(0)}, {"name": "none"}],
)
def test_what_cannot_be_compared_is_refused(wrong):
    with pytest.raises(SkySenseError, match="Expected .* got"):
        next(bench_inference(**{**QUICK, **wrong}))


def run(*options: str):
    sizes = ["--cells", "2", "--s2-dates", "2", "--s1-dates", "1", "--device", "cpu"]
    return CliRunner().invoke(app, ["bench", *sizes, *options])


def test_the_command_takes_parts_sizes_and_precisions():
    done = run("skysense-tiny", "--inference", "--part", "fusion", "--part", "S1", "--precision", "bf16", "--json")
    rows = json.loads(done.stdout)
    assert [(row["part"], row["precision"], row["reads"]) for row in rows] == [
        ("S1 encoder", "bf16", "1 dates of 2 × 2 px"),
        ("S1 head and dates", "bf16", "1 dates of 2 × 2 px"),
        ("fusion", "bf16", "4 cells × 4 tokens"),
    ]
    assert all(math.isfinite(row["ratio"]) for row in rows)


def test_the_command_measures_one_thing_and_keeps_what_has_a_record(tmp_path):
    two, kept = run("--inference", "--mapping"), run("--readers", "--keep", str(tmp_path))
    for done, words in ((two, "got inference, mapping"), (kept, "--keep with --inference or --training, got readers")):
        assert isinstance(done.exception, ParameterError) and words in str(done.exception)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("kept")
    done = run("--inference", "--keep", str(tmp_path / "file"))
    assert isinstance(done.exception, RunError) and "got a file" in str(done.exception) and done.stdout == ""
