"""What a notebook says of itself, from inside: numbers and arrays worth comparing, and files it has read.

All of it travels in the notebook's own outputs under one MIME type, so an executed copy carries them along.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skysense_nb.errors import ParameterError

MIME = "application/vnd.skysense.metrics+json"


@dataclass(frozen=True)
class Reported:
    """Everything a notebook reported.

    Attributes:
        metrics: Name to number.
        arrays: Name to the summary of an array, as `ArraySummary` takes it.
        inputs: File or folder name to its SHA-256.
        peak_memory_mib: Peak of the kernel's own accounts, `device` on a GPU.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    peak_memory_mib: dict[str, float] = field(default_factory=dict)


def report(**metrics: float) -> None:
    """Shows numbers in a notebook and hands them to the record of the run.

    Args:
        metrics: Finite numbers; 0-dimensional arrays and tensors count as numbers.

    Raises:
        ParameterError: Something that is not one finite number.

    Example:
        >>> report(accuracy=0.912, loss=0.25)
        accuracy 0.912 · loss 0.25
    """
    numbers = {name: to_number(name, value) for name, value in metrics.items()}
    text = " · ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    show({"metrics": numbers, "peak_memory_mib": device_peak()}, text)


def report_array(name: str, array: Any) -> None:
    """Hands a small summary of an array to the record of the run, so that a change of it does not stay unseen.

    Args:
        name: It has in the record.
        array: Finite numbers or booleans of any shape, as numpy array, tensor or DataArray.

    Raises:
        ParameterError: Something else, or no finite value in it.

    Example:
        >>> report_array("days", [3, 40, 200])
        days · integer 3, mean 81, std 85.49
    """
    from skysense_nb.runs.arrays import summarise

    summary = summarise(name, array)
    show({"arrays": {name: summary.model_dump(mode="json")}}, f"{name} · {summary}")


def record_input(path: str | Path) -> str:
    """Notes the checksum of a file or folder the notebook reads, and returns it.

    Raises:
        ParameterError: There is nothing at `path`.
    """
    path = Path(path)
    digest = checksum(path)
    show({"inputs": {path.name: digest}}, f"input {path.name} · sha256 {digest[:12]}…")
    return digest


def to_number(name: str, value: Any) -> float:
    """One finite number as a plain float, whichever library made it."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    if isinstance(value, str) or not math.isfinite(number):
        raise ParameterError.of(f"{name} as one finite number", repr(value), "Report a mean, or look where it broke.")
    return number


def checksum(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if not path.exists():
        raise ParameterError.of(f"a file or folder at {path}", "nothing", "Check the path.")
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.relative_to(path.parent).as_posix().encode() if path.is_dir() else b"")
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
    return digest.hexdigest()


def device_peak() -> dict[str, float]:
    """Peak memory of the GPU this process has used, empty without one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    return {"device": torch.cuda.max_memory_allocated() / 2**20}


def show(payload: dict[str, Any], text: str) -> None:
    """Displays `payload` for the record and `text` for the reader; prints the text outside a notebook."""
    from IPython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        print(text)
    else:
        display({MIME: payload, "text/plain": text}, raw=True)


def read_reports(cells: list[dict[str, Any]]) -> Reported:
    """Collects what `report`, `report_array` and `record_input` left in the outputs of an executed notebook."""
    found = Reported()
    for payload in payloads(cells):
        found.metrics.update(payload.get("metrics", {}))
        found.arrays.update(payload.get("arrays", {}))
        found.inputs.update(payload.get("inputs", {}))
        found.peak_memory_mib.update(payload.get("peak_memory_mib", {}))
    return found


def payloads(cells: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every payload of our MIME type, in the order of the notebook."""
    for cell in cells:
        for output in cell.get("outputs", []):
            if MIME in output.get("data", {}):
                yield output["data"][MIME]
