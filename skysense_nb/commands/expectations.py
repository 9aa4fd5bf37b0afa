"""Commands about what a run should report: comparing with it, and changing it on purpose."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from skysense_nb.commands.application import AsJson, app, print_json


@app.command("compare")
def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs with default parameters, or another preset.")],
    as_json: AsJson = False,
) -> None:
    """Compare what runs report with what is expected; exits 1 where something drifted or failed, 2 where nothing is
    expected."""
    from skysense_nb.errors import ParameterError, RunError
    from skysense_nb.runs.expectations import compare
    from skysense_nb.runs.record import read_record

    found = {}
    for folder in runs:
        try:
            record = read_record(folder)
            ended = record.status == "ok"
            found[str(folder)] = [str(one) for one in compare(record)] if ended else [f"failed: {record.failure}"]
        except (RunError, ParameterError) as error:
            print(f"{folder}: {error}", file=sys.stderr)
    if as_json:
        print_json(found)
    for name, drifted in () if as_json else found.items():
        print(f"{name}: {'; '.join(drifted) or 'as expected'}")
    if any(found.values()):
        raise typer.Exit(1)
    if len(found) < len(runs):
        raise typer.Exit(2)


@app.command("expect")
def expect_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of good runs with default parameters, or another preset.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
) -> None:
    """Show how runs differ from what is expected, and take what they report as expected from now on."""
    from skysense_nb.runs.expectations import changes, write_expectations
    from skysense_nb.runs.record import read_record

    told = [(folder, record := read_record(folder), changes(record)) for folder in runs]  # all, before one is written
    for folder, record, changed in told:
        print(f"{folder}:")
        for one in changed:
            print(f"  {one.name}: {one.expected} → {one.got}")
        if not dry_run:
            write_expectations(record)
