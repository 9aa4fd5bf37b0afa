"""What is left of a run whose own process was killed: a partial notebook, and a record that says it was stopped."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import nbformat
from filelock import FileLock, Timeout

from skysense_nb.errors import RunError
from skysense_nb.runs.ending import first_line, tidy
from skysense_nb.runs.preparation import LOCK, STOPPED, UNFINISHED
from skysense_nb.runs.record import Failure, read_record
from skysense_nb.runs.runner import Run, conclude


def close_leftovers(out: Path) -> list[Run]:
    """Closes every run in `out` that nobody carries out any more; those under way elsewhere are left alone."""
    closed = [close(record.parent) for record in sorted(out.glob(f"*{UNFINISHED}/record.json"))]
    return [run for run in closed if run]


def close(folder: Path, message: str = STOPPED.message) -> Run | None:
    """Makes a failed run of what is left in a folder, unless somebody is at work in it or its record cannot be read.

    Args:
        folder: With the ending `.unfinished`.
        message: Why the run stopped.
    """
    try:
        with FileLock(folder / LOCK, timeout=0):
            return as_failed(folder, message)
    except Timeout:
        return None
    except RunError as error:
        print(f"{folder.name} is left as it is: {error}", file=sys.stderr)
        return None


def as_failed(folder: Path, message: str) -> Run:
    """The run in a folder, with its cells so far, what they reported, and where it stopped."""
    record = read_record(folder)
    executed = folder / f"{record.notebook}.ipynb"
    notebook = partial(executed)
    reached = [
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.metadata.papermill.start_time
    ]
    cell = reached[-1] if reached else None
    failure = Failure(cell=cell, first_line=first_line(notebook, cell), error=STOPPED.error, message=message)
    finished = datetime.fromtimestamp(executed.stat().st_mtime if executed.exists() else record.started.timestamp())
    tidy(notebook, executed, failure)
    measured = {"finished": finished.astimezone()}
    measured["wall_s"] = round((measured["finished"] - record.started).total_seconds(), 3)
    return conclude(folder, record, notebook, failure, measured)


def partial(executed: Path) -> nbformat.NotebookNode:
    """The notebook as far as it was executed; one without cells where that cannot be read."""
    try:
        return nbformat.read(executed, as_version=4)
    except (OSError, ValueError):  # not begun, or killed in the middle of writing
        return nbformat.v4.new_notebook(metadata={"papermill": {}})
