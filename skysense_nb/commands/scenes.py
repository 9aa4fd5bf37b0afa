"""Commands about imagery: the doctor of scenes and machines, benchmarks and where to get them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skysense_nb.commands.application import AsJson, app, print_json
from skysense_nb.errors import ParameterError

if TYPE_CHECKING:
    from skysense_nb.data.doctor import Report


@app.command("doctor")
def doctor_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Scenes or rasters to examine; none: this machine.")
    ] = None,
    mend: Annotated[Path | None, typer.Option(help="New .zarr or .nc for the scene, mended where it is safe.")] = None,
    figure: Annotated[Path | None, typer.Option(help="New .png of the scene against the training data.")] = None,
    as_json: AsJson = False,
) -> None:
    """Examine scenes before inference, and mend them, or say whether this machine is fit for the notebooks."""
    if not paths and not mend and not figure:
        doctor_of_this_machine(as_json)
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


def doctor_of_this_machine(as_json: bool) -> None:
    """Prints facts and verdicts; exits 1 where notebooks would fail."""
    from dataclasses import asdict

    from skysense_nb.runs.checkup import as_lines, examine_machine
    from skysense_nb.runs.machine import as_text, describe_machine

    machine = describe_machine()
    verdicts = examine_machine(machine)
    fit = all(one.level != "problem" for one in verdicts)
    if as_json:
        print_json(machine | {"fit": fit, "checks": [asdict(one) for one in verdicts]})
    else:
        print(as_text(machine), as_lines(verdicts), sep="\n\n")
    if not fit:
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
