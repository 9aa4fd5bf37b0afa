"""One run of one notebook: checked parameters in; a folder with notebook, page and record out.

The folder is made beside its final place and renamed at the end, so a folder without the ending
`.unfinished` is whole. A failed run leaves the same three files and says in them where it stopped.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from filelock import FileLock
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError
from papermill.exceptions import PapermillExecutionError

from skysense_nb.errors import RunError
from skysense_nb.runs.ending import explain, first_line, tidy
from skysense_nb.runs.engine import ENGINE, Watch
from skysense_nb.runs.metrics import read_reports
from skysense_nb.runs.page import write_page
from skysense_nb.runs.preparation import LOCK, Prepared, check_limit, prepare
from skysense_nb.runs.record import CellTime, Failure, Record


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: Where its three files lie.
        record: What is in record.json.
    """

    folder: Path
    record: Record

    @property
    def notebook(self) -> Path:
        """The executed notebook."""
        return self.folder / f"{self.record.notebook}.ipynb"

    @property
    def page(self) -> Path:
        """The HTML copy."""
        return self.folder / f"{self.record.notebook}.html"


STOPS = (PapermillExecutionError, CellTimeoutError, RuntimeError, NoSuchKernel, KeyboardInterrupt)
"""What ends a notebook; a kernel that dies, also while it starts, is a RuntimeError."""


class FailedRun(RunError):
    """A run that started and stopped before its end; `run` holds what is left of it."""

    run: Run


def run(
    notebook: str | Path,
    parameters: dict[str, Any] | None = None,
    out: str | Path = "runs",
    *,
    timeout_s: float = 3600,
    progress: bool = False,
) -> Run:
    """Executes a notebook with parameters and keeps everything it made in one folder.

    Args:
        notebook: Path, name or number.
        parameters: Values that differ from the notebook's defaults.
        out: Folder in which the run's own folder is made. The notebook works inside that one, so
            relative paths given as parameters start there.
        timeout_s: Limit for the whole notebook in seconds.
        progress: Show a bar that counts cells.

    Returns:
        The folder and the record of the run.

    Raises:
        ParameterError: Unknown notebook, unknown parameter, wrong type, no limit; nothing has started.
        EnvironmentProblem: The parameter `device` names one that is not here; nothing has started.
        RunError: The folder cannot be written; nothing has started.
        FailedRun: The notebook stopped before its end; the folder says where and why.

    Example:
        >>> done = run("00_start_here", {"seed": 1})                  # doctest: +SKIP
        >>> done.record.metrics                                       # doctest: +SKIP
    """
    check_limit(timeout_s)
    return carry_out(prepare(notebook, parameters, out), timeout_s=timeout_s, progress=progress)


def carry_out(prepared: Prepared, *, timeout_s: float, progress: bool = False) -> Run:
    """Executes a prepared run to its end, good or bad.

    Raises:
        FailedRun: The notebook stopped before its end; the folder says where and why.
    """
    executed, watch = prepared.folder / prepared.source.name, Watch(timeout_s)
    with FileLock(prepared.folder / LOCK):
        started, clock = datetime.now().astimezone(), time.monotonic()
        error = execute(prepared.source, executed, prepared.parameters, watch, progress)
        measured = {"started": started, "finished": datetime.now().astimezone()}
        measured["wall_s"] = round(time.monotonic() - clock, 3)
        measured["peak_memory_mib"] = {"kernel": round(watch.kernel_peak_mib, 1)}
        cells = nbformat.read(executed, as_version=4)
        failure = explain(error, cells, watch) if error else left_early(cells, watch)
        measured["cells"] = [
            CellTime(index=index, first_line=first_line(cells, index), seconds=round(seconds, 3))
            for index, seconds in sorted(watch.seconds.items())
        ]
        tidy(cells, executed, failure)
        done = conclude(prepared.folder, prepared.record, cells, failure, measured)
    if isinstance(error, KeyboardInterrupt):
        raise error
    if failure:
        raise failed(done) from error
    return done


def execute(
    source: Path, executed: Path, parameters: dict[str, Any], watch: Watch, progress: bool
) -> BaseException | None:
    """Lets papermill run the notebook; returns what stopped it, None if nothing did."""
    try:
        papermill.execute_notebook(
            literal(source),
            literal(executed),
            parameters=parameters,
            engine_name=ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar={"desc": source.stem, "leave": False} if progress else False,
            watch=watch,
            folder=executed.parent,
        )
    except STOPS as error:
        watch.on_executed()
        return error
    return None


def literal(path: Path) -> str:
    """A path in which papermill finds no parameters to put in."""
    return str(path).replace("{", "{{").replace("}", "}}")


def left_early(notebook: nbformat.NotebookNode, watch: Watch) -> Failure | None:
    """What to say of a notebook that ended itself in the middle, as `exit()` does; None if every cell had its turn."""
    code = [n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]
    if not code or watch.cell is None or watch.cell >= code[-1]:
        return None
    line = first_line(notebook, watch.cell)
    return Failure(cell=watch.cell, first_line=line, error="SystemExit", message="the cells behind it did not run")


def conclude(
    folder: Path, record: Record, notebook: nbformat.NotebookNode, failure: Failure | None, measured: dict[str, Any]
) -> Run:
    """Completes the record by what the executed notebook reports, writes the page, and gives the folder its name.

    Args:
        folder: With the ending `.unfinished`.
        record: What was known before the first cell.
        notebook: As executed, already written.
        failure: What stopped it, if anything did.
        measured: Fields of the record that were measured from outside.
    """
    reported = read_reports(notebook.cells)
    told = {"metrics": reported.metrics, "arrays": reported.arrays, "inputs": reported.inputs}
    told["peak_memory_mib"] = {**measured.get("peak_memory_mib", {}), **reported.peak_memory_mib}
    told |= {"status": "failed" if failure else "ok", "failure": failure}
    done = Run(folder.with_suffix(""), Record(**dict(record) | measured | told))
    write_page(notebook, folder / f"{record.notebook}.html")
    done.record.write(folder / "record.json")
    (folder / LOCK).unlink(missing_ok=True)
    os.replace(folder, done.folder)
    return done


def failed(done: Run) -> FailedRun:
    """The error that tells the caller about a failed run."""
    error = FailedRun.of(f"{done.record.notebook} to run to its end", str(done.record.failure), f"See {done.page}.")
    error.run = done
    return error
