"""Masks that name a class by an exact colour."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skysense_nb.errors import DatasetError

UNKNOWN = 254
"""In the table: a colour that is no class."""


def ids_of_colors(
    image: np.ndarray, ids: dict[tuple[int, int, int], int], path: Path, others: int | None = None
) -> Tensor:
    """The class id of every pixel, looked up by its exact colour.

    Args:
        image: R G B, 3 H W uint8.
        ids: Class id 0–253, or 255, per colour.
        path: Of the image, for the error.
        others: Id of pixels of any other colour; None: such pixels are an error.

    Returns:
        H W int64.

    Raises:
        DatasetError: A colour that is no class.

    Example:
        >>> image = np.array([[[0, 9]], [[0, 9]], [[63, 9]]], np.uint8)
        >>> ids_of_colors(image, {(0, 0, 63): 1}, Path("a.png"), others=255)
        tensor([[  1, 255]])
    """
    found = table(tuple(sorted(ids.items()))).take(packed(image))  # half the time of an index in brackets
    wrong = found == UNKNOWN
    if others is not None:
        found[wrong] = others
    elif wrong.any():
        color = tuple(image[:, wrong][:, 0].tolist())
        got = f"{color} in {int(wrong.sum())} of {wrong.size} pixels or other such colours"
        raise DatasetError.of(
            f"colours of classes in {path}", got, "Is it saved with loss, or resized? Unpack it again."
        )
    return torch.from_numpy(found.astype(np.int64))


def packed(image: np.ndarray) -> np.ndarray:
    """R G B, 3 H W uint8, as one number R + 256 G + 65,536 B per pixel, H W int32."""
    numbers = image[2].astype(np.int32)  # before the sum, which would overflow a byte
    for channel in (image[1], image[0]):
        numbers <<= 8
        numbers |= channel
    return numbers


@lru_cache(maxsize=4)
def table(ids: tuple[tuple[tuple[int, int, int], int], ...]) -> np.ndarray:
    """Class ids of all 16.8 million packed colours, uint8: one look-up per pixel, whatever the number of classes."""
    values = np.full(1 << 24, UNKNOWN, np.uint8)
    for (red, green, blue), number in ids:
        values[red + (green << 8) + (blue << 16)] = number
    return values
