"""Commands about notebooks and their runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skysense_nb.commands.application import AsJson, app, print_json
from skysense_nb.commands.series import run_sweep, run_tasks
from skysense_nb.errors import ParameterError

if TYPE_CHECKING:
    from distributed import Client

    from skysense_nb.runs.series import Task


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
    notebooks: Annotated[list[str] | None, typer.Argument(help="Names, numbers or paths of notebooks.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, repeatable.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="YAML file with parameters; -p wins.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder that gets the run's own folder: runs, for a sweep runs/NAME-sweep.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Limit for each whole notebook in seconds.")] = 3600,
    every: Annotated[bool, typer.Option("--all", help="Run all; what has finished in the folder is kept.")] = False,
    compare: Annotated[bool, typer.Option(help="Compare the numbers with what is expected.")] = False,
    jobs: Annotated[int, typer.Option(help="How many run at a time.")] = 1,
    sweep: Annotated[
        list[str] | None, typer.Option(help="NAME=A,B,C or NAME=0..4; several make every combination.")
    ] = None,
    sweep_file: Annotated[Path | None, typer.Option(help="YAML file with notebook, parameters and sweep.")] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers run them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Execute notebooks with parameters and keep what each one made in a folder of its own."""
    named, series = notebooks or [], every or compare or dask or jobs != 1
    if len(named) == 1 and not (series or sweep or sweep_file):
        run_one(named[0], parameter or [], file, out or Path("runs"), timeout_s, as_json)
        return
    options = {"jobs": jobs, "timeout_s": timeout_s}
    if sweep or sweep_file:
        if every or compare:
            raise ParameterError.of("a sweep of one notebook", "--all or --compare as well", "Call them separately.")
        asked = read_sweep(named, sweep or [], sweep_file, parameter or [], file)
        out = out or Path("runs") / f"{asked[0].stem}-sweep"
        command = partial(run_sweep, *asked, out, as_json)
    else:
        tasks = read_tasks(named, every, parameter or [], file)
        command = partial(run_tasks, tasks, out or Path("runs"), compare, as_json)
    with cluster(dask) as client:
        well = command(options | {"client": client})
    if not well:
        raise typer.Exit(1)


def run_one(
    notebook: str, assignments: list[str], file: Path | None, out: Path, timeout_s: float, as_json: bool
) -> None:
    """Runs one notebook in this process, with a bar."""
    from skysense_nb.runs.library import find_notebook
    from skysense_nb.runs.parameters import parse

    path = find_notebook(notebook)
    parameters = parse(path, assignments, file)
    print(f"Starting {path.stem} ...", file=sys.stderr)

    from skysense_nb.runs.runner import FailedRun, run

    try:
        done = run(path, parameters, out, timeout_s=timeout_s, progress=sys.stderr.isatty())
    except FailedRun as error:
        print(error, file=sys.stderr)
        if as_json:
            print_json({"folder": error.run.folder, **error.run.record.model_dump(mode="json")})
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        print(f"Interrupted. What was done until then is in a folder of its own in {out}.", file=sys.stderr)
        raise typer.Exit(130) from error
    if as_json:
        print_json({"folder": done.folder, **done.record.model_dump(mode="json")})
        return
    for name, value in done.record.metrics.items():
        print(f"{name:<28} {value:.4g}")
    print(f"{done.record.wall_s:.0f} s, {done.record.peak_memory_mib['kernel']:.0f} MiB. Open {done.page}")


def read_tasks(named: list[str], every: bool, assignments: list[str], file: Path | None) -> list[Task]:
    """The notebooks of a series with their parameters, all checked."""
    from skysense_nb.runs.library import find_notebook, list_notebooks
    from skysense_nb.runs.parameters import parse

    if every == bool(named):
        got = f"--all and {' '.join(named)}" if every else "nothing"
        raise ParameterError.of("names of notebooks, or --all", got, "See `skysense-nb list`.")
    paths = [notebook.path for notebook in list_notebooks()] if every else [find_notebook(name) for name in named]
    parameters = [parse(path, assignments, file) for path in paths]

    from skysense_nb.runs.series import Task

    return [Task(*one) for one in zip(paths, parameters, strict=True)]


def read_sweep(
    named: list[str], texts: list[str], sweep_file: Path | None, assignments: list[str], file: Path | None
) -> tuple[Path, dict[str, list[Any]], dict[str, Any]]:
    """The notebook of a sweep, its lists, and the parameters that are the same for all; options win over the file."""
    from skysense_nb.runs.library import find_notebook
    from skysense_nb.runs.parameters import parse
    from skysense_nb.runs.sweep_values import SweepFile, parse_lists, read_lists, read_sweep_file

    asked = read_sweep_file(sweep_file) if sweep_file else SweepFile(sweep={})
    names = named or [asked.name] if asked.name else named
    if len(names) != 1:
        raise ParameterError.of("one notebook to sweep", ", ".join(names) or "none", "Name it here or in the file.")
    path = find_notebook(names[0])
    lists = read_lists(path, asked.sweep) | parse_lists(path, texts)
    return path, lists, {**asked.parameters, **parse(path, assignments, file)}


@contextmanager
def cluster(address: str | None) -> Iterator[Client | None]:
    """A client of the Dask cluster at an address, None without one."""
    if address is None:
        yield None
        return
    from skysense_nb.runs.cluster import connect

    with connect(address) as client:
        yield client
