"""Figures of maps over a place: classes, features as colours, likeness to a chosen cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from skysense_nb.views.composites import MISSING_GREY, composite
from skysense_nb.views.features import Embedding, pca_rgb, similarity
from skysense_nb.views.furniture import (
    NO_LABEL_GREY,
    class_colours,
    ground_size_m,
    legend,
    panels,
    scale_bar,
    set_description,
    show,
    thin,
)

STAR = {"marker": "*", "markersize": 15, "markerfacecolor": "white", "markeredgecolor": "black", "linestyle": ""}


def label_figure(
    labels: xr.DataArray,
    names: Sequence[str],
    colours: Sequence | None = None,
    *,
    image: np.ndarray | xr.DataArray | None = None,
    title: str = "Classes",
) -> Figure:
    """A class map with legend and area shares, beside the image if one is given.

    Args:
        labels: Class numbers (y, x); numbers without a name are grey and count as not labelled.
        names: Name of class 0, 1, 2 …
        colours: Colour per class; by default a palette for colour-blind readers (17 classes).
        image: Colours (y, x, 3) or an image with bands, drawn beside the map.
        title: Title of the class map.
    """
    palette, numbers = class_colours(len(names), colours), labels.values
    picture = np.full((*numbers.shape, 3), class_colours(1, [NO_LABEL_GREY])[0])
    for number, colour in enumerate(palette):
        picture[numbers == number] = colour
    size = ground_size_m(labels)
    figure, axes = panels(1 + (image is not None), panel_inches=4.0)
    if image is not None:
        show(axes[0], as_colours(image), size, "Image")
    show(axes[-1], picture, size, title)
    scale_bar(axes[0], size[0])
    shares = [float((numbers == number).mean()) for number in range(len(names))]
    present = [number for number, share in enumerate(shares) if share > 0]
    words = [f"{names[number]} · {shares[number]:.1%}" for number in present]
    shown = [palette[number] for number in present]
    if (rest := 1 - sum(shares)) > 1e-9:
        words, shown = [*words, f"not labelled · {rest:.1%}"], [*shown, NO_LABEL_GREY]
    legend(axes[-1], words, shown)
    return set_description(figure, f"{title}: {', '.join(words)} of the area.")


def features_figure(embedding: Embedding, image: np.ndarray | xr.DataArray | None = None) -> Figure:
    """Principal components of an embedding as colours, beside the image: like colours, like features.

    Args:
        embedding: Features (D, h, w), or a `DataArray` (feature, y, x).
        image: Colours (y, x, 3) or an image with bands, drawn beside it.
    """
    size = size_of(embedding)
    figure, axes = panels(1 + (image is not None), panel_inches=4.0)
    if image is not None:
        show(axes[0], as_colours(image), size, "Image")
    depth, rows, columns = embedding.shape
    show(axes[-1], fill_gaps(pca_rgb(embedding)), size, f"Features: {depth} numbers per cell, 3 strongest directions")
    scale_bar(axes[0], size[0])
    return set_description(
        figure, f"{rows} × {columns} cells coloured by their features; cells of one colour look alike to the model."
    )


def similarity_figure(
    embedding: Embedding, row: int, column: int, image: np.ndarray | xr.DataArray | None = None
) -> Figure:
    """How much every cell resembles the starred one, beside the image.

    Args:
        embedding: Features (D, h, w), or a `DataArray` (feature, y, x).
        row: Chosen cell from the top.
        column: Chosen cell from the left.
        image: Colours (y, x, 3) or an image with bands, drawn beside it.
    """
    likeness, size = similarity(embedding, row, column), size_of(embedding)
    rows, columns = likeness.shape
    figure, axes = panels(1 + (image is not None), panel_inches=4.0)
    if image is not None:
        show(axes[0], as_colours(image), size, "Image")
    low = float(likeness.min())
    show(axes[-1], likeness.values, size, f"Likeness to row {row}, column {column}", cmap="viridis", vmin=low, vmax=1)
    figure.colorbar(axes[-1].images[0], ax=axes[-1], label="cosine similarity", shrink=0.8)
    for ax in axes:
        ax.plot((column + 0.5) / columns * size[0], (1 - (row + 0.5) / rows) * size[1], **STAR)
    scale_bar(axes[0], size[0])
    share = float((likeness > 0.9).mean())
    return set_description(
        figure, f"Likeness of every cell to row {row}, column {column}: {share:.0%} of the cells are above 0.9."
    )


def as_colours(image: np.ndarray | xr.DataArray) -> np.ndarray:
    """Colours (y, x, 3) as given, or the true colour (radar: the radar composite) of an image with bands."""
    if not isinstance(image, xr.DataArray) or "band" not in image.dims:
        return np.asarray(image)
    return composite(thin(image), "sar" if "VV" in image["band"].values else "true")


def fill_gaps(colours: np.ndarray) -> np.ndarray:
    """Light grey where a colour is missing."""
    return np.where(np.isfinite(colours), colours, MISSING_GREY)


def size_of(embedding: Embedding) -> tuple[float, float]:
    """Width and height in metres; in cells for a bare array."""
    if isinstance(embedding, xr.DataArray):
        return ground_size_m(embedding)
    return float(embedding.shape[2]), float(embedding.shape[1])
