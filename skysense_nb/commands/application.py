"""The command line as such: what every command hangs on."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SkySense notebooks: run and compare them, examine imagery, train and measure models.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def print_json(content: Any) -> None:
    """Prints `content` as indented JSON."""
    print(json.dumps(content, indent=2, default=str))
