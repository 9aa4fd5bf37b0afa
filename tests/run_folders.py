"""Folders as runs leave them, made without running anything."""

import base64
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import numpy as np
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from skysense_nb.runs.record import CellTime, Git, Record


def make_record(minute: int = 0, **changed) -> Record:
    """A good run of 07_small, `minute` minutes past noon."""
    start = datetime(2026, 5, 4, 12, tzinfo=UTC) + timedelta(minutes=minute)
    usual = {
        "notebook": "07_small",
        "status": "ok",
        "parameters": {"seed": 0, "rate": 0.5},
        "metrics": {"accuracy": 0.5},
        "inputs": {},
        "seed": 0,
        "device": "cpu",
        "started": start,
        "finished": start + timedelta(seconds=75),
        "wall_s": 75.0,
        "cells": [CellTime(index=1, first_line="seed: int = 0", seconds=0.5)],
        "peak_memory_mib": {"kernel": 321.0},
        "python": "3.12.1",
        "platform": "Linux",
        "packages": {"numpy": "2.4.0", "torch": "2.14.1"},
        "git": Git(commit="0123456789abcdef", dirty=False),
    }
    return Record(**usual | changed)


def put_run(folder: Path, one: Record, *outputs, title: str = "# 07 · A small thing\n\nShows one thing.") -> Path:
    """The folder a run with this record leaves."""
    place = folder / f"{one.notebook}-{one.started:%Y%m%d-%H%M%S}-00ff"
    place.mkdir(parents=True)
    cells = [
        new_markdown_cell(title),
        new_code_cell("seed: int = 0  # start\nrate: float = 0.5  # speed", metadata={"tags": ["parameters"]}),
        new_markdown_cell("## Look\n\nThe *left* half is water. More."),
        new_code_cell("draw()", outputs=list(outputs)),
    ]
    nbformat.write(new_notebook(cells=cells), place / f"{one.notebook}.ipynb")
    (place / f"{one.notebook}.html").write_text("<p>page</p>")
    one.write(place / "record.json")
    return place


def noise_figure(width: int = 960, height: int = 480, alt: str = "") -> nbformat.NotebookNode:
    """Noise as a cell shows a figure: no picture takes more bytes."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    metadata = {"image/png": {"alt": alt}} if alt else {}
    return new_output("display_data", {"image/png": base64.b64encode(file.getvalue()).decode()}, metadata=metadata)
