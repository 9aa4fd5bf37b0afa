"""What a notebook's run should report: committed numbers and arrays with tolerances, and what drifted from them.

`compare(record)` is the whole comparison; `changes(record)` and `write_expectations(record)` take a good run as the
new truth. A file of expectations holds a section for the notebook's own preset and may hold one per other preset.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from skysense_nb.errors import RunError
from skysense_nb.runs.arrays import ArraySummary, differences, shortened
from skysense_nb.runs.library import CHECKOUT, find_notebook
from skysense_nb.runs.parameters import declared
from skysense_nb.runs.record import Record

FOLDER = CHECKOUT / "tests" / "notebooks" / "expectations"

USUAL = 0.03
"""Tolerance of a number of size one; larger ones get the same share."""

USUAL_OF_ARRAYS = 0.02
"""Tolerance of an array as a share of its standard deviation."""


class Number(BaseModel):
    """One expected number.

    Attributes:
        value: What it was.
        within: How far off it may be; None: it is a property of the machine, such as a time, and may be any number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    value: float
    within: float | None


class ExpectedArray(ArraySummary):
    """One expected array.

    Attributes:
        within: How far off it may be, as a share of its standard deviation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    within: float


class Expected(BaseModel):
    """What is expected of runs with one preset, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    metrics: dict[str, Number]
    arrays: dict[str, ExpectedArray] = {}


class Expectations(Expected):
    """A file of expectations: of the notebook's defaults, and of other presets where a section is written."""

    presets: dict[str, Expected] = {}


@dataclass(frozen=True)
class Drift:
    """Something that is not as expected; prints as one line.

    Attributes:
        name: Of the number or array.
        expected: In words, with the tolerance; of an array only what changed.
        got: In words.
    """

    name: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.name}: expected {self.expected}, got {self.got}"


class NothingExpected(RunError):
    """No expectations are written for a run's notebook or preset."""


def compare(record: Record, folder: Path = FOLDER) -> list[Drift]:
    """Everything a run reports that is not as expected of its notebook and preset.

    Args:
        record: Of a run with default parameters; its preset may be another one.
        folder: Of the expectations.

    Raises:
        NothingExpected: Nothing is written for this notebook or preset.
        RunError: A run that failed or has other parameters, or expectations that cannot be read.
        ParameterError: The notebook is no longer in the series.
    """
    check_ended_well(record)
    expected, preset = wanted(record, folder), other_preset(record)
    if expected is None:
        got = f"no expectations for {f'preset {preset} of ' if preset else ''}{record.notebook}"
        fix = f"Write them from a good run: skysense-nb expect runs/{record.notebook}-…"
        raise NothingExpected.of(f"a section to compare with in {folder / record.notebook}.yaml", got, fix)
    return list(drifts(expected, record))


def changes(record: Record, folder: Path = FOLDER) -> list[Drift]:
    """What `write_expectations` would change beyond the tolerances, everything where there is nothing yet.

    Raises:
        RunError: A run that failed or has other parameters, or expectations that cannot be read.
        ParameterError: The notebook is no longer in the series.
    """
    check_ended_well(record)
    return list(drifts(wanted(record, folder) or Expected(metrics={}), record))


def check_ended_well(record: Record) -> None:
    """Refuses a run that stopped before its end: what it reported says nothing of the rest."""
    if record.status != "ok":
        raise RunError.of("a run that ended well", f"one that failed: {record.failure}", "Take another run.")


def drifts(expected: Expected, record: Record) -> Iterator[Drift]:
    """Every number and array that is missing, new, not finite, or further off than its tolerance."""
    for name in sorted({*expected.metrics, *record.metrics}):
        one, got = expected.metrics.get(name), record.metrics.get(name)
        fine = one is not None and got is not None and math.isfinite(got)
        if not fine or (one.within is not None and abs(got - one.value) > one.within + 1e-9):
            yield Drift(name, in_words(one), "nothing" if got is None else f"{got:.4g}")
    for name in sorted({*expected.arrays, *record.arrays}):
        one, got = expected.arrays.get(name), record.arrays.get(name)
        if one is None or got is None:
            yield Drift(name, str(one or "nothing"), str(got or "nothing"))
        else:
            yield from (Drift(name, *words) for words in differences(one, got, one.within))


def in_words(number: Number | None) -> str:
    """An expected number and its tolerance."""
    if number is None:
        return "nothing"
    return f"{number.value:.4g}" + ("" if number.within is None else f" ± {number.within:.2g}")


def other_preset(record: Record) -> str | None:
    """The preset of a run, None if it is the notebook's own.

    Raises:
        RunError: Another parameter differs as well, so that nothing can be expected.
    """
    defaults = {name: one.default for name, one in declared(find_notebook(record.notebook)).items()}
    other = {name: value for name, value in record.parameters.items() if defaults.get(name) != value}
    if other.keys() - {"preset"} or record.parameters.keys() != defaults.keys():
        listed = ", ".join(f"{name}={value}" for name, value in other.items()) or "fewer parameters"
        fix = "Run it without -p, or with a preset alone."
        raise RunError.of(f"a run of {record.notebook} with default parameters", listed, fix)
    return other.get("preset")


def wanted(record: Record, folder: Path) -> Expected | None:
    """What is written for the notebook and preset of a run, None where nothing is."""
    path, preset = folder / f"{record.notebook}.yaml", other_preset(record)
    if not path.exists():
        return None
    written = read_expectations(path)
    section = written.presets.get(preset) if preset else written
    return section if section and (section.metrics or section.arrays) else None


def read_expectations(path: Path) -> Expectations:
    """A file of expectations.

    Raises:
        RunError: It cannot be read, or is not in this form.
    """
    try:
        return Expectations.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValidationError, yaml.YAMLError) as error:
        fix = "Mend it, or remove it and write it anew from a good run: skysense-nb expect."
        raise RunError.of(f"expectations at {path}", " ".join(str(error).split())[:200], fix) from error


def write_expectations(record: Record, folder: Path = FOLDER) -> None:
    """Takes what a run reports as expected from now on; tolerances that are written there stay.

    The first section of another preset takes the tolerances of the notebook's own.

    Args:
        record: Of a good run with default parameters, its preset may be another one.
        folder: Of the expectations.

    Raises:
        RunError: As `changes`.
        ParameterError: As `changes`.
    """
    changes(record, folder)
    path, preset = folder / f"{record.notebook}.yaml", other_preset(record)
    whole = read_expectations(path) if path.exists() else Expectations(metrics={})
    section = taken(record, wanted(record, folder) or whole)
    update = {"presets": whole.presets | {preset: section}} if preset else dict(section)
    content = whole.model_copy(update=update).model_dump(mode="json", exclude_defaults=True)
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(yaml.dump(content, Dumper=ListsInLine, sort_keys=False, width=120), encoding="utf-8")
    beside.rename(path)


def taken(record: Record, before: Expected) -> Expected:
    """What a run reports, rounded, with the tolerances of `before` where it has any."""
    metrics, arrays = {}, {}
    for name, value in sorted(record.metrics.items()):
        within = before.metrics[name].within if name in before.metrics else USUAL * max(1.0, abs(value))
        within = within if within is None else float(f"{within:.2g}")
        metrics[name] = Number(value=shortened(value, 4, within), within=within)
    for name, array in sorted(record.arrays.items()):
        within = before.arrays[name].within if name in before.arrays else USUAL_OF_ARRAYS
        arrays[name] = ExpectedArray(**array.rounded(within), within=within)
    return Expected(metrics=metrics, arrays=arrays)


class ListsInLine(yaml.SafeDumper):
    """YAML with lists in one line each, which keeps an array's section short."""


ListsInLine.add_representer(
    list, lambda dumper, values: dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)
)
