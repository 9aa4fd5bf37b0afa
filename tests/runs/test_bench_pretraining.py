"""Every part of a pre-training step is a row, for every form that was asked for, and data are compared with it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.errors import ParameterError, PresetError
from skysense_nb.runs import bench_pretraining as bench
from skysense_nb.runs.bench_clock import CLUSTERING, PARTS
from skysense_nb.runs.bench_data import DataRate
from skysense_nb.runs.bench_pretraining import StepPart, bench_step, chosen_recipes, recipe_of

TINY = recipe_of("skysense-tiny", cells=2, batch=1)
ROWS = ["step", *PARTS, CLUSTERING]


@pytest.fixture(scope="module")
def rows():
    recipes = [TINY, recipe_of("skysense-v2-tiny", "bf16", recompute=True, cells=2, batch=1)]
    return list(bench.bench_pretraining(recipes, device="cpu", rounds=1, workers=[0]))


def test_rows_are_finite_and_named(rows):
    steps = [row for row in rows if isinstance(row, StepPart)]
    assert [row.part for row in steps] == 2 * ROWS
    forms = [(row.preset, row.precision, row.recompute, row.compiled, row.batch) for row in steps[:: len(ROWS)]]
    assert forms == [("skysense-tiny", "fp32", False, False, 1), ("skysense-v2-tiny", "bf16", True, False, 1)]
    numbers = [value for row in rows for value in row.to_dict().values() if isinstance(value, float)]
    assert all(math.isfinite(value) and value > 0 for value in numbers)
    assert "bf16, recomputed · backward" in str(steps[len(ROWS) + 5])


def test_shares_add_up_and_rates_belong_to_the_step(rows):
    for first in (0, len(ROWS)):
        step, *parts, clustering = rows[first : first + len(ROWS)]
        assert sum(row.wall_s for row in parts) == pytest.approx(step.wall_s, rel=1e-6)
        assert sum(row.share for row in parts) == pytest.approx(step.share) == pytest.approx(1)
        assert clustering.share == pytest.approx(clustering.wall_s / step.wall_s)
        assert step.steps_per_s == pytest.approx(1 / step.wall_s)
        assert step.tiles_per_s == pytest.approx(step.batch * step.steps_per_s)
        assert {row.tiles_per_s for row in parts} == {None}


def test_data_are_compared_with_the_fastest_training(rows):
    fastest = max(row.tiles_per_s for row in rows if row.to_dict().get("tiles_per_s") and isinstance(row, StepPart))
    data = [row for row in rows if isinstance(row, DataRate)]
    assert [row.source for row in data] == ["stored tiles", "synthetic places"]
    assert all(row.ratio == pytest.approx(row.tiles_per_s / fastest) for row in data)


def test_the_step_in_the_middle_counts_and_the_first_does_not(monkeypatch):
    def run(recipe, device, steps, compiled):
        assert recipe.accumulate == 1
        clock = type("Clock", (), {"peak_mib": 7.0})()
        seconds = [100.0] * (steps - 4) + [5.0, 1.0, 2.0, 4.0]
        clock.steps = [{part: np.full(2, time) for part in ROWS} for time in seconds]
        return None, clock

    monkeypatch.setattr(bench, "timed_run", run)
    for compiled in (False, True):
        row = bench_step(replace(TINY, batch=4, accumulate=2), compiled=compiled, device="cpu", rounds=4)[0]
        assert (row.wall_s, row.tiles_per_s, row.peak_mib, row.compiled) == (2.0, 2.0, 7.0, compiled)


def test_sizes_follow_the_device(monkeypatch):
    both = ["skysense-tiny", "skysense-v2-tiny"]
    assert [recipe.preset for recipe in chosen_recipes(precisions=["fp32"], device="cpu")] == both
    monkeypatch.setattr(bench, "choose_device", lambda name: torch.device("cuda"))
    found = {(r.preset, r.precision, r.recompute) for r in chosen_recipes(precisions=["fp32"])}
    small = {(f"{family}-small", "bf16", False) for family in bench.FAMILIES}
    assert found == {(name, "fp32", False) for name in both} | small | {(f, "bf16", True) for f in bench.FAMILIES}
    assert [r.precision for r in chosen_recipes("skysense", ["bf16"], recompute=True)] == ["bf16"]


def test_views_fit_into_tiles_of_any_size():
    for cells in (2, 3, 5, 8, 64):
        recipe = recipe_of("skysense-tiny", cells=cells)
        assert recipe.tile_cells % 2 == 0 and cells < recipe.tile_cells <= 1.5 * cells + 2


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"recipes": []}, {"recipes": [TINY, replace(TINY, tile_cells=6)]}])
def test_what_cannot_be_compared_is_refused(wrong):
    with pytest.raises(ParameterError):
        next(bench.bench_pretraining(**{"recipes": [TINY], "device": "cpu", **wrong}))


def test_an_unknown_preset_is_refused():
    with pytest.raises(PresetError):
        recipe_of("skysense-huge")


def test_the_command_prints_rows_or_json(monkeypatch):
    asked = {}

    def measured(recipes, **options):
        asked.update(options, recipes=recipes)
        yield StepPart("skysense-tiny", "fp32", False, False, 2, "step", 0.5, 0.5, 1.0, 2.0, 4.0, 100.0)
        yield DataRate("stored tiles", 2, 80.0, 20.0)

    monkeypatch.setattr(bench, "bench_pretraining", measured)
    options = ["bench", "skysense-tiny", "--pretraining", "--cells", "4", "--batch", "2", "--device", "cpu"]
    lines = CliRunner().invoke(app, options).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["skysense-tiny", "stored"]
    assert [(r.precision, r.batch, r.views.global_cells) for r in asked["recipes"]] == [("fp32", 2, 4), ("bf16", 2, 4)]
    more = [*options, "--compiled", "--recompute", "--precision", "bf16", "--json"]
    told = json.loads(CliRunner().invoke(app, more).stdout)
    assert told[0]["tiles_per_s"] / told[0]["steps_per_s"] == told[0]["batch"] and told[1]["ratio"] == 20.0
    assert asked["compiled"] and [(r.precision, r.recompute) for r in asked["recipes"]] == [("bf16", True)]
