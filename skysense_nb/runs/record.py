"""The record of a run: what was run, on what, how long it took, what came out. Written as record.json."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from skysense_nb.errors import RunError
from skysense_nb.runs.arrays import ArraySummary


class Part(BaseModel):
    """Base of the records: frozen, and closed to fields nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CellTime(Part):
    """Wall time of one code cell.

    Attributes:
        index: Position in the executed notebook, counted from 0 over all cells.
        first_line: What it starts with.
        seconds: Wall time.
    """

    index: int
    first_line: str
    seconds: float


class Failure(Part):
    """Where a run stopped and why.

    Attributes:
        cell: Position in the executed notebook, counted from 0; None if no cell had started.
        first_line: First line of that cell's source.
        error: Name of the exception.
        message: Its text.
    """

    cell: int | None
    first_line: str
    error: str
    message: str

    def __str__(self) -> str:
        place = "before the first cell" if self.cell is None else f"in cell {self.cell} ({self.first_line})"
        return f"{self.error} {place}: {self.message}"


class Git(Part):
    """The commit a notebook comes from, and whether files beside it were changed since."""

    commit: str
    dirty: bool


class Record(Part):
    """One run of one notebook.

    Attributes:
        notebook: Name of the notebook.
        status: `ok`, or `failed` with `failure` filled.
        parameters: All parameters, defaults included.
        metrics: Numbers the notebook reported.
        arrays: Summaries of the arrays it reported.
        inputs: SHA-256 of the files it reported to have read.
        seed: The parameter of this name, if there is one.
        device: What it computed on.
        started: Local time with zone.
        finished: Local time with zone.
        wall_s: Seconds from start to end, kernel start included.
        cells: Wall time of every code cell that started.
        peak_memory_mib: `kernel` is the largest resident size of the kernel and its children,
            `device` the GPU's peak where the notebook reported one.
        python: Version of Python.
        platform: Operating system and processor.
        packages: Versions of the library and of what it declares to need.
        git: Commit of the notebook, None outside a repository.
        source_sha256: Of the notebook's cells without their outputs; empty in records of older versions.
        failure: Where and why it stopped.
    """

    notebook: str
    status: Literal["ok", "failed"]
    parameters: dict[str, Any]
    metrics: dict[str, float]
    inputs: dict[str, str]
    seed: int | None
    device: str
    started: datetime
    finished: datetime
    wall_s: float
    cells: list[CellTime]
    peak_memory_mib: dict[str, float]
    python: str
    platform: str
    packages: dict[str, str]
    git: Git | None
    source_sha256: str = ""
    failure: Failure | None = None
    arrays: dict[str, ArraySummary] = {}

    def write(self, path: Path) -> None:
        """Writes the record as indented JSON, all of it or nothing."""
        beside = path.with_suffix(".new")
        beside.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        os.replace(beside, path)


def read_record(path: str | Path) -> Record:
    """Reads a record.json, or the one inside a run's folder.

    Raises:
        RunError: None there, or not a record.

    Example:
        >>> read_record("runs/00_start_here-20260101-120000-1a2b").metrics    # doctest: +SKIP
    """
    path = Path(path)
    path = path / "record.json" if path.is_dir() else path
    try:
        return Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError.of(f"the record of a run at {path}", " ".join(str(error).split()), "Check the path.") from error


def package_versions() -> dict[str, str]:
    """Versions of skysense-nb and of every package it declares to need, as installed here."""
    needed = {re.match(r"[\w.-]+", line).group() for line in importlib.metadata.requires("skysense-nb") or []}
    installed = {}
    for name in sorted({"skysense-nb", *needed}):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def git_state(folder: Path) -> Git | None:
    """Commit and cleanliness of the repository around `folder`, None if there is no repository or no git."""
    try:
        commit = git("rev-parse", "HEAD", folder=folder)
        return Git(commit=commit, dirty=bool(git("status", "--porcelain", folder=folder)))
    except (OSError, subprocess.CalledProcessError):
        return None


def git(*arguments: str, folder: Path) -> str:
    """Standard output of a git command, stripped."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
