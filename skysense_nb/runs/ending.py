"""How a run that did not reach its end says so: which cell, why, and marks where it stopped in the notebook.

The watch knows cell and cause; papermill's file does not always.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from skysense_nb.runs.engine import Watch, last_words
from skysense_nb.runs.record import Failure

ERROR_CELL = "papermill-error-cell-tag"
MAY_FAIL = "raises-exception"
"""Tag of a cell, such as a self-check, whose error stops nothing; papermill complains of it all the same."""


def explain(error: BaseException, notebook: nbformat.NotebookNode, watch: Watch) -> Failure | None:
    """Says which cell stopped the run and why; None if the last cell that failed may fail, so that nothing stopped."""
    drop_banners(notebook)
    name, message = type(error).__name__, str(error)
    if isinstance(error, PapermillExecutionError):
        if MAY_FAIL in notebook.cells[error.cell_index].metadata.get("tags", []):
            return None
        name, message = error.ename, error.evalue
    elif isinstance(error, CellTimeoutError) and watch.is_over:
        name, message = "TimeoutError", f"the notebook took longer than the limit of {watch.timeout_s:g} s"
    elif isinstance(error, DeadKernelError):
        end = None if watch.kernel is None else watch.kernel.returncode
        message = "the kernel died" if end is None else f"the kernel died: it {last_words(end)}"
    elif isinstance(error, KeyboardInterrupt):
        message = "interrupted"
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
