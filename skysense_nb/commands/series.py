"""What `skysense-nb run` says of many runs: a line as each one ends, then tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from skysense_nb.commands.application import print_json

if TYPE_CHECKING:
    from skysense_nb.runs.series import Outcome, Task

AS_EXPECTED, NOT_KNOWN = "as expected", "nothing expected"


def run_tasks(tasks: list[Task], out: Path, compare: bool, as_json: bool, options: dict[str, Any]) -> bool:
    """Runs a series and prints what became of it; returns whether all is well.

    Args:
        tasks: What is wanted.
        out: Folder of the runs.
        compare: Also compare numbers with what is expected.
        as_json: Print JSON, and the lines on standard error.
        options: Of `run_series`.
    """
    from skysense_nb.runs.series import run_series

    with resumable():
        outcomes = run_series(tasks, out, on_change=teller(as_json), **options)
    compared = [verdicts(outcome) for outcome in outcomes] if compare else []
    if as_json:
        told = [as_dict(outcome) for outcome in outcomes]
        for one, rows in zip(told, compared, strict=True) if compare else ():
            one["compared"] = [dict(zip(("number", "expected", "got", "verdict"), row, strict=True)) for row in rows]
        print_json(told)
    else:
        print_table(("notebook", "verdict", "seconds", "MiB", ""), [row(outcome) for outcome in outcomes])
        if compare:
            rows = [(named(one), *each) for one, found in zip(outcomes, compared, strict=True) for each in found]
            print_table(("notebook", "number", "expected", "got", "verdict"), rows)
    ran = all(outcome.run.record.status == "ok" for outcome in outcomes)
    return ran and all(each[-1] in (AS_EXPECTED, NOT_KNOWN) for found in compared for each in found)


def run_sweep(
    notebook: Path, lists: dict[str, list[Any]], parameters: dict[str, Any], out: Path, as_json: bool, options: dict
) -> bool:
    """Runs a sweep and prints means over its seeds; returns whether all runs ended well."""
    from skysense_nb.runs.sweep import sweep

    with resumable():
        done = sweep(notebook, lists, out, parameters=parameters, on_change=teller(as_json), **options)
    if as_json:
        files = {"csv": done.csv, "figure": done.figure}
        print_json({"runs": [as_dict(outcome) for outcome in done.outcomes], **files})
    else:
        print(f"\n{done.summary().to_string()}\n\n{done.csv}", done.figure or "", sep="\n")
    return all(outcome.run.record.status == "ok" for outcome in done.outcomes)


@contextmanager
def resumable() -> Iterator[None]:
    """Says after Ctrl-C that nothing is lost, and exits 130 as the shell expects."""
    try:
        yield
    except KeyboardInterrupt as error:
        print("Interrupted. What has finished is kept, and the same call goes on from there.", file=sys.stderr)
        raise typer.Exit(130) from error


def teller(as_json: bool) -> Callable[[Outcome], None]:
    """Prints a line for each outcome, beside the JSON if there is some."""

    def tell(outcome: Outcome) -> None:
        name, verdict, seconds, memory, why = row(outcome)
        print(
            f"{verdict:<7} {seconds:>6} s {memory:>6} MiB  {name}  {why}".rstrip(),
            file=sys.stderr if as_json else sys.stdout,
            flush=True,
        )

    return tell


def named(outcome: Outcome) -> str:
    """Notebook of an outcome with the parameters that were given."""
    given = (f"{name}={value}" for name, value in outcome.task.parameters.items())
    return " ".join((outcome.run.record.notebook, *given))


def row(outcome: Outcome) -> tuple[str, ...]:
    """An outcome as texts: name, verdict, seconds, MiB, and why it failed."""
    record = outcome.run.record
    memory = record.peak_memory_mib.get("kernel")
    verdict = "kept" if outcome.kept else record.status
    why = str(record.failure or "")
    return named(outcome), verdict, f"{record.wall_s:.1f}", "?" if memory is None else f"{memory:.0f}", why


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """An outcome for JSON."""
    return {"folder": outcome.run.folder, "kept": outcome.kept, **outcome.run.record.model_dump(mode="json")}


def verdicts(outcome: Outcome) -> list[tuple[str, str, str, str]]:
    """Number, expected, got and verdict of everything that drifted, or one line that says there is nothing."""
    from skysense_nb.errors import ParameterError, RunError
    from skysense_nb.runs.expectations import NothingExpected, compare

    record = outcome.run.record
    if record.status != "ok":
        return [("", "", "", "failed")]
    try:
        drifted = compare(record)
    except (NothingExpected, ParameterError):  # a notebook of one's own is not in the series
        return [("", "", "", NOT_KNOWN)]
    except RunError as error:
        return [("", "", "", str(error))]
    told = f"all {len(record.metrics) + len(record.arrays)}"
    return [(one.name, one.expected, one.got, "drifted") for one in drifted] or [(told, "", "", AS_EXPECTED)]


def print_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Prints texts in columns, after an empty line."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print()
    for line in (head, *rows):
        print("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())
