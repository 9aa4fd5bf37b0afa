"""Commands for teaching: notebooks to practise on, and a bundle for rooms without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skysense_nb.commands.application import app


@app.command("exercises")
def exercises_command(
    folder: Annotated[Path, typer.Argument(help="Folder for the copies; made if missing.")],
    names: Annotated[list[str] | None, typer.Argument(help="Names or numbers of notebooks; none: all.")] = None,
    with_solutions: Annotated[
        Path | None, typer.Option(help="Another folder, for copies with the answers filled in: the teacher's.")
    ] = None,
) -> None:
    """Copy notebooks without their solutions, with a cell per exercise that says when the answer is right."""
    from skysense_nb.runs.exercises import write_exercises

    for path in write_exercises(folder, names or [], with_solutions):
        print(path)


@app.command("bundle")
def bundle_command(
    folder: Annotated[Path, typer.Argument(help="New folder, or a bundle to go on with.")],
    wheels: Annotated[bool, typer.Option(help="Include the pinned packages, about 3.5 GB.")] = True,
    python: Annotated[str | None, typer.Option(help="Python the wheels are for; this one by default.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Only compare the files with their checksums.")] = False,
) -> None:
    """Gather checkout, packages and miniatures for a room without a network, or verify such a bundle."""
    from skysense_nb.runs.bundle import make_bundle, verify_bundle

    if not verify:
        make_bundle(folder, wheels=wheels, python=python)
        size_gb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
        print(f"{size_gb:.2f} GB. Copy {folder} there and call: bash setup.sh")
        return
    wrong = verify_bundle(folder)
    print("\n".join(wrong) or "Every file is as it was made.")
    if wrong:
        raise typer.Exit(1)
