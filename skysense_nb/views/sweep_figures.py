"""What a notebook reported over a sweep of its parameters: every run a dot, and the means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skysense_nb.views.charts import LINES
from skysense_nb.views.furniture import PALETTE, panels, set_description

ROOM = 30
"""Letters that fit below a panel side by side."""


def sweep_figure(table: pd.DataFrame, along: str, quantities: Mapping[str, str], apart: Sequence[str] = ()) -> Figure:
    """One panel per quantity over the values of a parameter; pale: single runs, strong: their mean.

    Args:
        table: A row per run, with columns for the parameters and the quantities.
        along: Parameter on the horizontal axis; numbers are drawn to scale, unless None is among them.
        quantities: Columns to draw, with what to write beside the axis.
        apart: Parameters whose combinations get a colour and a line each.

    Example:
        >>> runs = pd.DataFrame({"steps": [10, 20, 10, 20], "seed": [0, 0, 1, 1], "miou": [0.4, 0.5, 0.42, 0.54]})
        >>> sweep_figure(runs, "steps", {"miou": "mIoU"})
        <Figure size 400x335 with 1 Axes>
    """
    figure, axes = panels(len(quantities), columns=3, panel_inches=4.0, title_inches=-0.65)
    groups = dict(list(table.groupby(list(apart), sort=False, dropna=False))) if apart else {(): table}
    told = []
    for ax, (name, words) in zip(axes, quantities.items(), strict=True):
        for number, (values, runs) in enumerate(groups.items()):
            label = ", ".join(f"{key} {named(value)}" for key, value in zip(apart, values, strict=True)) or "mean"
            line = LINES[number % len(LINES)] if is_number(table[along]) else ""
            means = draw_runs(ax, places(table[along])[runs.index], runs[name], number, line, label)
            told.append(f"{words}, {label}: {', '.join(f'{mean:.3g}' for mean in means)}")
        name_places(ax, table[along])
        ax.set_xlabel(along)
        ax.set_ylabel(words)
    axes[0].legend(fontsize=8)
    return set_description(figure, f"Over {along}. {'; '.join(told)}.")


def draw_runs(ax: Axes, x: pd.Series, y: pd.Series, number: int, line: str, label: str) -> pd.Series:
    """Draws the runs of one group as dots and their means as marks on a line; returns the means."""
    colour, means = PALETTE[number % len(PALETTE)], y.groupby(x).mean()
    ax.scatter(x, y, s=22, color=colour, alpha=0.4, linewidths=0)
    marker = "osD^v"[number % 5]
    ax.plot(means.index, means, linestyle=line, color=colour, marker=marker, markersize=6, label=label)
    return means


def places(values: pd.Series) -> pd.Series:
    """Where values lie on the axis: numbers at themselves, everything else in the order it comes."""
    return values if is_number(values) else pd.Series(numbered(values)[0], index=values.index)


def numbered(values: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """For each value its number in the order they come, and the values in that order; None is one of them."""
    return pd.factorize(values, use_na_sentinel=False)


def named(value: Any) -> str:
    """A value as text; what tables take for a missing value is None."""
    return "None" if pd.isna(value) else str(value)


def name_places(ax: Axes, values: pd.Series) -> None:
    """Writes the values below the axis where they are no numbers, and no fractions where all are whole."""
    if not is_number(values):
        names = [named(name) for name in numbered(values)[1]]
        turned = {"rotation": 20, "ha": "right"} if len("".join(names)) > ROOM else {}
        ax.set_xticks(range(len(names)), names, fontsize=8, **turned)
        ax.margins(x=0.15)
    elif pd.api.types.is_integer_dtype(values):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def is_number(values: pd.Series) -> bool:
    """Whether all values are numbers; truth values and None are not."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numeric and not values.hasnans
