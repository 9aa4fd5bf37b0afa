"""One place through every sensor: its spectrum on a date, its course over time, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skysense_nb.errors import SceneError
from skysense_nb.views.furniture import PALETTE, set_description, show
from skysense_nb.views.scene_figures import label_dates

MARKERS = ("o", "s", "^", "D")
STAR = {"marker": "*", "markersize": 15, "markerfacecolor": "white", "markeredgecolor": "black", "linestyle": ""}


@dataclass(frozen=True)
class PixelSeries:
    """What one sensor measured at one place.

    Attributes:
        title: Of the sensor.
        unit: Of the values.
        bands: Names.
        times: Acquisition dates, T.
        values: T C, NaN without a measurement.
        clear: Whether the ground was seen, T.
        date: Number of the date whose spectrum is drawn.
        followed: Bands whose course is drawn.
        wavelengths_nm: Per band, or none.
    """

    title: str
    unit: str
    bands: Sequence[str]
    times: np.ndarray
    values: np.ndarray
    clear: np.ndarray
    date: int
    followed: Sequence[str]
    wavelengths_nm: Sequence[float] = ()

    @property
    def day(self) -> str:
        """The date, and whether a cloud hid the place."""
        return f"{pd.Timestamp(self.times[self.date]):%Y-%m-%d}{'' if self.clear[self.date] else ', hidden by cloud'}"

    def words(self) -> str:
        """Sensor, date, values and unit in a line."""
        pairs = zip(self.bands, self.values[self.date], strict=True)
        told = ", ".join(
            f"{band} {value:.4g}" if np.isfinite(value) else f"{band} not measured" for band, value in pairs
        )
        return f"{self.title} ({self.day}): {told} ({self.unit})"


def pixel_figure(
    pixels: Sequence[PixelSeries],
    pictures: Mapping[str, np.ndarray] | None = None,
    place: tuple[float, float] | None = None,
) -> Figure:
    """A row per sensor: the spectrum on one date, and bands over time, hollow where a cloud hid the place.

    Args:
        pixels: One per sensor; may be empty if there are pictures.
        pictures: Colours (y, x, 3) of the ground by title, drawn above.
        place: Where it lies in the pictures: shares of their width from the left and of their height from the top.

    Example:
        >>> days = np.array(["2021-04-01", "2021-05-01"], "datetime64[ns]")
        >>> values, clear = np.array([[-9.0], [-8.0]]), np.array([True, True])
        >>> pixel_figure([PixelSeries("radar", "dB", ["VV"], days, values, clear, date=0, followed=["VV"])])
        <Figure size 650x210 with 2 Axes>
    """
    if not pixels and not pictures:
        raise SceneError.of("a pixel or a picture to draw", "neither", "Choose a sensor or a place.")
    above, below = 3.0 if pictures else 0.0, 2.1 * len(pixels)
    figure = Figure(figsize=(6.5, above + below), layout="constrained")
    heights = [height for height in (above, below) if height]
    parts = list(np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights)))
    if pictures:
        draw_pictures(np.atleast_1d(parts.pop(0).subplots(1, len(pictures))), pictures, place)
    if pixels:
        span = [min(one.times.min() for one in pixels), max(one.times.max() for one in pixels)]
        margin = max((span[1] - span[0]) * 0.04, np.timedelta64(5, "D"))
        for (left, right), one in zip(parts[0].subplots(len(pixels), 2, squeeze=False), pixels, strict=True):
            draw_spectrum(left, one)
            draw_course(right, one)
            right.set_xlim(span[0] - margin, span[1] + margin)
    told = [f"Pictures of {', '.join(pictures)}."] if pictures else []
    return set_description(figure, " ".join([*told, *(f"{one.words()}." for one in pixels)]))


def draw_pictures(axes: Sequence[Axes], pictures: Mapping[str, np.ndarray], place: tuple[float, float] | None) -> None:
    """Pictures side by side, with a star at the place."""
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        show(ax, picture, (1.0, 1.0), title)
        if place is not None:
            ax.plot(place[0], 1 - place[1], **STAR)


def draw_spectrum(ax: Axes, one: PixelSeries) -> None:
    """Values of all bands on the chosen date; over wavelength where that is known."""
    known = len(one.wavelengths_nm) == len(one.bands)
    places = np.asarray(one.wavelengths_nm) if known else np.arange(len(one.bands))
    order, face = places.argsort(), PALETTE[0] if one.clear[one.date] else "none"
    style = {"linestyle": "-" if known else "", "marker": "o", "color": PALETTE[0], "markerfacecolor": face}
    ax.plot(places[order], one.values[one.date][order], **style)
    if known:
        ax.set_xlabel("wavelength, nm", fontsize=8)
    else:
        ax.set_xticks(places, one.bands)
        ax.margins(x=0.3)
    ax.set_ylabel(one.unit, fontsize=7)
    ax.set_title(f"{one.title} · {one.day}", fontsize=8)
    ax.tick_params(labelsize=7)


def draw_course(ax: Axes, one: PixelSeries) -> None:
    """Followed bands over time, with a line at the chosen date."""
    for number, band in enumerate(one.followed):
        values, colour = one.values[:, list(one.bands).index(band)], PALETTE[number % len(PALETTE)]
        seen, marker = one.clear & np.isfinite(values), MARKERS[number % len(MARKERS)]
        ax.plot(one.times[seen], values[seen], "-", marker=marker, markersize=4, color=colour, label=band, linewidth=1)
        hollow = {"marker": marker, "markersize": 4, "markerfacecolor": "none", "linestyle": ""}
        ax.plot(one.times[~one.clear], values[~one.clear], color=colour, **hollow)
    ax.axvline(one.times[one.date], color="0.4", linestyle=":")
    ax.legend(fontsize=6, loc="best", framealpha=0.6)
    ax.set_title("over time" if one.clear.all() else "over time (hollow: hidden by cloud)", fontsize=8)
    ax.tick_params(labelsize=7)
    label_dates(ax, most=6)
