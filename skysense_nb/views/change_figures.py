"""Two dates of a place, what changed between them, and how sure a model is of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skysense_nb.views.furniture import PALETTE, panels, scale_bar, set_description, show

FOUND, TRUE = {"color": PALETTE[5], "linestyle": "-"}, {"color": PALETTE[4], "linestyle": "--"}
"""Lines around what was found and what truly changed; the dashes tell them apart without colours."""

Rings = Sequence[np.ndarray]
"""Outlines, N 2 each: shares of the width from the left and of the height from the bottom."""


def change_figure(
    before: np.ndarray,
    after: np.ndarray,
    score: np.ndarray,
    threshold: float,
    found: Rings,
    truth: Rings | None = None,
    size_m: tuple[float, float] = (1.0, 1.0),
) -> Figure:
    """Before, after with outlines of change, and the score with the threshold in its scale.

    Args:
        before, after: Colours (y, x, 3).
        score: 0–1 (y, x).
        threshold: Least score of change.
        found: Outlines of what was found, solid.
        truth: Outlines of what truly changed, dashed.
        size_m: Width and height of the ground in metres.

    Example:
        >>> white, ring = np.ones((8, 8, 3)), np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 0]])
        >>> change_figure(white, white, np.eye(8), 0.5, [ring])
        <Figure size 960x355 with 4 Axes>
    """
    figure, axes = panels(3, panel_inches=3.2)
    for ax, title, picture in zip(axes, ("Before", "After", "Score"), (before, after, score), strict=True):
        options = {"cmap": "viridis", "vmin": 0, "vmax": 1} if title == "Score" else {}
        show(ax, picture, size_m, title, **options)
    scale = figure.colorbar(axes[2].images[0], ax=axes[2], label="score of change", shrink=0.8)
    scale.ax.axhline(threshold, color="white", linewidth=2)
    kinds = {"found": (found, FOUND)} | ({"truth": (truth, TRUE)} if truth is not None else {})
    for rings, style in kinds.values():
        outline(axes[1], rings, size_m, style)
        outline(axes[2], rings, size_m, style)
    handles = [Line2D([], [], label=kind, **style) for kind, (_, style) in kinds.items()]
    axes[1].legend(handles=handles, fontsize=7, loc="lower right", framealpha=0.8)
    scale_bar(axes[0], size_m[0])
    told = ", ".join(f"{len(rings)} outlines of {kind}" for kind, (rings, _) in kinds.items())
    words = f"A place before and after, and the score of change. Threshold {threshold:.2f}: {told}."
    return set_description(figure, words)


def outline(ax: Axes, rings: Rings, size_m: tuple[float, float], style: dict) -> None:
    """Draws outlines on axes that count metres from the lower left corner."""
    ax.add_collection(LineCollection([ring * size_m for ring in rings], linewidths=1.4, **style))
