"""The bench counts operations rightly and measures every part."""

import math

import pytest
import torch

from skysense_nb.errors import ParameterError, PresetError
from skysense_nb.models import preset
from skysense_nb.models.presets import TINY
from skysense_nb.runs.bench import bench, bench_hr_strides, count_gflop, matrix_product_rate, random_module
from skysense_nb.runs.bench_parts import Geometry, modules


def test_operations_of_the_fusion_by_hand():
    geometry = Geometry(cells=2, s2_dates=3, s1_dates=1)
    found = {name: count_gflop(build, shape) for name, _, build, shape in modules(TINY, geometry)}
    rows, tokens, width, into = 4, 5, 128, 256
    layer = (tokens + 1) * 2 * 12 * width**2 + 2 * 2 * (tokens + 1) ** 2 * width  # projections, then q·k and weights·v
    read = (tokens + 1) * 2 * 2 * width**2 + 2 * 2 * (tokens + 1) * width  # keys and values of all, one query's reading
    last = read + 2 * (1 + 1 + 8) * width**2  # query, projection and feed-forward of the extra token alone
    by_hand = rows * (tokens * 2 * into * width + 3 * layer + last)
    assert round(found["fusion"] * 1e9) == by_hand
    assert found["S2 head"] * 1e9 == 3 * 1 * 2 * 128 * 256 * 16


def test_paper_size_operations_agree_with_an_independent_count():
    """HR 512 with 20 + 10 dates of 16 × 16 pixels: 6.41 TFLOP, 76 % of them in the fusion.

    The independent count, 5.02 for the fusion, has the last block compute all 32 tokens, of which one is read.
    """
    counted = {n: count_gflop(b, s) / 1e3 for n, _, b, s in modules(preset("skysense"), Geometry(16, 20, 10))}
    assert counted["HR encoder"] == pytest.approx(1.206, rel=0.01)
    left_out = 256 * (31 * 2 * 10 * 1024**2 + 2 * 2 * 31 * 32 * 1024) / 1e12
    assert counted["fusion"] == pytest.approx(5.02 - left_out, rel=0.002)
    assert sum(counted.values()) == pytest.approx(6.58 - left_out, rel=0.01)


def test_every_part_is_measured():
    rows = list(bench("skysense-tiny", geometry=Geometry(2, 2, 1), precisions=("fp32", "bf16"), device="cpu", rounds=1))
    assert [row.module for row in rows][::2] == [
        "HR encoder",
        "S2 encoder",
        "S2 head",
        "S1 encoder",
        "S1 head",
        "fusion",
    ]
    for row in rows:
        assert row.gflop_per_s == pytest.approx(row.gflop / row.wall_s)
        assert all(math.isfinite(value) for value in (row.wall_s, row.cpu_s, row.share))
    with pytest.raises(PresetError):
        list(bench("nothing"))


def test_ceiling_is_a_rate():
    assert matrix_product_rate(torch.device("cpu"), torch.float32, side=64) > 0


def test_the_command_prints_rows_or_json(capsys):
    import json

    from typer.testing import CliRunner

    from skysense_nb.__main__ import app

    options = ["bench", "skysense-tiny", "--cells", "2", "--precision", "fp32", "--device", "cpu"]
    lines = CliRunner().invoke(app, options).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["HR", "S2", "S2", "S1", "S1", "fusion"]
    rows = json.loads(CliRunner().invoke(app, [*options, "--json"]).stdout)
    assert rows[-1]["reads"] == "4 cells × 16 tokens"


def test_one_backbone_is_counted_for_each_sensor_by_hand():
    """Stage 4 of a Sentinel image of 8 × 8 pixels: four tokens and four prompts, 2816 wide in two blocks."""
    parts = {name: (build, shape) for name, _, build, shape in modules(preset("skysense-v2"), Geometry(8, 1, 1))}
    total, tokens = 4 * 2 * 352 * 2 * 4**2, 4
    for stage, (depth, width) in enumerate(zip((2, 2, 18, 2), (352, 704, 1408, 2816), strict=True)):
        total += tokens * 2 * (width // 2) * width if stage else 0  # the merging keeps the grid
        read = tokens + 4 if stage > 1 else 64 if stage < 2 else tokens  # windows are padded to 8 × 8
        fed = tokens + 4 if stage > 1 else tokens
        heads = width // 32
        position = 2 * 225 * (2 * 512 + 512 * heads) if stage < 2 else 0
        total += depth * (read * 2 * 4 * width**2 + 2 * 2 * read**2 * width + fed * 2 * 8 * width**2 + position)
    assert count_gflop(*parts["S1 encoder"]) * 1e9 == total


def test_finer_maps_of_v2_cost_more():
    rows = bench_hr_strides(cells=2, device="cpu", rounds=1)
    assert [row.gflop for row in rows] == sorted(row.gflop for row in rows)
    assert rows[3].gflop > 5 * rows[0].gflop
    assert len({row.parameters_m for row in rows}) == 1
    with pytest.raises(ParameterError, match="Expected hr_stride 32 for a v1 model, got 16"):
        bench_hr_strides("skysense-tiny", cells=2, device="cpu", rounds=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_of_a_module_are_small_and_no_two_rows_are_equal(dtype):
    module = random_module(lambda: torch.nn.Linear(500, 3000), torch.device("cpu"), dtype)
    weight = module.weight.float()
    assert weight.dtype == torch.float32 and module.weight.dtype == dtype
    assert weight.std() == pytest.approx(0.02, rel=0.02) and abs(weight.mean()) < 1e-3
    assert len(weight.unique(dim=0)) == 3000
