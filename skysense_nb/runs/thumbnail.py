"""The picture that stands for a run: the first figure of its notebook, small enough to stay inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from skysense_nb.runs.alt_texts import alt_text

EDGE = 480
"""Longer side in pixels."""

LIMIT = 24 * 1024
"""Bytes of a picture, so that a hundred of them stay below 4 MB of text."""

QUALITIES = (85, 70, 55, 40, 25, 10)
MIMES = ("image/png", "image/jpeg")


@dataclass(frozen=True)
class Thumbnail:
    """A small picture inside a page.

    Attributes:
        url: The JPEG itself, as a data address.
        alt: What it shows, in words.
        width, height: In pixels.
    """

    url: str
    alt: str
    width: int
    height: int


def thumbnail(cells: list[dict[str, Any]]) -> Thumbnail | None:
    """The first picture among the outputs that can be read; None where there is none."""
    for stored, alt in pictures(cells):
        try:
            picture = Image.open(io.BytesIO(base64.b64decode(stored)))
            jpeg, (width, height) = shrink(picture)
        except (OSError, ValueError, Image.DecompressionBombError):
            continue
        return Thumbnail(f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", alt, width, height)
    return None


def pictures(cells: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Every picture of an executed notebook in base64, with what it shows, in order."""
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            for mime in MIMES:
                if mime in output.get("data", {}):
                    yield "".join(output["data"][mime]), alt_text(cells, index, output, mime)


def shrink(picture: Image.Image) -> tuple[bytes, tuple[int, int]]:
    """A picture on white as JPEG of at most `EDGE` pixels and `LIMIT` bytes, and its width and height.

    Example:
        >>> shrink(Image.new("RGB", (960, 480)))[1]
        (480, 240)
    """
    picture.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    opaque = Image.new("RGB", picture.size, "white")
    layered = picture.convert("RGBA")
    opaque.paste(layered, mask=layered)
    for quality in QUALITIES:
        file = io.BytesIO()
        opaque.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= LIMIT:
            break
    return file.getvalue(), opaque.size
