"""From bands to colours: composites per sensor, stretched alike on every date of a series."""

from __future__ import annotations

import numpy as np
import xarray as xr

from skysense_nb.errors import SceneError
from skysense_nb.views.furniture import PERCENTILES

RECIPES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "true": (("B4", "B3", "B2"), ("R", "G", "B")),
    "false": (("B8", "B4", "B3"), ("NIR", "R", "G")),
    "swir": (("B12", "B8A", "B4"),),
    "sar": (("VV", "VH", "VV − VH"),),
}
"""Bands shown as red, green and blue; the first row whose bands the image has is taken."""

RADAR_SPAN_DB = 20.0
"""A radar channel spans at least this much from dark to bright, so that speckle does not pass for colour."""

MISSING_GREY = 0.8
"""Colour of pixels without a measurement."""

CLOUD_COLOUR = (0.8, 0.475, 0.655)
"""Reddish purple of the Okabe-Ito palette: no ground has it, and it stays apart under colour blindness."""


def composite(
    image: xr.DataArray,
    recipe: str = "true",
    *,
    date: int = 0,
    clear: xr.DataArray | None = None,
    limits: np.ndarray | None = None,
) -> np.ndarray:
    """Colours of one date, stretched by what the whole series shows, so that dates can be compared.

    Args:
        image: Image (time, band, y, x) or (band, y, x) with band names.
        recipe: `true`, `false` (vegetation red), `swir` (burnt and dry ground) or `sar` (VV, VH, VV − VH in dB).
        date: Position of the date in the series.
        clear: True where the ground is seen (time, y, x); clouds then do not decide the stretch.
        limits: Values shown as 0 and 1 (2, 3) from `stretch_limits`, to share them between images.

    Returns:
        (y, x, 3) floats 0–1; pixels without a measurement are light grey.

    Raises:
        SceneError: An unknown recipe, or an image without its bands.

    Example:
        >>> colours = composite(scene["s2"]["image"], "false", date=3)   # doctest: +SKIP
    """
    channels = pick(image, recipe)
    limits = stretch_limits(image, recipe, clear=clear) if limits is None else limits
    shown = np.moveaxis(channels.isel(time=date).values.astype("float64"), 0, -1)  # y x 3
    span = np.maximum(limits[1] - limits[0], 1e-9)
    colours = np.clip((shown - limits[0]) / span, 0, 1)
    colours[~np.isfinite(shown).all(axis=-1)] = MISSING_GREY
    return colours


def stretch_limits(image: xr.DataArray, recipe: str = "true", *, clear: xr.DataArray | None = None) -> np.ndarray:
    """Values shown as 0 and 1 (2, 3): percentiles over all dates and clear pixels.

    The channels of true colour share one pair, so hues stay natural.
    """
    channels = pick(image, recipe)
    values = np.moveaxis(channels.values.astype("float64"), 1, -1)  # T y x 3
    usable = np.isfinite(values).all(axis=-1)
    if clear is not None and (usable & clear.values).any():
        usable &= clear.values
    if not usable.any():
        return np.array([[0.0] * 3, [1.0] * 3])
    limits = np.percentile(values[usable], PERCENTILES, axis=0)  # 2 3
    if recipe == "true":
        return np.stack([np.full(3, limits[0].min()), np.full(3, limits[1].max())])
    if recipe == "sar":
        short = np.maximum(RADAR_SPAN_DB - (limits[1] - limits[0]), 0)
        return limits + np.stack([-short / 2, short / 2])
    return limits


def pick(image: xr.DataArray, recipe: str) -> xr.DataArray:
    """The three channels of a recipe (time, band, y, x)."""
    if recipe not in RECIPES:
        raise SceneError.of(f"a composite among {', '.join(RECIPES)}", repr(recipe), "Choose one of these.")
    image = image.expand_dims("time") if "time" not in image.dims else image
    held = [str(band) for band in image["band"].values] if "band" in image.coords else []
    if recipe == "sar" and {"VV", "VH"} <= set(held):
        vv, vh = (image.sel(band=band, drop=True) for band in ("VV", "VH"))
        return xr.concat([vv, vh, vv - vh], dim="band").transpose("time", "band", "y", "x")
    for bands in RECIPES[recipe]:
        if set(bands) <= set(held):
            return image.sel(band=list(bands)).transpose("time", "band", "y", "x")
    wanted = " or ".join(" ".join(bands) for bands in RECIPES[recipe])
    raise SceneError.of(
        f"bands {wanted} for {recipe!r}", " ".join(held) or "no band names", "Choose another composite."
    )


def cloud_overlay(clear: xr.DataArray | np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Translucent purple (y, x, 4) where the ground is not seen, transparent elsewhere."""
    hidden = ~np.asarray(clear, dtype=bool)
    overlay = np.zeros((*hidden.shape, 4))
    overlay[hidden] = (*CLOUD_COLOUR, opacity)
    return overlay
