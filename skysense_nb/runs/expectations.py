"""What a notebook's numbers should be: committed values with tolerances, and what drifted from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from skysense_nb.errors import RunError
from skysense_nb.runs.library import CHECKOUT, find_notebook
from skysense_nb.runs.parameters import declared
from skysense_nb.runs.record import Record, read_record

FOLDER = CHECKOUT / "tests" / "notebooks" / "expectations"

USUAL = 0.03
"""Tolerance of a number of size one; larger ones get the same share."""


class Number(BaseModel):
    """One expected number.

    Attributes:
        value: What it was.
        within: How far off it may be; None: it is a property of the machine, such as a time, and may be any number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: float
    within: float | None


@dataclass(frozen=True)
class Drift:
    """One number that is not as expected; prints as one line.

    Attributes:
        name: Of the number.
        expected: None where nothing was expected.
        got: None where the run reports nothing of this name.
    """

    name: str
    expected: Number | None
    got: float | None

    def __str__(self) -> str:
        if self.expected is None:
            return f"{self.name}: {self.got:.4g}, not expected"
        got = "nothing" if self.got is None else f"{self.got:.4g}"
        within = "" if self.expected.within is None else f" ± {self.expected.within:.2g}"
        return f"{self.name}: expected {self.expected.value:.4g}{within}, got {got}"


def default_run(folder: Path) -> Record:
    """The record of a run whose parameters are those the notebook declares: only its numbers can be expected.

    Raises:
        RunError: No record, or one with other parameters.
        ParameterError: The notebook is no longer in the series.
    """
    record = read_record(folder)
    defaults = {name: one.default for name, one in declared(find_notebook(record.notebook)).items()}
    other = {name: value for name, value in record.parameters.items() if defaults.get(name) != value}
    if other or record.parameters.keys() != defaults.keys():
        listed = ", ".join(f"{name}={value}" for name, value in other.items()) or "fewer parameters"
        raise RunError.of(f"a run of {record.notebook} with default parameters", listed, "Run it without -p.")
    return record


def read_expectations(notebook: str, folder: Path = FOLDER) -> dict[str, Number]:
    """Expected numbers of a notebook's run with its default parameters, by name.

    Raises:
        RunError: None are written, or not in this form.
    """
    path = folder / f"{notebook}.yaml"
    try:
        return {name: Number(**one) for name, one in yaml.safe_load(path.read_text())["metrics"].items()}
    except (OSError, TypeError, KeyError, AttributeError, ValidationError, yaml.YAMLError) as error:
        fix = f"Write them from a good run: skysense-nb expect runs/{notebook}-…"
        raise RunError.of(f"expectations at {path}", " ".join(str(error).split())[:200], fix) from error


def drifts(expected: dict[str, Number], metrics: dict[str, float]) -> list[Drift]:
    """Every number that is missing, new, not finite, or further off than its tolerance.

    Example:
        >>> print(drifts({"miou": Number(value=0.5, within=0.02)}, {"miou": 0.4})[0])
        miou: expected 0.5 ± 0.02, got 0.4
    """
    found = []
    for name in sorted({*expected, *metrics}):
        one, got = expected.get(name), metrics.get(name)
        fine = one is not None and got is not None and math.isfinite(got)
        if not fine or (one.within is not None and abs(got - one.value) > one.within + 1e-9):
            found.append(Drift(name, one, got))
    return found


def write_expectations(record: Record, folder: Path = FOLDER) -> list[Drift]:
    """Takes the numbers of a run as what is expected from now on; tolerances that are written there stay.

    Args:
        record: Of a good run with default parameters.
        folder: Of the expectations.

    Returns:
        What is different from before, everything where there was nothing.

    Raises:
        RunError: A run that failed.
    """
    if record.status != "ok":
        raise RunError.of("a run that ended well", f"one that failed: {record.failure}", "Take another run.")
    path = folder / f"{record.notebook}.yaml"
    before = read_expectations(record.notebook, folder) if path.exists() else {}
    metrics = {}
    for name, value in sorted(record.metrics.items()):
        within = before[name].within if name in before else USUAL * max(1.0, abs(value))
        metrics[name] = {"value": float(f"{value:.4g}"), "within": within if within is None else float(f"{within:.2g}")}
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(yaml.safe_dump({"metrics": metrics}, sort_keys=False))
    beside.rename(path)
    return drifts(before, record.metrics)
