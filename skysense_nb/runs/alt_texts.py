"""What pictures in an executed notebook show, in words, for readers who do not see them."""

from __future__ import annotations

import re
from typing import Any

PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def add_alt_texts(cells: list[dict[str, Any]]) -> None:
    """Gives every picture among the outputs an alternative text in its metadata, where it has none."""
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            for mime in set(PICTURES) & set(output.get("data", {})):
                output["metadata"].setdefault(mime, {})["alt"] = alt_text(cells, index, output, mime)


def alt_text(cells: list[dict[str, Any]], index: int, output: dict[str, Any], mime: str) -> str:
    """What a picture shows: the text it carries, else the prose that leads to it.

    Args:
        cells: Of the executed notebook, sources as one string.
        index: Of the cell that shows the picture.
        output: Of that cell.
        mime: Of the picture.
    """
    own = output.get("metadata", {}).get(mime, {}).get("alt")
    return own or f"Figure: {words_before(cells, index)}"


def words_before(cells: list[dict[str, Any]], index: int) -> str:
    """First sentence of the prose right before a cell, or its heading where it is nothing but one.

    Example:
        >>> words_before([{"cell_type": "markdown", "source": "## Why\\n\\nWe *look* at `NDVI`. It rises."}], 1)
        'We look at NDVI.'
    """
    text = next((cell["source"] for cell in reversed(cells[:index]) if cell["cell_type"] == "markdown"), "")
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n|\n(?=#)|(?<=#)\n", text)]
    prose = [block for block in blocks if block and not block.startswith(("#", "|", "<", "!", "```", "$$"))]
    headings = [block.lstrip("# ") for block in blocks if block.startswith("#")]
    words = next(filter(None, map(plain, (*prose, *headings[-1:]))), "made by this notebook")
    return re.match(r".+?(?:[.!?](?=\s|$)|$)", words).group()


def plain(markdown: str) -> str:
    """Prose without a lead such as *Read it.*, emphasis, code and list marks, and addresses of links."""
    lead, link = r"^\*+[^*]+\.\*+\s+", r"!?\[([^\]]*)\]\([^)]*\)"
    return re.sub(r"[*`]|^[-+] |^\d+\. ", "", re.sub(link, r"\1", re.sub(lead, "", markdown)))
