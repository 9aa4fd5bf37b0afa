"""Figures of pre-training views: where they were cut from one place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from skysense_nb.views.furniture import PALETTE, legend, panels, set_description, show


def crops_figure(picture: np.ndarray, boxes: Mapping[str, tuple[int, int, int]], cells: int) -> Figure:
    """Crops of a tile, drawn on its image.

    Args:
        picture: Colours (y, x, 3) of the whole tile.
        boxes: Per crop its first row, first column and side, in ground cells.
        cells: Side of the tile in ground cells.

    Example:
        >>> crops_figure(np.ones((64, 64, 3)), {"first": (0, 0, 2), "second": (1, 1, 3)}, cells=4)
        <Figure size 400x435 with 1 Axes>
    """
    figure, (ax,) = panels(1, panel_inches=4.0)
    show(ax, picture, (float(cells), float(cells)), f"One tile of {cells} × {cells} ground cells")
    colours = [PALETTE[number % len(PALETTE)] for number in range(len(boxes))]
    for (row, column, side), colour in zip(boxes.values(), colours, strict=True):
        corner = (column, cells - row - side)  # the axes count from the lower left
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="white", linewidth=4))
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=2))
    legend(ax, list(boxes), colours)
    told = [f"{name} from row {row}, column {column}, {side} cells" for name, (row, column, side) in boxes.items()]
    return set_description(figure, f"Crops of a tile of {cells} × {cells} ground cells: {'; '.join(told)}.")
