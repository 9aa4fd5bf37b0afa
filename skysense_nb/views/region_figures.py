"""Regions of the Earth on an outline of the continents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from skysense_nb.views.furniture import panels, set_description
from skysense_nb.views.maps import LAND_STYLE, Bounds, land

MARGIN_DEGREES = 12.0


def regions_figure(
    values: Mapping[str, Mapping[Bounds, float]], quantity: str, labels: Mapping[Bounds, str] | None = None
) -> Figure:
    """One map per title with a square mark on each region, coloured by a value; marks are larger than the regions.

    Args:
        values: Per title the value of each region by its edges (west, south, east, north) in degrees.
        quantity: What a value is, with unit.
        labels: Words beside a mark.

    Example:
        >>> regions_figure({"here": {(11.0, 48.0, 12.0, 49.0): 0.5}}, "likeness")
        <Figure size 400x435 with 2 Axes>
    """
    figure, axes = panels(len(values), panel_inches=4.0)
    every = np.array([edges for regions in values.values() for edges in regions])
    middle = np.stack([every[:, [0, 2]].mean(1), every[:, [1, 3]].mean(1)], axis=1)
    low, high = middle.min(0) - MARGIN_DEGREES, middle.max(0) + MARGIN_DEGREES
    shades = [value for regions in values.values() for value in regions.values()]
    told = []
    for ax, (title, regions) in zip(axes, values.items(), strict=True):
        ax.add_collection(PolyCollection(rings(), facecolor=LAND_STYLE["fillColor"], edgecolor=LAND_STYLE["color"]))
        x, y = (np.array([(edges[side] + edges[side + 2]) / 2 for edges in regions]) for side in (0, 1))
        marks = ax.scatter(
            x, y, c=list(regions.values()), marker="s", s=60, cmap="viridis", edgecolors="black",
            linewidths=0.5, vmin=min(shades), vmax=max(shades),
        )  # fmt: skip
        for edges, east, north in zip(regions, x, y, strict=True):
            if labels and edges in labels:
                ax.annotate(labels[edges], (east, north), (6, 0), textcoords="offset points", fontsize=7, va="center")
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), facecolor="#dfe8ee")
        ax.set_aspect(1 / np.cos(np.radians((low[1] + high[1]) / 2)))
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("longitude (°)", fontsize=8)
        ax.set_ylabel("latitude (°)", fontsize=8)
        ax.tick_params(labelsize=7)
        told.append(f"{title}: {min(regions.values()):.2f} to {max(regions.values()):.2f}")
    wide = high[0] - low[0] > high[1] - low[1]
    figure.colorbar(marks, ax=axes, label=quantity, shrink=0.8, location="bottom" if wide else "right")
    return set_description(figure, f"{quantity} of regions on a map. {'; '.join(told)}.")


def rings() -> list[np.ndarray]:
    """Outlines of the continents, (lon, lat)."""
    found = []
    for feature in land()["features"]:
        shape = feature["geometry"]
        polygons = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
        found += [np.array(polygon[0]) for polygon in polygons]
    return found
