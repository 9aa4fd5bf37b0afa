"""Curves of a run that is being trained: smoothed, with the level that means trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from skysense_nb.views.charts import LINES
from skysense_nb.views.furniture import PALETTE, panels, set_description

Curve = tuple[Sequence[float], Sequence[float]]
"""Steps and values."""


@dataclass(frozen=True)
class Chart:
    """What one panel shows.

    Attributes:
        curves: By name.
        limit: A level drawn as a dotted line; None for none.
        limit_words: What it means.
        dots: Single measurements, joined by thin lines and never smoothed.
        exact: Known without noise, such as a schedule: never smoothed.
    """

    curves: Mapping[str, Curve]
    limit: float | None = None
    limit_words: str = ""
    dots: bool = False
    exact: bool = False


def training_figure(charts: Mapping[str, Chart], smoothing: float = 0.0) -> Figure:
    """One panel per quantity over the steps of a run; pale: as measured, strong: smoothed.

    Args:
        charts: Per quantity (with unit).
        smoothing: 0 (none) to below 1, see `smoothed`.

    Example:
        >>> training_figure({"loss": Chart({"loss": ([1, 2, 3], [3.0, 2.5, 2.0])})}, smoothing=0.5)
        <Figure size 400x335 with 1 Axes>
    """
    figure, axes = panels(len(charts), columns=3, panel_inches=4.0, title_inches=-0.65)
    told = []
    for ax, (quantity, chart) in zip(axes, charts.items(), strict=True):
        for number, (name, (steps, values)) in enumerate(chart.curves.items()):
            colour, line = PALETTE[number % len(PALETTE)], LINES[number % len(LINES)]
            weight = 0.0 if chart.dots or chart.exact else smoothing
            shown = smoothed(values, weight)
            if weight:
                ax.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            ax.plot(
                steps, shown, line, color=colour, label=name, linewidth=0.8 if chart.dots else 1.6,
                marker="osD^v"[number % 5] if chart.dots or len(steps) == 1 else None, markersize=5,
            )  # fmt: skip
            told.append(f"{quantity}, {name}: {shown[0]:.3g} to {shown[-1]:.3g}")
        if chart.limit is not None:
            ax.axhline(chart.limit, color="0.3", linestyle=":", linewidth=1.2)
            ax.text(
                0.99, chart.limit, chart.limit_words, transform=ax.get_yaxis_transform(), ha="right", va="bottom",
                fontsize=8,
            )  # fmt: skip
            ax.set_ylim(bottom=0)
        ax.set_xlabel("step")
        ax.set_ylabel(quantity)
        ax.legend(fontsize=8)
    return set_description(figure, f"Curves of a run. {'; '.join(told)}.")


def smoothed(values: Sequence[float], weight: float) -> np.ndarray:
    """Running mean whose weights fall by the factor `weight` from value to value; gaps and infinities stay gaps.

    Example:
        >>> smoothed([1.0, 3.0], 0.5).round(3).tolist()
        [1.0, 2.333]
    """
    values = np.asarray(values, "float64")
    result, total, count = np.full(len(values), np.nan), 0.0, 0.0
    for number, value in enumerate(values):
        if np.isfinite(value):
            total, count = weight * total + value, weight * count + 1
            result[number] = total / count
    return result
