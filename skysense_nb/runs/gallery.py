"""The report of a run set: one index.html with the newest run of every notebook, and how its numbers moved.

`write_gallery` reads the records and executed notebooks of a folder and lets `gallery_page.py` lay them out. A run is
earlier than another if it is of the same notebook with the same parameters.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skysense_nb.errors import ParameterError, RunError
from skysense_nb.runs.expectations import compare
from skysense_nb.runs.gallery_page import page
from skysense_nb.runs.library import describe, read_cells
from skysense_nb.runs.parameters import declared
from skysense_nb.runs.preparation import UNFINISHED
from skysense_nb.runs.record import Record, read_record
from skysense_nb.runs.thumbnail import Thumbnail, thumbnail

INDEX = "index.html"
RUN_NAME = re.compile(r".+-\d{8}-\d{6}-[0-9a-f]{4}(\.unfinished)?")

OK, DRIFTED, FAILED = "ok", "drifted", "failed"


@dataclass
class RunSet:
    """What lies in a folder of runs.

    Attributes:
        records: Folder of a finished run to its record.
        unfinished: Folders of runs that are under way or were stopped.
        unreadable: Folder to what is wrong with its record.
    """

    records: dict[Path, Record] = field(default_factory=dict)
    unfinished: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.records or self.unfinished or self.unreadable)


@dataclass(frozen=True)
class Card:
    """The newest run of a notebook with some parameters.

    Attributes:
        folder: Of the run.
        record: Of the run.
        earlier: Records of earlier runs that ended well, oldest first.
        verdict: `ok`, `drifted` or `failed`.
        why: A line per reason.
        title, promise: As the notebook says them.
        defaults: Its parameters as declared.
        figure: Its first picture, None if there is none.
    """

    folder: Path
    record: Record
    earlier: list[Record]
    verdict: str
    why: list[str]
    title: str
    promise: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    figure: Thumbnail | None = None


def write_gallery(folder: str | Path, history: Sequence[str | Path] = ()) -> Path:
    """Writes the report of a run set beside its runs; it opens from disk and needs nothing from elsewhere.

    Args:
        folder: Of the runs.
        history: Folders with earlier runs, whose numbers are shown as a line.

    Returns:
        Where the page is.

    Raises:
        RunError: No runs in one of the folders, or a page that cannot be written.

    Example:
        >>> write_gallery("runs", history=["runs-of-last-month"])      # doctest: +SKIP
        PosixPath('runs/index.html')
    """
    found = read_runs(Path(folder))
    known = found.records | {path: one for place in history for path, one in read_runs(Path(place)).records.items()}
    text, path = page(Path(folder).resolve().name, make_cards(found, known), found), Path(folder) / INDEX
    beside = path.with_suffix(".new")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        raise RunError.of(f"to write {path}", error.strerror or str(error), "Make the folder writable.") from error
    return path


def read_runs(folder: Path) -> RunSet:
    """Looks through a folder of runs, good and bad.

    Raises:
        RunError: None there.
    """
    found = RunSet()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not path.is_dir() or not (RUN_NAME.fullmatch(path.name) or (path / "record.json").exists()):
            continue
        if path.suffix == UNFINISHED:
            found.unfinished.append(path)
            continue
        try:
            found.records[path] = read_record(path)
        except RunError as error:
            found.unreadable[path] = str(error)
    if not found:
        raise RunError.of(f"runs in {folder}", "none", f"Make one: skysense-nb run 00 --out {folder}")
    return found


def make_cards(found: RunSet, known: dict[Path, Record]) -> list[Card]:
    """A card for the newest run of every notebook and parameters, in the order of the notebooks.

    Args:
        found: The run set.
        known: Its records and those of the history.
    """
    newest: dict[str, Path] = {}
    for path in sorted(found.records, key=lambda path: began(found.records[path])):
        newest[subject(found.records[path])] = path
    cards = []
    for path in newest.values():
        record = found.records[path]
        same = {began(one): one for one in known.values() if subject(one) == subject(record) and one.status == OK}
        earlier = [same[when] for when in sorted(same) if when < began(record)]
        verdict, why = judge(record)
        cards.append(Card(path, record, earlier, verdict, why, **presented(path / f"{record.notebook}.ipynb")))
    return sorted(cards, key=lambda card: (card.record.notebook, began(card.record)))


def began(record: Record) -> float:
    """When a run started, as a number that can be compared whatever its zone."""
    return record.started.timestamp()


def subject(record: Record) -> str:
    """What was run: the notebook and its parameters."""
    return json.dumps([record.notebook, record.parameters], sort_keys=True, default=str)


def judge(record: Record) -> tuple[str, list[str]]:
    """Verdict on a run, and its reasons."""
    if record.status != OK:
        return FAILED, [str(record.failure)]
    try:
        drifts = compare(record)
    except (RunError, ParameterError) as error:
        return OK, [f"Not compared. {error}"]
    return (DRIFTED, [str(one) for one in drifts]) if drifts else (OK, ["All numbers are as expected."])


def presented(notebook: Path) -> dict[str, Any]:
    """Title, promise, defaults and figure of an executed notebook; its name where the file does not read."""
    try:
        about, defaults = describe(notebook), declared(notebook)
    except ParameterError:
        return {"title": notebook.stem}
    values = {name: one.default for name, one in defaults.items()}
    title = f"{about.number} · {about.title}" if about.number else about.title
    return {"title": title, "promise": about.promise, "defaults": values, "figure": thumbnail(read_cells(notebook))}
