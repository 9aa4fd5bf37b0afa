"""Notebooks made for one test each."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

PARAMETERS = """seed: int = 0  # start of the random numbers
rate: float = 0.5  # learning # rate
preset: str = "tiny#1"  # which model
bands: list[str] = ["B2", "B3"]
limit: float | None = None
flag: bool = True"""

TITLE = """# 07 · A small thing

Shows *one* thing and stops.

| | |
|---|---|
| Minutes on CPU | 1 |
| Comes after | `06` |
"""


@pytest.fixture
def make_notebook(tmp_path) -> Callable[..., Path]:
    """Writes `tmp_path/NAME.ipynb`: a title, a parameters cell, then the given code cells."""

    def make(*sources: str, name: str = "07_small", parameters: str = PARAMETERS) -> Path:
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell(TITLE),
                nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
                *map(nbformat.v4.new_code_cell, sources),
            ]
        )
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return make
