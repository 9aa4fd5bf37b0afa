"""What is finished: a folder with one file per piece of a map, whole or not there, for one plan only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from skysense_nb.errors import RunError
from skysense_nb.mapping.job import NOT_READ, Result
from skysense_nb.mapping.tiles import Tile

PLAN, OUTCOME = "plan.json", "map.json"


class Ledger:
    """The folder of one run.

    Args:
        folder: Made if it is not there.
        identity: What the run depends on; it goes on only where all of it is the same.

    Raises:
        RunError: The folder holds something else, or a run with another identity: says which part differs.
    """

    def __init__(self, folder: str | Path, identity: dict[str, str]) -> None:
        self.folder, self.identity = Path(folder).resolve(), identity  # a worker may be somewhere else
        self.pieces = self.folder / "pieces"
        self.check_or_begin()

    def check_or_begin(self) -> None:
        """Goes on with the run of this identity, or begins it in an empty folder."""
        plan = self.folder / PLAN
        if plan.exists():
            before = json.loads(plan.read_text())
            for part, value in self.identity.items():
                if before.get(part) != value:
                    fix = "Choose another folder, or delete this one to begin anew; nothing was touched."
                    raise RunError.of(f"the {part} with which {self.folder} was begun ({before.get(part)})", value, fix)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise RunError.of(f"an empty folder or a run at {self.folder}", "other files", "Choose another folder.")
        else:
            self.pieces.mkdir(parents=True, exist_ok=True)
            whole(plan, json.dumps(self.identity, indent=1).encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Refuses a second process in this folder.

        Raises:
            RunError: Another process maps here.
        """
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                yield
        except Timeout as error:
            fix = "Wait for it, or choose another folder."
            raise RunError.of(f"one run in {self.folder}", "another one that is under way", fix) from error

    def path(self, number: int) -> Path:
        """File of a piece."""
        return self.pieces / f"{number:06d}.npz"

    def finished(self, number: int) -> bool:
        """Whether a piece is done, and nothing in it has to be read again."""
        return self.path(number).exists() and not any(map(unread, self.gaps(number).values()))

    def write(self, number: int, results: list[Result], dtype: str) -> None:
        """Keeps a piece.

        Raises:
            RunError: The disk is full or cannot be written; finished pieces stay.
        """
        arrays, gaps, largest = {}, {}, []
        for at, result in enumerate(results):
            if result.values is None:
                gaps[at] = result.gap
                continue
            arrays[f"values{at}"] = result.values.astype(dtype)
            if result.seen is None:
                continue
            arrays[f"seen{at}"] = result.seen
            if result.seen.any():
                largest.append(np.abs(result.values[:, result.seen]).max(1))
        if largest:
            arrays["largest"] = np.max(largest, 0)
        arrays["gaps"] = np.array(json.dumps(gaps))
        unfinished = self.path(number).with_suffix(f".{os.getpid()}.unfinished")
        with room_in(self.folder):
            try:
                with unfinished.open("wb") as file:
                    np.savez(file, **arrays)
                os.replace(unfinished, self.path(number))
            finally:
                unfinished.unlink(missing_ok=True)

    def gaps(self, number: int) -> dict[int, str]:
        """Tiles of a piece without values, and why."""
        with np.load(self.path(number)) as file:
            return {int(at): reason for at, reason in json.loads(str(file["gaps"])).items()}

    def largest(self, number: int) -> np.ndarray | None:
        """Largest absolute value of each band over a piece; None where nothing was seen."""
        with np.load(self.path(number)) as file:
            return file.get("largest")

    def result(self, number: int, at: int, tile: Tile) -> Result:
        """One tile of a piece."""
        with np.load(self.path(number)) as file:
            if f"values{at}" not in file:
                return Result(tile, gap=json.loads(str(file["gaps"]))[str(at)])
            return Result(tile, file[f"values{at}"], file.get(f"seen{at}"))

    def conclude(self, gaps: dict[tuple[int, int], str]) -> None:
        """Notes that the map is written; pieces are deleted unless some of them should be read again."""
        listed = [{"row": row, "column": column, "why": why} for (row, column), why in gaps.items()]
        whole(self.folder / OUTCOME, json.dumps({"gaps": listed}, indent=1).encode())
        if not any(map(unread, gaps.values())):
            for path in self.pieces.iterdir():
                path.unlink()

    def outcome(self) -> dict[tuple[int, int], str] | None:
        """The gaps of a map that is written, None before."""
        path = self.folder / OUTCOME
        if not path.exists():
            return None
        return {(gap["row"], gap["column"]): gap["why"] for gap in json.loads(path.read_text())["gaps"]}


def side_begun_with(folder: Path) -> int | None:
    """Edge of the tiles of the run that was begun in a folder."""
    plan = folder / PLAN
    return json.loads(json.loads(plan.read_text())["tiling"])["side"] if plan.exists() else None


def unread(gap: str) -> bool:
    """Whether a gap is one that may be gone when its tile is read again."""
    return gap.startswith(NOT_READ)


@contextmanager
def room_in(folder: Path, *errors: type[Exception]) -> Iterator[None]:
    """Says in one sentence that a disk is full or cannot be written, and what to do.

    Args:
        folder: Where something is written.
        errors: What a library raises beside `OSError`.
    """
    try:
        yield
    except (OSError, *errors) as error:
        fix = "Make room and call this again: finished tiles are kept."
        raise RunError.of(f"room to write in {folder}", str(error), fix) from error


def whole(path: Path, content: bytes) -> None:
    """Writes a file beside its place and then renames it."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
