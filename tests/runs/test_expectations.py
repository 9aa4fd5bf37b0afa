"""Drift is seen, tolerance is kept, and nothing is expected of a failed run."""

import pytest

from skysense_nb.errors import RunError
from skysense_nb.runs.expectations import Number, drifts, read_expectations, write_expectations
from skysense_nb.runs.record import Record

EXPECTED = {"miou": Number(value=0.5, within=0.02), "seconds": Number(value=3.0, within=None)}


def record(status="ok", **metrics) -> Record:
    plain = {"parameters": {}, "inputs": {}, "seed": 0, "device": "cpu", "wall_s": 1.0, "cells": [], "git": None}
    times = {"started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z"}
    versions = {"peak_memory_mib": {}, "python": "3.11", "platform": "Linux", "packages": {}}
    return Record(notebook="34_x", status=status, metrics=metrics, **plain, **times, **versions)


@pytest.mark.parametrize("metrics", [{"miou": 0.48, "seconds": 300.0}, {"miou": 0.52, "seconds": 0.1}])
def test_numbers_within_tolerance_and_times_pass(metrics):
    assert drifts(EXPECTED, metrics) == []


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"miou": 0.47, "seconds": 3.0}, "miou: expected 0.5 ± 0.02, got 0.47"),
        ({"miou": float("nan"), "seconds": 3.0}, "miou: expected 0.5 ± 0.02, got nan"),
        ({"miou": 0.5, "seconds": float("inf")}, "seconds: expected 3, got inf"),
        ({"seconds": 3.0}, "miou: expected 0.5 ± 0.02, got nothing"),
        ({"miou": 0.5, "seconds": 3.0, "more": 1.0}, "more: 1, not expected"),
    ],
)
def test_everything_else_is_told(metrics, told):
    assert [str(one) for one in drifts(EXPECTED, metrics)] == [told]


def test_what_is_written_is_expected_and_tolerances_stay(tmp_path):
    assert [one.name for one in write_expectations(record(miou=0.5, loss=20.0), tmp_path)] == ["loss", "miou"]
    first = read_expectations("34_x", tmp_path)
    assert first == {"miou": Number(value=0.5, within=0.03), "loss": Number(value=20.0, within=0.6)}
    path = tmp_path / "34_x.yaml"
    path.write_text(path.read_text().replace("within: 0.6", "within: null"))
    changed = write_expectations(record(miou=0.6, loss=90.0), tmp_path)
    assert [str(one) for one in changed] == ["miou: expected 0.5 ± 0.03, got 0.6"]
    assert read_expectations("34_x", tmp_path)["loss"] == Number(value=90.0, within=None)
    assert [path.name for path in tmp_path.iterdir()] == ["34_x.yaml"]


def test_failed_runs_and_missing_or_broken_files_are_refused(tmp_path):
    with pytest.raises(RunError, match="^Expected a run that ended well, got one that failed"):
        write_expectations(record(status="failed"), tmp_path)
    with pytest.raises(RunError, match=r"skysense-nb expect runs/34_x"):
        read_expectations("34_x", tmp_path)
    (tmp_path / "34_x.yaml").write_text("metrics: {miou: {value: high, within: 0}}")
    with pytest.raises(RunError, match="expectations at"):
        read_expectations("34_x", tmp_path)
