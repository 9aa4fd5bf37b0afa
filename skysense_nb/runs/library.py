"""The notebooks that come with the library: where they are, and what their first cell says of them.

Notebooks are read as plain JSON here, so that listing them needs neither Jupyter nor torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skysense_nb.errors import ParameterError

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Notebook:
    """One notebook as its first cell presents it.

    Attributes:
        path: The file.
        number: Digits its name starts with, empty if none.
        title: First heading without the number.
        promise: First paragraph: what the reader will have seen at the end.
        facts: The facts table, as written (`{"Minutes on CPU": "1", …}`).
    """

    path: Path
    number: str
    title: str
    promise: str
    facts: dict[str, str]

    @property
    def name(self) -> str:
        """File name without its ending, the name that `run` takes."""
        return self.path.stem

    def fact(self, *words: str) -> str:
        """Entry of the facts table whose name holds all `words`, empty if there is none."""
        return next((value for key, value in self.facts.items() if all(word in key.lower() for word in words)), "")

    def to_dict(self) -> dict[str, Any]:
        """Everything above, ready for JSON."""
        return {
            "name": self.name,
            "number": self.number,
            "title": self.title,
            "promise": self.promise,
            "facts": self.facts,
            "path": str(self.path),
        }


def notebooks_folder() -> Path:
    """Folder of the series: `notebooks` here, in a folder above, or in the checkout the library runs from.

    Raises:
        ParameterError: There is none.
    """
    for place in (Path.cwd(), *Path.cwd().parents, CHECKOUT):
        if any((place / "notebooks").glob("[0-9][0-9]_*.ipynb")):
            return place / "notebooks"
    raise ParameterError.of(
        "a folder 'notebooks' with the series", f"none at or above {Path.cwd()}", "Call this from the repository."
    )


def list_notebooks(folder: Path | None = None) -> list[Notebook]:
    """The notebooks of the series in reading order.

    Example:
        >>> [notebook.number for notebook in list_notebooks()][:2]    # doctest: +SKIP
        ['00', '01']
    """
    return [describe(path) for path in sorted((folder or notebooks_folder()).glob("[0-9]*.ipynb"))]


def find_notebook(name: str | Path) -> Path:
    """Finds a notebook by path, by name (`01_scenes_and_sensors`) or by number (`01`).

    Raises:
        ParameterError: Nothing of this name, or more than one.
    """
    path = Path(name)
    if path.suffix == ".ipynb":
        if path.is_file():
            return path.resolve()
        raise ParameterError.of(f"a notebook at {path}", "no such file", "Check the path, or see `skysense-nb list`.")
    paths = sorted(notebooks_folder().glob("*.ipynb"))
    hits = [p for p in paths if p.stem == str(name)] or [p for p in paths if p.stem.startswith(f"{name}_")]
    if len(hits) == 1:
        return hits[0]
    names = ", ".join(p.stem for p in hits or paths)
    raise ParameterError.of(f"one notebook among {names}", repr(str(name)), "Use its name, number or path.")


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook file, each with `source` as one string and `tags` as a list.

    Raises:
        ParameterError: Not a notebook.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [
            {**cell, "source": "".join(cell["source"]), "tags": cell.get("metadata", {}).get("tags", [])}
            for cell in cells
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError.of(
            f"a Jupyter notebook at {path}", f"a file that does not read as one ({error})", "Open it in JupyterLab."
        ) from error


def source_checksum(path: Path) -> str:
    """SHA-256 of what a notebook says and does: kind, text and tags of its cells, whatever they have put out.

    Raises:
        ParameterError: Not a notebook.
    """
    cells = [(cell["cell_type"], cell["source"], cell["tags"]) for cell in read_cells(path)]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def describe(path: Path) -> Notebook:
    """Reads title, promise and facts table from the first markdown cell."""
    text = next((cell["source"] for cell in read_cells(path) if cell["cell_type"] == "markdown"), "")
    heading = re.search(r"^#\s+(?:\d+\s*[·:.–-]?\s*)?(.+)$", text, flags=re.MULTILINE)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    promise = next((part for part in paragraphs if not part.startswith(("#", "|", "<", "!"))), "")
    number = re.match(r"\d+", path.stem)
    return Notebook(
        path=path,
        number=number.group() if number else "",
        title=heading.group(1).strip() if heading else path.stem,
        promise=re.sub(r"[*_`]", "", " ".join(promise.split())),
        facts=facts_table(text),
    )


def facts_table(text: str) -> dict[str, str]:
    """First table of a markdown text: rows of name and value, or a row of names over a row of values."""
    lines = [line.strip().strip("|") for line in text.splitlines() if line.strip().startswith("|")]
    rows = [[entry.strip() for entry in line.split("|")] for line in lines if not re.fullmatch(r"[\s|:-]+", line)]
    if len(rows) == 2 and len(rows[0]) > 2:
        return dict(zip(*rows, strict=False))
    return {row[0].strip("*"): row[1] for row in rows if len(row) == 2 and row[0]}
