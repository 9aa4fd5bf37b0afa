"""Speed in pictures: parts of a model below the limits of a machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from skysense_nb.views.charts import LINES
from skysense_nb.views.furniture import PALETTE, panels, set_description

MARKERS = "osD^vP*X"


def roofline_figure(points: pd.DataFrame, roofs: Mapping[str, float], memory_gb_per_s: float) -> Figure:
    """Operations per byte against operations per second, both on logarithmic axes: a roofline.

    Args:
        points: A row per part and form with `part`, `form`, `precision`, `flop_per_byte`, `gflop_per_s`.
        roofs: GFLOP/s of a large product, by name.
        memory_gb_per_s: What can be read and written in a second.

    Example:
        >>> columns = ["part", "form", "precision", "flop_per_byte", "gflop_per_s"]
        >>> point = pd.DataFrame([("fusion", "plain form", "fp32", 100.0, 80.0)], columns=columns)
        >>> roofline_figure(point, {"fp32": 200.0}, 10.0)
        <Figure size 900x500 with 1 Axes>
    """
    figure, (ax,) = panels(1)
    figure.set_size_inches(9.0, 5.0)
    ax.set(xscale="log", yscale="log", xlabel="operations per byte that has to be moved", ylabel="GFLOP/s")
    draw_roofs(ax, points["flop_per_byte"], roofs, memory_gb_per_s)
    draw_points(ax, points)
    limits = ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in roofs.items())
    told = [f"{one.part}, {one.form}, {one.precision}: {one.gflop_per_s:.0f}" for one in points.itertuples()]
    return set_description(
        figure, f"Roofline: limits {limits}, memory {memory_gb_per_s:.3g} GB/s. GFLOP/s of {'; '.join(told)}."
    )


def draw_points(ax: Axes, points: pd.DataFrame) -> None:
    """A colour per form, a mark per part, and a pale line between the forms of a part."""
    names = points["form"] + ", " + points["precision"]
    colours = dict(zip(names.unique(), PALETTE, strict=False))
    marks = dict(zip(points["part"].unique(), MARKERS, strict=False))
    for part, rows in points.groupby("part", sort=False):
        x, y = rows["flop_per_byte"], rows["gflop_per_s"]
        ax.plot(x, y, color="0.8", linewidth=1, zorder=1)
        for name, *place in zip(names[rows.index], x, y, strict=True):
            ax.scatter(
                *place, marker=marks[part], s=55, color=colours[name], edgecolors="white", linewidths=0.5, zorder=3
            )
    told = [(name, colour, "o") for name, colour in colours.items()] + [
        (part, "0.4", mark) for part, mark in marks.items()
    ]
    handles = [Line2D([], [], color=colour, marker=mark, linestyle="", label=name) for name, colour, mark in told]
    ax.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def draw_roofs(ax: Axes, intensities: pd.Series, roofs: Mapping[str, float], memory_gb_per_s: float) -> None:
    """The slope of the memory, and a level for each product from where it meets that slope."""
    left, right = min(1.0, intensities.min() / 2), intensities.max() * 3
    top = max(roofs.values()) / memory_gb_per_s
    slope = np.array([left, top])
    ax.plot(slope, slope * memory_gb_per_s, color="0.3", linewidth=1.5)
    middle = np.sqrt(left * top)
    ax.text(
        middle, 1.05 * middle * memory_gb_per_s, f"memory, {memory_gb_per_s:.0f} GB/s", ha="center", va="bottom",
        rotation=np.degrees(np.arctan(memory_gb_per_s)), rotation_mode="anchor", transform_rotates_text=True,
        fontsize=8, color="0.3",
    )  # fmt: skip
    for number, (name, rate) in enumerate(roofs.items()):
        ax.plot([rate / memory_gb_per_s, right], [rate, rate], LINES[number % len(LINES)], color="0.3", linewidth=1.5)
        ax.annotate(
            f"{name}, {rate:.0f}", (right, rate), xytext=(0, 3), textcoords="offset points",
            ha="right", fontsize=8, color="0.3",
        )  # fmt: skip
    ax.set_xlim(left, right)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
