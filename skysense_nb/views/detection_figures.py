"""One image of a detector's answers, beside precision and recall of its classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from skysense_nb.views.furniture import PALETTE, panels, set_description
from skysense_nb.views.prediction_figures import PredictedBoxes, draw_boxes, explain_lines

DOTS = {"precision": {"marker": "o", "color": PALETTE[0]}, "recall": {"marker": "s", "color": PALETTE[1]}}


def detection_figure(
    title: str, boxes: PredictedBoxes, classes: Mapping[str, tuple[float, float]], inches: float = 4.0
) -> Figure:
    """A picture with its boxes, and a row per class with its precision (disc) and recall (square) over all images.

    Args:
        title: Of the picture.
        boxes: What is drawn on it.
        classes: Precision and recall by name, 0–1; NaN where there is none.
        inches: Side of a panel.

    Example:
        >>> none = np.zeros((0, 4, 2))
        >>> detection_figure("a", PredictedBoxes(np.ones((8, 8, 3)), none, none, none), {"ship": (1.0, 0.5)})
        <Figure size 800x455 with 2 Axes>
    """
    figure, (left, right) = panels(2, panel_inches=inches, title_inches=0.55)
    counts = draw_boxes(left, title, boxes)
    explain_lines(left)
    for row, values in enumerate(classes.values()):
        for (name, style), value in zip(DOTS.items(), values, strict=True):
            right.plot(value, row, linestyle="", label=name if row == 0 else None, **style)
        right.plot(values, (row, row), color="0.8", zorder=0)
    right.set_yticks(range(len(classes)), list(classes), fontsize=8)
    right.set(xlim=(-0.03, 1.03), ylim=(max(len(classes), 1) - 0.5, -0.5), xlabel="precision, recall (0–1)")
    right.set_title("All images", fontsize=9)
    if classes:
        right.legend(fontsize=7, loc="lower left", framealpha=0.8)
    told = "; ".join(f"{name}: precision {words(p)}, recall {words(r)}" for name, (p, r) in classes.items())
    return set_description(figure, f"{title}: {counts}. Over all images: {told or 'no boxes'}.")


def words(share: float) -> str:
    """A share with two digits, or that there is none."""
    return f"{share:.2f}" if np.isfinite(share) else "none"
