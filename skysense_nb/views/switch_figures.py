"""Answers side by side: with everything, and with a part of it; what was said, how surely, and how far cells moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from skysense_nb.views.furniture import PALETTE, class_colours, legend, panels, set_description, show
from skysense_nb.views.prediction_figures import painted

MOST_BARS = 8
"""Classes that bars are drawn for: the likeliest ones."""

HATCHES = ("", "///", "...")


def answers_figure(
    pictures: Mapping[str, np.ndarray],
    moved: np.ndarray,
    *,
    names: Sequence[str] = (),
    colours: Sequence | None = None,
    bars: Mapping[str, np.ndarray] | None = None,
) -> Figure:
    """Pictures of answers, a map of how far the features of each cell moved, and bars for classes of the whole place.

    Args:
        pictures: Per title class ids (y, x, whole numbers), shares such as a confidence (y, x, 0–1), or colours
            (y, x, 3).
        moved: 1 − cosine similarity per cell (h, w).
        names: Name of class 0, 1, 2 …
        colours: Colour per class; by default a palette.
        bars: Per case a score 0–1 for each class.

    Example:
        >>> answers_figure({"all": np.eye(4, dtype=int)}, np.eye(2), names=["no", "yes"])
        <Figure size 640x355 with 3 Axes>
    """
    below = 0.0 if bars is None else 0.9 + 0.3 * min(MOST_BARS, len(names))
    figure, axes = panels(len(pictures) + 1, columns=6, panel_inches=3.2, below=below)
    palette = class_colours(len(names), colours) if names and bars is None else None
    present: set[int] = set()
    for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
        if picture.ndim == 2 and np.issubdtype(picture.dtype, np.integer):
            present |= set(np.unique(picture).tolist())
            show(ax, painted(picture, palette), (1.0, 1.0), title)
        elif picture.ndim == 2:
            show(ax, picture, (1.0, 1.0), title, cmap="gray", vmin=0, vmax=1)
            figure.colorbar(ax.images[0], ax=ax, location="bottom", shrink=0.8, label="share, 0–1")
        else:
            show(ax, picture, (1.0, 1.0), title)
    shifts = axes[len(pictures)]
    most = max(float(moved.max()), 0.01)
    show(shifts, moved, (1.0, 1.0), "how far cells moved", cmap="viridis", vmin=0, vmax=most)
    bar = {"location": "bottom", "shrink": 0.8, "ticks": [0, most / 2, most], "format": "%.3f"}
    figure.colorbar(shifts.images[0], ax=shifts, label="1 − cosine similarity", **bar)
    if present := sorted(number for number in present if number < len(names)):
        chosen = [palette[number] for number in present]
        place = {"loc": "outside lower center", "bbox_to_anchor": None, "ncols": 6}
        legend(figure, [names[number] for number in present], chosen, **place)
    told = [f"Side by side: {', '.join(pictures)}. Cells moved by {moved.mean():.3f} (1 − cosine) on average."]
    if bars is not None:
        told.append(draw_bars(axes[-1], bars, names))
    return set_description(figure, " ".join(told))


def draw_bars(ax, bars: Mapping[str, np.ndarray], names: Sequence[str]) -> str:
    """Lying bars of the likeliest classes, cases told apart by colour and hatching; returns them in words."""
    highest = np.max(list(bars.values()), axis=0)
    chosen = np.argsort(-highest, kind="stable")[:MOST_BARS]
    height = 0.8 / len(bars)
    for number, (case, scores) in enumerate(bars.items()):
        places = np.arange(len(chosen)) + (number - (len(bars) - 1) / 2) * height
        drawn = ax.barh(
            places, np.asarray(scores)[chosen], height, label=case, color=PALETTE[number],
            hatch=HATCHES[number % len(HATCHES)], edgecolor="white",
        )  # fmt: skip
        ax.bar_label(drawn, fmt="{:.2f}", fontsize=7)
    ax.set_yticks(range(len(chosen)), [names[number] for number in chosen], fontsize=8)
    ax.set(xlim=(0, 1.1), xlabel="score, 0–1")
    ax.invert_yaxis()
    ax.legend(fontsize=8, loc="lower right")
    best = {case: int(np.argmax(scores)) for case, scores in bars.items()}
    return "; ".join(f"{case}: {names[number]} {bars[case][number]:.2f}" for case, number in best.items()) + "."
