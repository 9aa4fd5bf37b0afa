"""Before the first cell: everything about a run is checked, and its folder is made.

The folder ends in `.unfinished` and already holds a record, which says that the run was stopped. Whoever carries the
run out replaces it at the end, so a record is there and true at any time, even where the machine goes down.
"""

from __future__ import annotations

import math
import platform
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from skysense_nb.errors import ParameterError, RunError, writable
from skysense_nb.runs.library import find_notebook, source_checksum
from skysense_nb.runs.parameters import check_parameters
from skysense_nb.runs.record import Failure, Record, git_state, package_versions

UNFINISHED = ".unfinished"
LOCK = "running.lock"
"""Held by the process that carries the run out; the system lets go of it when that process dies."""

STOPPED = Failure(cell=None, first_line="", error="Stopped", message="the runner was stopped")


@dataclass(frozen=True)
class Prepared:
    """A run that may start.

    Attributes:
        source: The notebook.
        parameters: Those that were given.
        folder: Where it runs, with the ending `.unfinished`.
        record: What is known before the first cell.
    """

    source: Path
    parameters: dict[str, Any]
    folder: Path
    record: Record

    @property
    def finished(self) -> Path:
        """The folder once the run has ended."""
        return self.folder.with_suffix("")


def check_limit(timeout_s: float) -> None:
    """Refuses what is no limit.

    Raises:
        ParameterError: Not a number of seconds above zero.
    """
    if not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise ParameterError.of("a limit in seconds above 0", f"{timeout_s:g}", "Give a large one for no limit.")


def prepare(notebook: str | Path, parameters: dict[str, Any] | None, out: str | Path) -> Prepared:
    """Checks a run and makes its folder.

    Raises:
        ParameterError: Unknown notebook, unknown parameter, wrong type; nothing was made.
        EnvironmentProblem: The parameter `device` names one that is not here; nothing was made.
        RunError: The folder cannot be made.
    """
    source, given = find_notebook(notebook), parameters or {}
    complete, now = check_parameters(source, given), datetime.now().astimezone()
    record = Record(
        notebook=source.stem,
        status="failed",
        parameters=complete,
        metrics={},
        inputs={},
        seed=seed if isinstance(seed := complete.get("seed"), int) else None,
        device=device_name(complete.get("device") or "auto"),
        started=now,
        finished=now,
        wall_s=0.0,
        cells=[],
        peak_memory_mib={},
        python=platform.python_version(),
        platform=platform.platform(),
        packages=package_versions(),
        git=git_state(source.parent),
        source_sha256=source_checksum(source),
        failure=STOPPED,
    )
    folder = make_folder(Path(out).resolve(), source.stem)
    record.write(folder / "record.json")
    return Prepared(source, given, folder, record)


def make_folder(out: Path, name: str) -> Path:
    """Makes `out/NAME-TIME-ID.unfinished`.

    Raises:
        RunError: It cannot be made.
    """
    folder = out / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}{UNFINISHED}"
    with writable(out, RunError):
        folder.mkdir()
    return folder


def device_name(wanted: str) -> str:
    """The device a notebook gets when it asks for `wanted`, by name where it has one."""
    import torch

    from skysense_nb.runtime import choose_device

    device = choose_device(wanted)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
