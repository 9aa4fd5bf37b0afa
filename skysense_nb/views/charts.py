"""Charts for what is not a map: shares as heat maps, curves over training, bars side by side."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from skysense_nb.views.furniture import PALETTE, panels, set_description

LINES = ("-", "--", "-.", ":")

ROOM = 60
"""Letters that fit below a panel side by side."""


def share_figure(
    tables: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str], quantity: str
) -> Figure:
    """Shares as heat maps with their numbers, one per title, on one colour scale.

    Args:
        tables: Per title an array (rows, columns) of shares 0–1; NaN is left blank.
        rows, columns: Their names.
        quantity: What a number is.

    Example:
        >>> share_figure({"stage 4": np.eye(2)}, ["water", "road"], ["1", "2"], "share of tokens")
        <Figure size 400x435 with 2 Axes>
    """
    figure, axes = panels(len(tables), columns=3, panel_inches=4.0)
    top = max(float(np.nanmax(table)) for table in tables.values())
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        picture = ax.imshow(table, cmap="viridis", vmin=0, vmax=top, aspect="auto")
        ax.set_xticks(range(len(columns)), columns, fontsize=8, rotation=90 if len("".join(columns)) > ROOM else 0)
        ax.set_yticks(range(len(rows)), rows, fontsize=8)
        ax.set_title(title, fontsize=9)
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                ink = "white" if value < 0.6 * top else "black"
                ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=ink)
    figure.colorbar(picture, ax=axes, label=f"{quantity} (numbers in %)", shrink=0.8)
    return set_description(figure, f"{quantity} for {', '.join(tables)}; highest {top:.0%}.")


def curves_figure(
    charts: Mapping[str, Mapping[str, Sequence[float]]], x_label: str, x: Sequence[float] | None = None
) -> Figure:
    """Curves over training, one chart per quantity, told apart by colour and line.

    Args:
        charts: Per quantity (with unit) its curves by name.
        x_label: What is counted along the curves.
        x: Positions of the values; 1, 2, 3 … if not given.

    Example:
        >>> curves_figure({"cross-entropy": {"run": [3.0, 2.0]}}, "step")
        <Figure size 400x435 with 1 Axes>
    """
    figure, axes = panels(len(charts), columns=3, panel_inches=4.0)
    told = []
    for ax, (quantity, curves) in zip(axes, charts.items(), strict=True):
        for number, (name, values) in enumerate(curves.items()):
            places = range(1, len(values) + 1) if x is None else x
            line = LINES[number // len(PALETTE) % len(LINES)]
            ax.plot(places, values, line, color=PALETTE[number % len(PALETTE)], label=name, linewidth=1.5)
            told.append(f"{quantity}, {name}: {values[0]:.3g} to {values[-1]:.3g}")
        ax.set_xlabel(x_label)
        ax.set_ylabel(quantity)
        ax.legend(fontsize=8)
    return set_description(figure, f"Curves over {x_label}. {'; '.join(told)}.")


def bars_figure(groups: Mapping[str, Mapping[str, float]], quantity: str, limit: float | None = None) -> Figure:
    """Bars side by side: for each group the same cases, with their numbers.

    Args:
        groups: Per group its values by case.
        quantity: What a number is, with unit.
        limit: A reference drawn as a dotted line.

    Example:
        >>> bars_figure({"stage 3": {"with": 0.9, "without": 0.8}}, "accuracy")
        <Figure size 600x300 with 1 Axes>
    """
    figure, (ax,) = panels(min(len(groups), 1))
    figure.set_size_inches(max(6.0, 1.6 * len(groups)), 3.0)
    cases = list(next(iter(groups.values())))
    width = 0.8 / len(cases)
    for number, case in enumerate(cases):
        places = np.arange(len(groups)) + (number - (len(cases) - 1) / 2) * width
        bars = ax.bar(places, [group[case] for group in groups.values()], width, label=case, color=PALETTE[number])
        ax.bar_label(bars, fmt="{:.3g}", fontsize=7)
    if limit is not None:
        ax.axhline(limit, color="0.4", linestyle=":")
    ax.set_xticks(range(len(groups)), [fill(name, 16) for name in groups], fontsize=8)
    ax.set_ylabel(quantity)
    ax.margins(y=0.15)
    if len(cases) > 1:
        ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    told = [f"{name}: {', '.join(f'{case} {value:.3g}' for case, value in v.items())}" for name, v in groups.items()]
    return set_description(figure, f"{quantity}. {'; '.join(told)}.")


def dots_figure(
    rows: Mapping[str, Mapping[str, float]], quantity: str, hollow: Container[tuple[str, str]] = ()
) -> Figure:
    """One line per row with a dot per case: for values that lie close together, or are not all there.

    Args:
        rows: Per row its values by case; cases may be missing.
        quantity: What a number is, with unit.
        hollow: Pairs of row and case whose dots are empty.

    Example:
        >>> dots_figure({"iSAID": {"v1": 70.9, "v2": 71.9}, "DIOR": {"v1": 78.7}}, "score (%)")
        <Figure size 900x142 with 1 Axes>
    """
    figure, (ax,) = panels(1)
    figure.set_size_inches(9.0, 0.9 + 0.26 * len(rows))
    cases = list(dict.fromkeys(case for values in rows.values() for case in values))
    for place, (row, values) in enumerate(rows.items()):
        ax.plot([min(values.values()), max(values.values())], [place, place], color="0.8", zorder=1)
        for case, value in values.items():
            colour = PALETTE[cases.index(case) % len(PALETTE)]
            face = "white" if (row, case) in hollow else colour
            ax.scatter(value, place, s=45, facecolors=face, edgecolors=colour, linewidths=1.5, zorder=2)
    ax.set_yticks(range(len(rows)), list(rows), fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top, whole dots in the outer ones
    ax.set_xlabel(quantity)
    handles = [ax.scatter([], [], color=PALETTE[number % len(PALETTE)]) for number in range(len(cases))]
    ax.legend(handles, cases, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    told = [f"{row}: {', '.join(f'{case} {value:.4g}' for case, value in v.items())}" for row, v in rows.items()]
    return set_description(figure, f"{quantity}. {'; '.join(told)}.")
