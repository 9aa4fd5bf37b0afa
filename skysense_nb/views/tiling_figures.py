"""How a large image is cut into tiles, and how much each tile counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from skysense_nb.views.furniture import PALETTE, panels, set_description, show

Edges = tuple[int, int, int, int]
"""First and last cell that are read, first and last that are kept, the last ones not included."""


def tiling_figure(
    image: np.ndarray, rows: Sequence[Edges], columns: Sequence[Edges], weights: np.ndarray, chosen: tuple[int, int]
) -> Figure:
    """Tiles over an image, one of them with its margin, and how much that one counts where it overlaps others.

    Args:
        image: Colours (y, x, 3), one pixel per cell.
        rows: Of every row of tiles.
        columns: Of every column of tiles.
        weights: Of the kept cells of the chosen tile, 0–1.
        chosen: Row and column of the tile to show.

    Example:
        >>> tiling_figure(np.ones((6, 6, 3)), [(0, 4, 0, 3), (2, 6, 3, 6)], [(0, 6, 0, 6)], np.ones((3, 6)), (0, 0))
        <Figure size 900x485 with 3 Axes>
    """
    figure, axes = panels(2, panel_inches=4.5)
    size = image.shape[1], image.shape[0]
    show(axes[0], image, size, f"{len(rows)} × {len(columns)} tiles")
    (top, bottom, first_row, last_row), (left, right, first_column, last_column) = rows[chosen[0]], columns[chosen[1]]
    for one in rows:
        for other in columns:
            draw(axes[0], size, (one[2], one[3], other[2], other[3]), edgecolor="white", linewidth=0.6)
    read, kept = (top, bottom, left, right), (first_row, last_row, first_column, last_column)
    draw(axes[0], size, read, edgecolor=PALETTE[1], linewidth=2, linestyle="--", label="read by the model")
    draw(axes[0], size, kept, edgecolor=PALETTE[0], linewidth=2, label="kept")
    axes[0].legend(loc="upper right", fontsize=8)
    share = np.zeros((bottom - top, right - left))
    share[first_row - top : last_row - top, first_column - left : last_column - left] = weights
    drawn = axes[1].imshow(share, vmin=0, vmax=1, cmap="viridis", extent=(left, right, bottom, top))
    axes[1].set_title("how much the chosen tile counts", fontsize=10)
    axes[1].set_xlabel("cell"), axes[1].set_ylabel("cell")
    figure.colorbar(drawn, ax=axes[1], shrink=0.8)
    told = f"cells {top} to {bottom} by {left} to {right} are read, {first_row} to {last_row} by {first_column} to "
    return set_description(figure, f"{len(rows)} × {len(columns)} tiles; of one, {told}{last_column} are kept.")


def draw(ax, size: tuple[int, int], edges: Edges, **style: object) -> None:
    """A rectangle from cells counted from the upper left corner."""
    top, bottom, left, right = edges
    ax.add_patch(Rectangle((left, size[1] - bottom), right - left, bottom - top, fill=False, **style))
