import nbformat
from filelock import FileLock

from skysense_nb.runs.leftovers import close_leftovers
from skysense_nb.runs.preparation import LOCK, prepare
from skysense_nb.runs.record import read_record


def test_a_prepared_run_already_says_that_it_was_stopped(make_notebook, tmp_path):
    prepared = prepare(make_notebook("1"), {"seed": 3}, tmp_path / "out")
    record = read_record(prepared.folder)
    assert prepared.folder.suffix == ".unfinished"
    assert (record.status, record.seed, record.failure.message) == ("failed", 3, "the runner was stopped")


def test_what_nobody_carries_out_is_closed_and_the_rest_left_alone(make_notebook, tmp_path):
    path, out = make_notebook("1"), tmp_path / "out"
    alive, killed, torn = (prepare(path, {"seed": seed}, out) for seed in range(3))
    half = nbformat.read(path, as_version=4)
    half.metadata.papermill = {}
    for cell, start in zip(half.cells, ("2026-01-01T00:00:00", "2026-01-01T00:00:01", None), strict=True):
        cell.metadata.papermill = {"start_time": start, "status": "running"}
    nbformat.write(half, killed.folder / path.name)
    (torn.folder / path.name).write_text('{"cells": [')
    (out / "of_something_else.unfinished").mkdir()
    unreadable = prepare(path, {"seed": 3}, out)
    (unreadable.folder / "record.json").write_text("{")
    with FileLock(alive.folder / LOCK):
        closed = close_leftovers(out)
    assert {run.folder for run in closed} == {killed.finished, torn.finished}
    assert alive.folder.exists() and unreadable.folder.exists() and (out / "of_something_else.unfinished").exists()
    assert str(read_record(killed.finished).failure).startswith("Stopped in cell 1 (seed: int = 0")
    assert read_record(torn.finished).failure.cell is None
    for run in closed:
        assert sorted(p.name for p in run.folder.iterdir()) == ["07_small.html", "07_small.ipynb", "record.json"]
        nbformat.read(run.notebook, as_version=4)
