"""Drift is seen and told, tolerances stay, presets have their own sections, nothing is expected of a failed run."""

import numpy as np
import pytest

from skysense_nb.errors import RunError
from skysense_nb.runs import expectations
from skysense_nb.runs.arrays import summarise
from skysense_nb.runs.expectations import (
    Expected,
    NothingExpected,
    Number,
    changes,
    compare,
    drifts,
    read_expectations,
    write_expectations,
)
from skysense_nb.runs.record import Record

EXPECTED = Expected(metrics={"miou": Number(value=0.5, within=0.02), "seconds": Number(value=3.0, within=None)})
RAMP = np.linspace(0, 1, 60).reshape(3, 20)


@pytest.fixture(autouse=True)
def notebook(make_notebook, monkeypatch):
    """The notebook that all records here are of."""
    path = make_notebook(name="34_x", parameters='preset: str = "tiny"\nseed: int = 0')
    monkeypatch.setattr(expectations, "find_notebook", {"34_x": path}.get)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "expectations"


def record(arrays=None, status="ok", preset="tiny", seed=0, **metrics) -> Record:
    parameters = {"preset": preset, "seed": seed}
    plain = {
        "parameters": parameters,
        "inputs": {},
        "seed": 0,
        "device": "cpu",
        "wall_s": 1.0,
        "cells": [],
        "git": None,
    }
    times = {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z"}
    versions = {"peak_memory_mib": {}, "python": "3.11", "platform": "Linux", "packages": {}}
    summaries = {name: summarise(name, array) for name, array in (arrays or {}).items()}
    return Record(notebook="34_x", status=status, metrics=metrics, arrays=summaries, **plain, **times, **versions)


def told(found) -> list[str]:
    return [str(one) for one in found]


@pytest.mark.parametrize("metrics", [{"miou": 0.48, "seconds": 300.0}, {"miou": 0.52, "seconds": 0.1}])
def test_numbers_within_tolerance_and_times_pass(metrics):
    assert told(drifts(EXPECTED, record(**metrics))) == []


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"miou": 0.47, "seconds": 3.0}, "miou: expected 0.5 ± 0.02, got 0.47"),
        ({"miou": float("nan"), "seconds": 3.0}, "miou: expected 0.5 ± 0.02, got nan"),
        ({"miou": 0.5, "seconds": float("inf")}, "seconds: expected 3, got inf"),
        ({"seconds": 3.0}, "miou: expected 0.5 ± 0.02, got nothing"),
        ({"miou": 0.5, "seconds": 3.0, "more": 1.0}, "more: expected nothing, got 1"),
    ],
)
def test_everything_else_is_told(metrics, words):
    assert told(drifts(EXPECTED, record(**metrics))) == [words]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"map": RAMP}, []),
        ({"map": RAMP + 1e-6}, []),
        ({"map": RAMP.T}, ["map: expected shape (3, 20), got (20, 3)"]),
        ({"map": RAMP[::-1]}, ["map: expected order of values ± 0.02, got 1.7 off"]),
        ({}, ["map: expected float 3 × 20, mean 0.5, std 0.2935, got nothing"]),
        ({"map": RAMP, "new": [1.0]}, ["new: expected nothing, got float 1, mean 1, std 0"]),
    ],
)
def test_arrays_are_compared(folder, arrays, words):
    write_expectations(record({"map": RAMP}), folder)
    assert told(compare(record(arrays), folder)) == words


def test_what_is_written_is_expected_and_tolerances_stay(folder):
    assert [one.name for one in changes(record(miou=0.5, loss=20.0), folder)] == ["loss", "miou"]
    write_expectations(record({"map": RAMP}, miou=0.5, loss=20.0), folder)
    path = folder / "34_x.yaml"
    first = read_expectations(path)
    assert first.metrics == {"miou": Number(value=0.5, within=0.03), "loss": Number(value=20.0, within=0.6)}
    assert first.arrays["map"].within == 0.02
    path.write_text(path.read_text().replace("within: 0.6", "within: null").replace("within: 0.02", "within: 0.5"))
    other = record({"map": RAMP + 0.1}, miou=0.6, loss=90.0)
    assert told(changes(other, folder)) == ["miou: expected 0.5 ± 0.03, got 0.6"]
    assert read_expectations(path).metrics["miou"].value == 0.5  # nothing was written yet
    write_expectations(other, folder)
    second = read_expectations(path)
    assert second.metrics["loss"] == Number(value=90.0, within=None)
    assert (second.arrays["map"].mean, second.arrays["map"].within) == (0.6, 0.5)
    assert [path.name for path in folder.iterdir()] == ["34_x.yaml"]


def test_another_preset_has_a_section_of_its_own(folder):
    write_expectations(record({"map": RAMP}, miou=0.5), folder)
    with pytest.raises(NothingExpected, match="got no expectations for preset large of 34_x"):
        compare(record(miou=0.5, preset="large"), folder)
    assert told(changes(record(miou=0.9, preset="large"), folder)) == ["miou: expected nothing, got 0.9"]
    write_expectations(record(miou=0.9, preset="large"), folder)
    assert told(compare(record(miou=0.8, preset="large"), folder)) == ["miou: expected 0.9 ± 0.03, got 0.8"]
    assert told(compare(record({"map": RAMP}, miou=0.5), folder)) == []
    write_expectations(record({"map": RAMP}, miou=0.6), folder)
    assert told(compare(record(miou=0.9, preset="large"), folder)) == []


def test_other_parameters_failed_runs_and_missing_or_broken_files_are_refused(folder):
    with pytest.raises(RunError, match="a run of 34_x with default parameters, got seed=4"):
        compare(record(miou=0.5, seed=4), folder)
    for verb in (compare, changes, write_expectations):
        with pytest.raises(RunError, match="^Expected a run that ended well, got one that failed"):
            verb(record(status="failed"), folder)
    with pytest.raises(NothingExpected, match=r"skysense-nb expect runs/34_x"):
        compare(record(miou=0.5), folder)
    folder.mkdir()
    (folder / "34_x.yaml").write_text("metrics: {miou: {value: high, within: 0}}")
    with pytest.raises(RunError, match="expectations at"):
        compare(record(miou=0.5), folder)
    for text in ("{value: .nan, within: 0.1}", "{value: 1.0, within: .nan}"):
        (folder / "34_x.yaml").write_text(f"metrics: {{miou: {text}}}")
        with pytest.raises(RunError, match="expectations at"):
            compare(record(miou=0.5), folder)


def test_a_file_for_another_preset_alone_expects_nothing_of_the_own(folder):
    write_expectations(record(miou=0.9, preset="large"), folder)
    with pytest.raises(NothingExpected):
        compare(record(miou=0.5), folder)


@pytest.mark.parametrize(
    "array",
    [np.linspace(20.612345, 20.6124, 50), np.arange(17_000_123, 17_000_323), np.full(1000, 0.1), RAMP],
)
def test_a_run_that_was_taken_is_as_expected(folder, array):
    ran = record({"map": array}, parameters=5990123.0, miou=0.123456)
    write_expectations(ran, folder)
    path = folder / "34_x.yaml"
    path.write_text(path.read_text().replace("within: 180000.0", "within: 0.0"))
    assert read_expectations(path).metrics["parameters"].within == 0
    write_expectations(ran, folder)
    assert told(compare(ran, folder)) == []


def test_a_new_section_takes_the_tolerances_of_the_own_preset(folder):
    write_expectations(record(seconds=3.0), folder)
    path = folder / "34_x.yaml"
    path.write_text(path.read_text().replace("within: 0.09", "within: null"))
    write_expectations(record(seconds=9.0, preset="large"), folder)
    assert read_expectations(path).presets["large"].metrics == {"seconds": Number(value=9.0, within=None)}
