"""One notebook over a grid of parameters: a series, then one table and one figure of what it reported."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skysense_nb.errors import ParameterError
from skysense_nb.runs.library import find_notebook
from skysense_nb.runs.parameters import declared, lookup
from skysense_nb.runs.series import Outcome, Task, run_series

if TYPE_CHECKING:
    import pandas as pd

SEED = "seed"
"""The parameter that is averaged over."""

OWN_COLUMNS = {"status", "wall_s", "kernel_mib"}
"""What a table says of every run, whatever the notebook reports."""


@dataclass(frozen=True)
class Sweep:
    """What came out of a sweep.

    Attributes:
        outcomes: Of every combination, the last parameter changing fastest.
        swept: Names of the parameters that were varied.
        table: A row per combination: the swept parameters, `status`, what the notebook reported, `wall_s` in seconds
            and `kernel_mib`, its memory in MiB; numbers of failed runs are missing. A reported number whose name is
            taken by one of these columns is called `reported_NAME`.
        csv: The table as a file.
        figure: The table as a picture; None where every run failed.
    """

    outcomes: list[Outcome]
    swept: list[str]
    table: pd.DataFrame
    csv: Path
    figure: Path | None

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation over the seeds as text: a row per number, a column per other combination."""
        numbers = self.table.drop(columns=[*self.swept, "status"])
        if numbers.columns.empty:  # every run failed
            return numbers.T
        fixed = [name for name in self.swept if name != SEED]
        groups = [self.table[name] for name in fixed] or [self.table["status"].map(lambda _: "all runs").rename("")]
        spread = numbers.groupby(groups, sort=False, dropna=False).agg(["mean", "std"])
        texts = {name: [with_spread(*pair) for pair in spread[name].itertuples(index=False)] for name in numbers}
        return type(self.table)(texts, index=spread.index).T


def sweep(
    notebook: str | Path,
    lists: Mapping[str, Iterable[Any]],
    out: str | Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    **options: Any,
) -> Sweep:
    """Runs a notebook with every combination of values and puts what it reported side by side.

    Args:
        notebook: Path, name or number.
        lists: Values by parameter. Along the first one that is not `seed` the figure is drawn.
        out: Folder of the runs, of `sweep.csv` and `sweep.png`; called again, only what is missing runs.
        parameters: The same for all combinations.
        options: Of `run_series`: `jobs`, `timeout_s`, `on_change`, `client`.

    Raises:
        ParameterError: A name the notebook does not declare, a value of another type, no values; nothing has started.
        RunError: As `run_series`.

    Example:
        >>> done = sweep("34", {"preset": ["skysense-tiny"], "seed": range(5)}, "runs/sweep")    # doctest: +SKIP
        >>> done.summary()                                                                       # doctest: +SKIP
    """
    tasks, out = combinations(notebook, lists, parameters or {}), Path(out).resolve()
    outcomes = run_series(tasks, out, **options)
    table = tabulate(outcomes, list(lists))
    beside = out / "sweep.csv.new"
    table.to_csv(beside, index=False)
    os.replace(beside, out / "sweep.csv")
    figure = draw(table, list(lists), out / "sweep.png") if "ok" in set(table["status"]) else None
    return Sweep(outcomes, list(lists), table, out / "sweep.csv", figure)


def combinations(notebook: str | Path, lists: Mapping[str, Iterable[Any]], parameters: Mapping[str, Any]) -> list[Task]:
    """A task for every combination of values, all checked.

    Raises:
        ParameterError: An unknown name, a value of another type, no values, or a name given twice.
    """
    source = find_notebook(notebook)
    known, values = declared(source), {name: list(entries) for name, entries in lists.items()}
    for name, entries in values.items():
        parameter = lookup(known, name, source)
        if not entries or name in parameters:
            got = "none" if not entries else f"{parameters[name]!r} for all runs as well"
            raise ParameterError.of(f"values of {name} to sweep over", got, "List them once.")
        values[name] = [parameter.check(entry) for entry in entries]
    if not values:
        raise ParameterError.of("a parameter to sweep over", "none", "Name one with its values.")
    rows = itertools.product(*values.values())
    return [Task(source, {**parameters, **dict(zip(values, row, strict=True))}) for row in rows]


def tabulate(outcomes: list[Outcome], swept: list[str]) -> pd.DataFrame:
    """A row per run, as `Sweep.table`."""
    import pandas as pd

    rows, taken = [], {*swept, *OWN_COLUMNS}
    for outcome in outcomes:
        record = outcome.run.record
        row = {name: cell(outcome.task.parameters[name]) for name in swept} | {"status": record.status}
        if record.status == "ok":
            measured = {"wall_s": record.wall_s, "kernel_mib": record.peak_memory_mib["kernel"]}
            reported = {f"reported_{name}" if name in taken else name: one for name, one in record.metrics.items()}
            row |= reported | measured
        rows.append(row)
    return pd.DataFrame(rows)


def cell(value: Any) -> Any:
    """A parameter's value for a table: lists as text, and None too, which tables take for a missing value."""
    if value is None:
        return "None"
    return json.dumps(value) if isinstance(value, list | dict) else value


def with_spread(mean: float, deviation: float) -> str:
    """A mean with its standard deviation where there is one."""
    if mean != mean:
        return "–"
    return f"{mean:.4g}" + (f" ± {deviation:.2g}" if deviation == deviation else "")


def draw(table: pd.DataFrame, swept: list[str], path: Path) -> Path:
    """Writes the figure of a table."""
    from skysense_nb.views.sweep_figures import sweep_figure

    along = next((name for name in swept if name != SEED), SEED)
    told = table.drop(columns=[*swept, "status"]).columns
    units = {"wall_s": "time (s)", "kernel_mib": "peak memory of the kernel (MiB)"}
    beside = path.with_suffix(".new")
    figure = sweep_figure(
        table[table["status"] == "ok"],
        along,
        {name: units.get(name, name) for name in told},
        [name for name in swept if name not in (along, SEED)],
    )
    figure.savefig(beside, format="png", dpi=150)
    os.replace(beside, path)
    return path
