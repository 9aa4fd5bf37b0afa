"""Bright squares on a dark image, and a detector that finds them."""

import numpy as np
import torch
import xarray as xr
from scipy import ndimage
from small_scenes import make_image

from skysense_nb.data.scene import build

ROWS, COLUMNS, PIXEL = 24, 29, 10 / 32
OPTIONS = {"classes": ("small", "large"), "identity": "bright", "tile": 12, "margin_m": 30, "progress": False}
LARGE = 500
"""Area from which on a square is large, pixels."""


def bright(model, sample):
    """Squares above the background: tight boxes, large ones are class 1; a brighter one scores more."""
    found = []
    for image in sample["hr"][:, 0].mean(1).numpy():
        marks, _ = ndimage.label(image > 0)
        boxes = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(marks)]
        scores = ndimage.maximum(image, marks, np.arange(1, len(boxes) + 1))
        area = np.array([(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes])
        told = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        found.append({"boxes": told, "scores": torch.tensor(scores), "labels": torch.tensor(area > LARGE).long()})
    return found


def scene_of(squares) -> xr.DataTree:
    """A dark image with bright squares (x, y, side) in HR pixels; the later, the brighter."""
    hr = make_image("hr", ROWS * 32, COLUMNS * 32, 1, PIXEL)
    hr.values[:] = 20
    for number, (x, y, side) in enumerate(squares):
        hr.values[..., y : y + side, x : x + side] = 180 + 70 * number / len(squares)
    return build(hr=hr)


def on_every_border() -> list[tuple[int, int, int]]:
    """Squares, apart from each other: inside, on each crossing of borders, and around each border."""
    edges_x, edges_y = (288, 480, 640), (288, 480)
    squares = [(40, 90, 20), (90, 120, 20), (150, 150, 20)]
    squares += [(x - 20, y - 20, 40) for x in edges_x for y in edges_y]
    around = list(enumerate((-9, -1, 0, 1, 12)))
    squares += [(x - 16 + shift, 20 + 50 * n, 31 + n) for x in edges_x for n, shift in around]
    squares += [(20 + 45 * n, y - 16 + shift, 31 + n) for y in edges_y for n, shift in around]
    return [*squares, (0, 0, 9), (COLUMNS * 32 - 9, ROWS * 32 - 30, 9), (700, ROWS * 32 - 12, 12)]
