"""Commands that show what many runs have come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skysense_nb.commands.application import app


@app.command("gallery")
def gallery_command(
    folder: Annotated[Path, typer.Argument(help="Folder of runs.")] = Path("runs"),
    history: Annotated[list[Path] | None, typer.Option(help="Folder of earlier runs, repeatable.")] = None,
) -> None:
    """Write one page about all runs of a folder: figures, verdicts, numbers over time, what failed where."""
    from skysense_nb.runs.gallery import write_gallery

    print(f"Open {write_gallery(folder, history or ())}")
