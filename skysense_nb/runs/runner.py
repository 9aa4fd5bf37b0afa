"""One run of one notebook: checked parameters in; a folder with notebook, page and record out.

The folder is made beside its final place and renamed at the end, so a folder without the ending
`.unfinished` is whole. A failed run leaves the same three files and says in them where it stopped.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from skysense_nb.errors import RunError
from skysense_nb.runs.engine import ENGINE, Watch
from skysense_nb.runs.library import find_notebook
from skysense_nb.runs.metrics import read_reports
from skysense_nb.runs.page import write_page
from skysense_nb.runs.parameters import check_parameters
from skysense_nb.runs.record import CellTime, Failure, Record, git_state, package_versions

ERROR_CELL = "papermill-error-cell-tag"


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
        ParameterError: Unknown notebook, unknown parameter, wrong type; nothing has started.
        EnvironmentProblem: The parameter `device` names one that is not here; nothing has started.
        RunError: The folder cannot be written; nothing has started.
        FailedRun: The notebook stopped before its end; the folder says where and why.

    Example:
        >>> done = run("00_start_here", {"seed": 1})                  # doctest: +SKIP
        >>> done.record.metrics                                       # doctest: +SKIP
    """
    source = find_notebook(notebook)
    given = parameters or {}
    complete = check_parameters(source, given)
    device = device_name(complete.get("device", "auto"))
    unfinished = make_folder(Path(out).resolve(), source.stem)
    executed = unfinished / source.name

    watch = Watch(timeout_s)
    started, clock = datetime.now().astimezone(), time.monotonic()
    error = execute(source, executed, given, watch, progress)
    wall_s = time.monotonic() - clock

    cells = nbformat.read(executed, as_version=4)
    failure = explain(error, cells, watch) if error else None
    tidy(cells, executed, failure)
    reported = read_reports(cells.cells)
    record = Record(
        notebook=source.stem,
        status="failed" if failure else "ok",
        parameters=complete,
        metrics=reported.metrics,
        inputs=reported.inputs,
        seed=complete.get("seed"),
        device=device,
        started=started,
        finished=datetime.now().astimezone(),
        wall_s=round(wall_s, 3),
        cells=[
            CellTime(index=index, first_line=first_line(cells, index), seconds=round(seconds, 3))
            for index, seconds in sorted(watch.seconds.items())
        ],
        peak_memory_mib={"kernel": round(watch.kernel_peak_mib, 1), **reported.peak_memory_mib},
        python=platform.python_version(),
        platform=platform.platform(),
        packages=package_versions(),
        git=git_state(source.parent),
        failure=failure,
    )
    write_page(cells, executed.with_suffix(".html"))
    record.write(unfinished / "record.json")
    done = Run(unfinished.with_suffix(""), record)
    os.replace(unfinished, done.folder)
    if isinstance(error, KeyboardInterrupt):
        raise error
    if failure:
        raise failed(done) from error
    return done


def make_folder(out: Path, name: str) -> Path:
    """Makes `out/NAME-TIME-ID.unfinished`.

    Raises:
        RunError: It cannot be made.
    """
    folder = out / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}.unfinished"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise RunError.of(f"a writable folder at {out}", error.strerror or str(error), "Choose another one.") from error
    return folder


def execute(
    source: Path, executed: Path, parameters: dict[str, Any], watch: Watch, progress: bool
) -> BaseException | None:
    """Lets papermill run the notebook; returns what stopped it, None if nothing did."""
    try:
        papermill.execute_notebook(
            source,
            executed,
            parameters=parameters,
            engine_name=ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar={"desc": source.stem, "leave": False} if progress else False,
            watch=watch,
            folder=executed.parent,
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError, NoSuchKernel, KeyboardInterrupt) as error:
        watch.on_executed()
        return error
    return None


def explain(error: BaseException, notebook: nbformat.NotebookNode, watch: Watch) -> Failure:
    """Says which cell stopped the run and why. The watch knows the cell; papermill's file does not always."""
    name, message = type(error).__name__, str(error)
    if isinstance(error, PapermillExecutionError):
        name, message = error.ename, error.evalue
    elif isinstance(error, CellTimeoutError):
        name, message = "TimeoutError", f"the notebook took longer than the limit of {watch.timeout_s:g} s"
    elif isinstance(error, DeadKernelError):
        message = "the kernel died; the system may have run out of memory"
    elif isinstance(error, KeyboardInterrupt):
        message = "interrupted"
    drop_banners(notebook)
    return Failure(cell=watch.cell, first_line=first_line(notebook, watch.cell), error=name, message=message)


def drop_banners(notebook: nbformat.NotebookNode) -> None:
    """Removes the cells papermill adds around an error, so that positions are those of the run again."""
    notebook.cells = [cell for cell in notebook.cells if ERROR_CELL not in cell.metadata.get("tags", [])]


def first_line(notebook: nbformat.NotebookNode, index: int | None) -> str:
    """First line of a cell's source, empty for no cell."""
    return "" if index is None else (notebook.cells[index].source.strip().splitlines() or [""])[0]


def tidy(notebook: nbformat.NotebookNode, path: Path, failure: Failure | None) -> None:
    """Writes the executed notebook with paths and cell states that are true after the run."""
    notebook.metadata.papermill.update(input_path=path.name, output_path=path.name)
    if failure:
        notebook.metadata.papermill.exception = True
        for index, cell in enumerate(notebook.cells):
            if failure.cell is None or index > failure.cell:
                cell.metadata.papermill.status = "pending"
        if failure.cell is not None:
            mark(notebook.cells[failure.cell], failure)
    nbformat.write(notebook, path)


def mark(cell: nbformat.NotebookNode, failure: Failure) -> None:
    """Makes the cell that stopped the run look like it, even where the kernel had no chance to say so."""
    cell.metadata.papermill.update(status="failed", exception=True)
    if failure.error not in [output.get("ename") for output in cell.outputs]:
        text = f"{failure.error}: {failure.message}"
        cell.outputs.append(
            nbformat.v4.new_output("error", ename=failure.error, evalue=failure.message, traceback=[text])
        )


def device_name(wanted: str) -> str:
    """The device a notebook gets when it asks for `wanted`, by name where it has one."""
    import torch

    from skysense_nb.runtime import choose_device

    device = choose_device(wanted)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def failed(done: Run) -> FailedRun:
    """The error that tells the caller about a failed run."""
    error = FailedRun.of(f"{done.record.notebook} to run to its end", str(done.record.failure), f"See {done.page}.")
    error.run = done
    return error
