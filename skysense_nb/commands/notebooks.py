"""Commands about notebooks and their runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from skysense_nb.commands.application import AsJson, app, print_json


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the notebooks: number, title, minutes, promise."""
    from skysense_nb.runs.library import list_notebooks

    notebooks = list_notebooks()
    if as_json:
        print_json([notebook.to_dict() for notebook in notebooks])
        return
    for notebook in notebooks:
        minutes = notebook.fact("cpu") or notebook.fact("minutes") or "?"
        print(f"{notebook.name:<28} {notebook.title}  ({minutes} on a CPU)\n{'':<28} {notebook.promise}")


@app.command("run")
def run_command(
    notebook: Annotated[str, typer.Argument(help="Name, number or path of a notebook.")],
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, repeatable.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="YAML file with parameters; -p wins.")] = None,
    out: Annotated[Path, typer.Option(help="Folder that gets the run's own folder.")] = Path("runs"),
    timeout_s: Annotated[float, typer.Option(help="Limit for the whole notebook in seconds.")] = 3600,
    as_json: AsJson = False,
) -> None:
    """Execute a notebook with parameters and keep what it made in one folder."""
    from skysense_nb.runs.library import find_notebook
    from skysense_nb.runs.parameters import parse

    path = find_notebook(notebook)
    parameters = parse(path, parameter or [], file)
    print(f"Starting {path.stem} ...", file=sys.stderr)

    from skysense_nb.runs.runner import FailedRun, run

    try:
        done = run(path, parameters, out, timeout_s=timeout_s, progress=sys.stderr.isatty())
    except FailedRun as error:
        print(error, file=sys.stderr)
        if as_json:
            print_json({"folder": error.run.folder, **error.run.record.model_dump(mode="json")})
        raise typer.Exit(1) from error
    if as_json:
        print_json({"folder": done.folder, **done.record.model_dump(mode="json")})
        return
    for name, value in done.record.metrics.items():
        print(f"{name:<28} {value:.4g}")
    print(f"{done.record.wall_s:.0f} s, {done.record.peak_memory_mib['kernel']:.0f} MiB. Open {done.page}")


@app.command("compare")
def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs with default parameters.")],
    as_json: AsJson = False,
) -> None:
    """Compare the numbers of runs with what is expected of their notebooks; exits 1 where one drifted."""
    from skysense_nb.runs.expectations import default_run, drifts, read_expectations

    records = [default_run(folder) for folder in runs]
    found = {one.notebook: drifts(read_expectations(one.notebook), one.metrics) for one in records}
    if as_json:
        print_json({name: [str(one) for one in drifted] for name, drifted in found.items()})
    for name, drifted in () if as_json else found.items():
        print(f"{name}: {'; '.join(map(str, drifted)) or 'as expected'}")
    if any(found.values()):
        raise typer.Exit(1)


@app.command("expect")
def expect_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of good runs with default parameters.")],
) -> None:
    """Take the numbers of runs as what is expected from now on, and print what that changes."""
    from skysense_nb.runs.expectations import default_run, write_expectations

    for folder in runs:
        record = default_run(folder)
        changed = write_expectations(record)
        print(f"{record.notebook}: {'; '.join(map(str, changed)) or 'nothing new'}")
