"""Galleries: pictures side by side, and maps of one quantity beside the picture they belong to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from skysense_nb.views.furniture import panels, set_description, show


def pictures_figure(pictures: Mapping[str, np.ndarray]) -> Figure:
    """Pictures side by side, each as large as the others.

    Args:
        pictures: Per title its colours (y, x, 3).

    Example:
        >>> pictures_figure({"first": np.ones((8, 8, 3)), "second": np.zeros((4, 4, 3))})
        <Figure size 460x265 with 2 Axes>
    """
    figure, axes = panels(len(pictures), columns=6, panel_inches=2.3)
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        show(ax, picture, (1.0, 1.0), title)
    return set_description(figure, f"Pictures side by side: {', '.join(pictures)}.")


def quantity_maps_figure(maps: Mapping[str, np.ndarray], quantity: str, picture: np.ndarray | None = None) -> Figure:
    """Maps of one quantity on one colour scale, beside a picture of the same ground.

    Args:
        maps: Per title an array (h, w).
        quantity: What the numbers are, with unit.
        picture: Colours (y, x, 3) of the ground.

    Example:
        >>> quantity_maps_figure({"water": np.eye(3)}, "cosine", picture=np.ones((9, 9, 3)))
        <Figure size 460x265 with 3 Axes>
    """
    figure, axes = panels(len(maps) + (picture is not None), columns=6, panel_inches=2.3)
    if picture is not None:
        show(axes[0], picture, (1.0, 1.0), "Image")
        axes = axes[1:]
    low, high = (float(pick([pick(one) for one in maps.values()])) for pick in (np.nanmin, np.nanmax))
    for ax, (title, values) in zip(axes, maps.items(), strict=True):
        show(ax, values, (1.0, 1.0), title, cmap="viridis", vmin=low, vmax=high)
    figure.colorbar(axes[0].images[0], ax=axes, label=quantity, shrink=0.8)
    told = ", ".join(f"{title} {float(np.nanmax(values)):.2g}" for title, values in maps.items())
    return set_description(figure, f"Maps of {quantity}; highest: {told}.")
