"""Map furniture: panels in metres with north up, scale bar, legend, palette, and words for every figure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from pyproj import CRS, Geod, Transformer

from skysense_nb.errors import SceneError

PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
    "#332288", "#90CEF0", "#5DD5B8", "#117733", "#999933", "#CFBF6B", "#D66B73", "#882255", "#A13A8D",
)  # fmt: skip
"""Colours that stay apart under colour blindness: Okabe-Ito (8), then Paul Tol's muted scheme (9), moved a little so
that all seventeen do."""

SENSOR_COLOURS = {"hr": PALETTE[1], "s2": PALETTE[2], "s1": PALETTE[0]}
PERCENTILES = (2.0, 98.0)
"""What a picture shows as its darkest and brightest."""

NO_LABEL_GREY = "#DDDDDD"
SHOWN_PIXELS = 1024
"""Longer images are thinned to this many rows and columns before they are drawn."""


def panels(
    count: int, *, columns: int = 4, panel_inches: float = 3.0, title_inches: float = 0.35, below: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` square panels; `below` leaves height in inches for one wide axis at the bottom.

    The figure is closed for pyplot, so a notebook shows it once: as the value of the cell.
    """
    if count < 1:
        raise SceneError.of("something to draw", "nothing", "Pass at least one map, curve or group.")
    columns = min(columns, count)
    rows = -(-count // columns)
    height = rows * (panel_inches + title_inches) + below
    figure = plt.figure(figsize=(columns * panel_inches, height), layout="constrained")
    plt.close(figure)
    ratios = [(height - below) / rows] * rows + [below] * (below > 0)
    grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    axes = [figure.add_subplot(grid[index // columns, index % columns]) for index in range(count)]
    if below:
        axes.append(figure.add_subplot(grid[-1, :]))
    return figure, axes


def show(ax: Axes, picture: np.ndarray, size_m: tuple[float, float], title: str, **options) -> None:
    """Draws a picture (y, x[, 3]) on axes that count metres from the lower left corner, without ticks."""
    width, height = size_m
    options.setdefault("interpolation", "nearest")
    ax.imshow(picture, extent=(0, width, 0, height), **options)
    ax.set_title(title, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])


def ground_size_m(image: xr.DataArray) -> tuple[float, float]:
    """True width and height of an image on the ground in metres, whatever its projection.

    Measured along its middle lines on the WGS 84 ellipsoid; cells count as one metre where there is no CRS.
    """
    rows, columns = image.sizes["y"], image.sizes["x"]
    if "x" not in image.coords or image.rio.crs is None or min(rows, columns) < 2:
        return float(columns), float(rows)
    left, bottom, right, top = image.rio.bounds()
    middle_x, middle_y = (left + right) / 2, (bottom + top) / 2
    to_lonlat = Transformer.from_crs(CRS.from_user_input(image.rio.crs), 4326, always_xy=True)
    lon, lat = to_lonlat.transform([left, right, middle_x, middle_x], [middle_y, middle_y, bottom, top])
    _, _, lengths = Geod(ellps="WGS84").inv([lon[0], lon[2]], [lat[0], lat[2]], [lon[1], lon[3]], [lat[1], lat[3]])
    return float(lengths[0]), float(lengths[1])


def scale_bar(ax: Axes, width_m: float) -> float:
    """Draws a scale bar of a round length near a quarter of the width, and the north arrow; returns the length."""
    length = round_length(width_m / 4)
    words = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    low, high = ax.get_ylim()
    x, y, step = 0.05 * width_m, low + 0.06 * (high - low), 0.025 * (high - low)
    outline = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5}
    ax.plot([x, x + length], [y, y], color="white", linewidth=5, solid_capstyle="butt")
    ax.plot([x, x + length], [y, y], color="black", linewidth=2.5, solid_capstyle="butt")
    ax.text(x, y + step, words, fontsize=8, va="bottom", bbox=outline)
    ax.text(0.96, 0.96, "N ↑", fontsize=8, ha="right", va="top", transform=ax.transAxes, bbox=outline)
    return length


def round_length(about: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is not above `about`."""
    power = 10.0 ** np.floor(np.log10(about))
    return float(max(step * power for step in (1, 2, 5) if step * power <= about * (1 + 1e-9)))


def legend(ax: Axes, names: Sequence[str], colours: Sequence, **options) -> None:
    """Coloured squares with names, outside on the right unless told otherwise."""
    handles = [
        Patch(facecolor=colour, edgecolor="0.4", label=name) for name, colour in zip(names, colours, strict=True)
    ]
    options = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5), "frameon": False, "fontsize": 9, **options}
    ax.legend(handles=handles, **options)


def class_colours(count: int, colours: Sequence | None = None) -> np.ndarray:
    """RGB per class (count, 3): those given, else the palette.

    Raises:
        SceneError: Fewer colours than classes.
    """
    chosen = PALETTE if colours is None else list(colours)
    if count > len(chosen):
        raise SceneError.of(f"{count} colours, one per class", f"{len(chosen)}", "Pass colours=[...] for all classes.")
    return np.array([to_rgb(colour) for colour in chosen[:count]])


def thin(image: xr.DataArray) -> xr.DataArray:
    """Every n-th pixel, so that no side is longer than `SHOWN_PIXELS`."""
    steps = {dim: slice(None, None, -(-image.sizes[dim] // SHOWN_PIXELS)) for dim in ("y", "x")}
    return image.isel(steps)


def set_description(figure: Figure, text: str) -> Figure:
    """Attaches the text that says what a figure shows: it is the figure's label, and goes with it into a notebook."""
    figure.set_label(text)
    figure._repr_mimebundle_ = partial(picture_with_text, text)  # what Jupyter asks a value for before it draws it
    return figure


def picture_with_text(text: str, **_: object) -> tuple[dict, dict]:
    """Data and metadata that Jupyter adds to its own picture of a figure: the alternative text."""
    return {}, {"image/png": {"alt": text}}


def describe(figure: Figure) -> str:
    """What a figure shows, in words, for readers who do not see it; its panel titles if nothing was written.

    Example:
        >>> describe(scene_figure(place))                # doctest: +SKIP
    """
    titles = [ax.get_title().replace("\n", ", ") for ax in figure.axes if ax.get_title()]
    return str(figure.get_label()) or f"{len(titles)} panels: {'; '.join(titles)}."
