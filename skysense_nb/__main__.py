"""The command line: `skysense-nb list | run | compare | expect | doctor | bench | pretrain | plan | catalog | fetch`.

A mistake of the user prints one sentence and exits 2; a notebook that failed exits 1. Heavy imports wait
inside the commands that need them, so that `list` and `--help` answer at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skysense_nb.errors import ParameterError, SkySenseError

if TYPE_CHECKING:
    from skysense_nb.data.doctor import Report

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__.splitlines()[0]
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def print_json(content: Any) -> None:
    """Prints `content` as indented JSON."""
    print(json.dumps(content, indent=2, default=str))


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


@app.command("doctor")
def doctor_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Scenes or rasters to examine; none: this machine.")
    ] = None,
    mend: Annotated[Path | None, typer.Option(help="New .zarr or .nc for the scene, mended where it is safe.")] = None,
    figure: Annotated[Path | None, typer.Option(help="New .png of the scene against the training data.")] = None,
    as_json: AsJson = False,
) -> None:
    """Examine scenes before inference, and mend them, or describe this machine."""
    if not paths and not mend and not figure:
        from skysense_nb.runs.machine import as_text, describe_machine

        machine = describe_machine()
        print_json(machine) if as_json else print(as_text(machine))
        return
    paths = paths or []
    check_outputs(paths, mend, figure)
    examined = {str(path): examine(path, mend, figure) for path in paths}
    if as_json:
        print_json({name: one.to_dict() | {"mended": steps} for name, (one, steps) in examined.items()})
    else:
        print("\n\n".join("\n".join((name, *steps, str(one))) for name, (one, steps) in examined.items()))
    if not all(report.ok for report, _ in examined.values()):
        raise typer.Exit(1)


def check_outputs(paths: list[Path], mend: Path | None, figure: Path | None) -> None:
    """Refuses to write over anything, to mend or draw many scenes at once, and to draw into another format."""
    for path in (path for path in (mend, figure) if path):
        if path.exists():
            raise ParameterError.of(f"nothing at {path}", "something", "Choose another name; nothing was touched.")
        if len(paths) != 1:
            raise ParameterError.of("one scene to mend or draw", f"{len(paths)}", "Call the doctor for each.")
    if figure and not (figure.suffix == ".png" and figure.parent.is_dir()):
        raise ParameterError.of("a .png in a folder that exists", str(figure), "Choose another place.")


def examine(path: Path, mend: Path | None, figure: Path | None) -> tuple[Report, list[str]]:
    """The doctor's report on one scene, mended and drawn before where asked for, and what was mended."""
    from skysense_nb.data import mending, storage
    from skysense_nb.data.doctor import diagnose, open_patient

    scene, steps = open_patient(path), []
    if mend:
        scene, steps = mending.mend(scene)
        storage.save(scene, mend)
    report = diagnose(scene)
    if figure:
        from skysense_nb.views import doctor_figure

        doctor_figure(scene, report.rows).savefig(figure, dpi=150)
    return report, [str(step) for step in steps if step.done]


@app.command("bench")
def bench_command(
    preset: Annotated[
        str | None, typer.Argument(help="Model to measure; none: skysense, or all that train here.")
    ] = None,
    precision: Annotated[list[str] | None, typer.Option(help="fp32, bf16 or fp16, repeatable.")] = None,
    cells: Annotated[int, typer.Option(help="Ground cells a side; HR has 32 times as many pixels.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    pretraining: Annotated[bool, typer.Option(help="Measure a pre-training step and its data, not modules.")] = False,
    batch: Annotated[int, typer.Option(help="Tiles of that step, or samples of a task.")] = 8,
    recompute: Annotated[bool, typer.Option(help="Recompute activations in it.")] = False,
    compiled: Annotated[bool, typer.Option(help="Compile its models.")] = False,
    readers: Annotated[bool, typer.Option(help="Measure the readers of the benchmarks, on miniatures.")] = False,
    tasks: Annotated[bool, typer.Option(help="Measure training and prediction of each downstream task.")] = False,
    mapping: Annotated[bool, typer.Option(help="Measure how fast a region is mapped, beside the model alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure modules on this machine, a step of pre-training, the readers of the benchmarks, tasks, or mapping."""
    if readers:
        from skysense_nb.runs.bench_readers import bench_readers

        measured = bench_readers()
    elif mapping:
        from skysense_nb.runs.bench_mapping import bench_mapping

        measured = bench_mapping(preset or "skysense-tiny")
    elif tasks:
        from skysense_nb.runs.bench_tasks import bench_tasks

        options = {"cells": cells, "batch": batch, "device": device, "precision": (precision or ["auto"])[0]}
        measured = bench_tasks(preset or "skysense-tiny", **options)
    elif pretraining:
        from skysense_nb.runs.bench_pretraining import bench_pretraining, chosen_recipes

        recipes = chosen_recipes(preset, precision, recompute, cells=cells, batch=batch, device=device)
        measured = bench_pretraining(recipes, compiled=compiled, device=device)
    else:
        from skysense_nb.runs.bench import Geometry, bench

        precisions = tuple(precision or ("fp32", "bf16"))
        measured = bench(preset or "skysense", geometry=Geometry(cells), precisions=precisions, device=device)
    rows = []
    for row in measured:
        rows.append(row)
        if not as_json:
            print(row)
    if as_json:
        print_json([row.to_dict() for row in rows])


@app.command("pretrain")
def pretrain_command(
    recipe: Annotated[
        str | None, typer.Argument(help="YAML file, or skysense-tiny or skysense-v2-tiny; none: the defaults.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a run found there goes on.")] = Path("runs/pretraining"),
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of the recipe's.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines, as torchrun or SLURM started them.")] = 1,
    strategy: Annotated[str, typer.Option(help="auto, ddp or fsdp.")] = "auto",
    card: Annotated[bool, typer.Option(help="Also measure the weights on held-out places and write a card.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pre-train a model, or go on with a run that was stopped."""
    from skysense_nb.pretraining.model_card import write_card
    from skysense_nb.pretraining.recipe import Recipe, read_recipe
    from skysense_nb.pretraining.run import pretrain

    changes = {} if steps is None else {"steps": steps}
    chosen = read_recipe(recipe, **changes) if recipe else Recipe(**changes)
    machine = {"accelerator": accelerator, "devices": devices, "nodes": nodes, "strategy": strategy}
    done = pretrain(chosen, out, **machine, progress=sys.stderr.isatty() and not as_json)
    if done.module.global_rank:
        return
    last = done.curves().iloc[-1]
    told = {"folder": done.folder, "complete": done.complete, "steps": int(last.name), "loss": float(last["loss"])}
    told |= {"card": write_card(done.folder, done.folder / "card")} if card and done.complete else {}
    if as_json:
        print_json(told)
        return
    print(f"{told['steps']} steps, loss {told['loss']:.3g}. Weights in {done.folder / 'model.safetensors'}")
    if "card" in told:
        print(told["card"].read_text())


@app.command("plan")
def plan_command(
    recipe: Annotated[
        Path | None, typer.Argument(help="YAML file of a pre-training recipe; none: its defaults.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Model; wins over the recipe, as the next two do.")] = None,
    batch: Annotated[int | None, typer.Option(help="Tiles per step on each GPU.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    gpus: Annotated[int, typer.Option(help="How many.")] = 1,
    machine: Annotated[str, typer.Option(help="h200, a100, or here to measure this one.")] = "h200",
    strategy: Annotated[str, typer.Option(help="auto, single, ddp or fsdp.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Say what memory and time a pre-training run needs, before it is started."""
    from skysense_nb.pretraining import machines, planner, read_recipe
    from skysense_nb.pretraining.recipe import make_recipe

    given = {"preset": preset, "batch": batch, "precision": precision}
    changes = {name: value for name, value in given.items() if value is not None}
    wanted = read_recipe(recipe, **changes) if recipe else make_recipe(changes)
    print("Rehearsing a step ...", file=sys.stderr)
    planned = planner.plan(wanted, machines.machine(machine), gpus, strategy)
    print_json(planned.to_dict()) if as_json else print(planned)


@app.command("catalog")
def catalog_command(
    name: Annotated[str | None, typer.Argument(help="A benchmark; none: all of them as a table.")] = None,
    task: Annotated[str | None, typer.Option(help="Only with this word in their task.")] = None,
    sensor: Annotated[str | None, typer.Option(help="Only with hr, s2 or s1.")] = None,
    licence: Annotated[str | None, typer.Option(help="Only with this text in their licence.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what benchmarks there are: licence, layout, classes, protocol, published scores."""
    from skysense_nb.data.catalog import benchmark, catalog

    if name:
        entry = benchmark(name)
        print_json(entry.model_dump()) if as_json else print(entry.words())
        return
    table = catalog(task, sensor, licence)
    print_json(table.reset_index().to_dict("records")) if as_json else print(table.to_string())


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A benchmark of the catalogue.")],
    miniature: Annotated[Path | None, typer.Option(help="New folder for a small synthetic copy.")] = None,
    archive: Annotated[list[Path] | None, typer.Option(help="Downloaded zip or tar to unpack, repeatable.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to unpack to.")] = Path("data"),
    verify: Annotated[Path | None, typer.Option(help="Root of a copy to look through.")] = None,
    split: Annotated[str, typer.Option(help="Which split to verify.")] = "train",
    seed: Annotated[int, typer.Option(help="Of the miniature.")] = 0,
    places: Annotated[
        int | None,
        typer.Option(
            help="Places to train on; dior, dior_r and fair1m: up to three images of each; none: a few samples."
        ),
    ] = None,
) -> None:
    """Make a miniature of a benchmark, unpack or verify a real copy, or say where to get it."""
    from skysense_nb.data.benchmarks import open_benchmark
    from skysense_nb.data.benchmarks.files import unpack
    from skysense_nb.data.catalog import benchmark
    from skysense_nb.data.miniatures import write_miniature

    entry = benchmark(name)
    if miniature:
        records = write_miniature(name, miniature, seed, places)
        print(
            f"{len(records)} synthetic samples in the layout of {entry.title}, in {miniature}. No score on them counts."
        )
    for each in archive or []:
        print(f"Unpacked {each} to {unpack(each, out)}")
    if verify:
        found = open_benchmark(name, verify, split).verify()
        print(found)
        if not found.ok:
            raise typer.Exit(1)
    if not (miniature or archive or verify):
        print(entry.words())


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except SkySenseError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
