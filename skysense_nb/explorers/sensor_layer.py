"""One sensor of a scene as an explorer shows it: its controls, its pictures, its pixels."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pandas as pd
import xarray as xr

from skysense_nb.sensors import SENSORS
from skysense_nb.views import PixelSeries, composite, stretch_limits
from skysense_nb.views.composites import RECIPES
from skysense_nb.views.furniture import thin

WORDS = {
    "true": "true colour",
    "false": "false colour, plants red",
    "swir": "short-wave infrared",
    "sar": "radar: VV, VH, VV − VH",
}
"""What readers call the composites."""


class SensorLayer:
    """One sensor of a scene: its controls, and what of it is drawn.

    Args:
        name: `hr`, `s2` or `s1`.
        node: Its images.
        visible: Whether it is shown at first.
    """

    def __init__(self, name: str, node: xr.Dataset, visible: bool) -> None:
        self.name, self.node, self.title = name, node, SENSORS[name].title
        self.times, self.clear = node["time"].values, node.get("clear")
        self.bands = [str(band) for band in node["band"].values]
        self.image = thin(node["image"])
        self.veil = None if self.clear is None else thin(self.clear)
        self.limits: dict[str, np.ndarray] = {}
        self.drawn: tuple[int, str] | None = None
        short = {"description_width": "initial"}

        def wide(pixels: int) -> widgets.Layout:
            return widgets.Layout(width=f"{pixels}px", flex="0 0 auto")

        offered = [(WORDS[recipe], recipe) for recipe in RECIPES if shown_bands(recipe, self.bands)]
        self.on = widgets.Checkbox(visible, description=self.title, indent=False, layout=wide(175))
        self.recipe = widgets.Dropdown(options=offered, description="Colours", layout=wide(220), style=short)
        self.opacity = widgets.FloatSlider(1.0, min=0, max=1, step=0.1, description="Opacity", layout=wide(190))
        self.opacity.continuous_update, self.opacity.readout_format, self.opacity.style = False, ".1f", short
        self.told = widgets.HTML(layout=wide(165))
        self.row = widgets.HBox([self.on, self.recipe, self.opacity, self.told])

    def nearest(self, date: np.datetime64) -> int:
        """Number of the image nearest to a date."""
        return int(np.abs(self.times - date).argmin())

    def picture(self, number: int) -> np.ndarray:
        """Colours (y, x, 3) of one date, stretched as all dates of its composite are."""
        recipe = self.recipe.value
        if recipe not in self.limits:
            self.limits[recipe] = stretch_limits(self.image, recipe, clear=self.veil)
        return composite(self.image, recipe, date=number, limits=self.limits[recipe])

    def words(self, number: int) -> str:
        """The date of one image, and how much of it is clear."""
        seen = "" if self.clear is None else f", {float(self.clear[number].mean()):.0%} clear"
        return f"{pd.Timestamp(self.times[number]):%Y-%m-%d}{seen}"

    def pixel(self, x: float, y: float, number: int) -> PixelSeries:
        """What was measured at a place of the scene's CRS, on all dates."""
        at = self.node.sel(x=x, y=y, method="nearest")
        clear = np.ones(len(self.times), bool) if self.clear is None else at["clear"].values
        sensor, values = SENSORS[self.name], at["image"].transpose("time", "band").values.astype("float64")
        followed = shown_bands(self.recipe.value, self.bands)
        nm = sensor.wavelengths_nm
        return PixelSeries(self.title, sensor.unit, self.bands, self.times, values, clear, number, followed, nm)


def shown_bands(recipe: str, bands: list[str]) -> list[str]:
    """Measured bands of a composite; none if an image with these bands cannot show it.

    Example:
        >>> shown_bands("false", ["R", "G", "B", "NIR"])
        ['NIR', 'R', 'G']
    """
    for row in RECIPES[recipe]:
        wanted = [band for band in row if "−" not in band]
        if set(wanted) <= set(bands):
            return wanted
    return []
