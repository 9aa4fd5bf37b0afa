"""What pixel values betray: wrong unit, an offset left in, clouds, fill values.

Each check takes values T C H W in (alleged) model order and gives (check, level, seen, expected, next step).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skysense_nb.data.band_orders import ORDER_CHECKS
from skysense_nb.sensors import S2_OFFSET_SINCE, SENSORS

Symptom = tuple[str, str, str, str, str]

FILL_VALUES = (-9999.0, -32768.0, 65535.0, -3.4028234663852886e38)
FAR_OFF = 3.0
"""Mean of a band further than this many training standard deviations from the training mean."""

OFFSET_LEFT_IN = (950.0, 1350.0)
"""Darkest digital number of a date that still carries the 1,000: water, shade or forest, plus a little haze."""

SANDY = 1.25
"""B4 over B2 above which the darkest ground is bare: dry sand, as dark as water with the offset."""

CLOUDY = 0.2
"""Cloud share above which the published product search of SkySense++ left a Sentinel-2 product out."""

FEWEST_CLEAR = 0.3
"""Clear fraction below which a sample leaves a date out, unless told otherwise."""


def look(
    name: str,
    values: np.ndarray,
    dates: np.ndarray | None = None,
    clear: np.ndarray | None = None,
    nodata: float | None = None,
) -> Iterator[Symptom]:
    """Every check on the content of one image.

    Args:
        name: `hr`, `s2` or `s1`.
        values: T C H W.
        dates: Acquisition date of each image (T,), or None.
        clear: True where the ground is seen (T, H, W); clouds would blur what bands say about the ground.
        nodata: Number that the file declares to mean "no measurement".
    """
    yield from check_fill(values, nodata)
    values = hide_fill(values, nodata)
    yield from check_gaps(values)
    ground = on_ground(values, clear)
    if not np.isfinite(ground).any():
        yield "values", "error", "no finite value", SENSORS[name].unit, "Read another window or file."
        return
    unit = UNIT_CHECKS[name](ground)
    yield unit
    yield from check_constant(name, ground)
    if name != "s1" and (clear is not None or (name == "s2" and unit[1] == "ok")):
        yield check_clouds(name, values, clear)
    if unit[1] != "ok":
        return
    if name == "s2":
        yield check_s2_offset(ground, dates)
    yield ORDER_CHECKS[name](ground)
    yield check_range(name, ground)


def is_fill(values: np.ndarray, nodata: float | None = None) -> np.ndarray:
    """Where no measurement can be meant: a usual fill value, infinity, or every band at the declared number.

    A declared zero is left to the gaps, which count pixels that are zero in every band anyway.
    """
    void = np.isinf(values) | np.isin(values.astype("float32"), np.float32(FILL_VALUES))
    if not nodata or np.isnan(nodata):
        return void
    return void | (values == nodata).all(axis=1, keepdims=True)


def hide_fill(values: np.ndarray, nodata: float | None = None) -> np.ndarray:
    """NaN where a fill value stands, and where every band is zero."""
    return np.where(is_fill(values, nodata) | (values == 0).all(axis=1, keepdims=True), np.nan, values)


def on_ground(values: np.ndarray, clear: np.ndarray | None) -> np.ndarray:
    """NaN where clouds hide the ground, unless that would leave nothing."""
    if clear is None or not np.isfinite(values[:, 0][clear]).any():
        return values
    return np.where(clear[:, None], values, np.nan)


def check_fill(values: np.ndarray, nodata: float | None) -> Iterator[Symptom]:
    """Numbers that stand for "no measurement" and would be taken for one."""
    expected, void = "NaN where nothing was measured", is_fill(values, nodata)
    if not void.any():
        yield "fill values", "ok", "none", expected, ""
        return
    found = [f"{fill:g}" for fill in np.unique(values[void])]
    listed = f"{', '.join(found[:3])}{' and more' * (len(found) > 3)}"
    fix = "Turn them into NaN: data.mending.mend(scene), or image.where(image != …)."
    yield "fill values", "error", f"{void.mean():.1%} of the values are {listed}", expected, fix


def check_gaps(values: np.ndarray) -> Iterator[Symptom]:
    """How much of the image is empty, and dates that hold nothing."""
    expected, empty = "images without gaps", np.isnan(values).all(axis=1)  # T H W
    blank = empty.all(axis=(1, 2))
    if blank.any() and not blank.all():
        fix = "Drop them: data.mending.mend(scene)."
        yield "empty dates", "note", f"{blank.sum()} of {len(blank)} hold no measurement", "measured dates", fix
    share = empty.mean()
    if share > 0.001:
        level = "note" if share <= 0.05 else "warning"
        fix = "Mark those pixels as not clear, or cut them away."
        yield "nodata", level, f"{share:.1%} of the pixels are NaN or 0 in every band", expected, fix
    elif np.isnan(values).any():
        yield "nodata", "note", f"{np.isnan(values).mean():.1%} NaN", expected, "Mark those pixels as not clear."
    else:
        yield "nodata", "ok", "no gaps", expected, ""


def check_clouds(name: str, values: np.ndarray, clear: np.ndarray | None) -> Symptom:
    """Cloudy dates: by the scene's mask, else, for Sentinel-2, by what is bright, white and no snow."""
    expected = f"{'products' if name == 's2' else 'images'} with less than {CLOUDY:.0%} cloud"
    hidden = looks_cloudy(values) if clear is None else 1 - clear.mean(axis=(1, 2))  # T
    cloudy, count = hidden > CLOUDY, len(hidden)
    if clear is None:
        seen = f"no mask; {cloudy.sum()} of {count} dates look more than {CLOUDY:.0%} cloudy"
        fix = "Pass clear={'s2': …} to build, so that samples leave such dates out."
        return "clouds", "note" if cloudy.any() else "ok", seen, expected, fix if cloudy.any() else ""
    if (hidden > 1 - FEWEST_CLEAR).all():
        seen, fix = f"no date is {FEWEST_CLEAR:.0%} clear", "Samples will leave every date out: find clearer ones."
        return "clouds", "warning", seen, expected, fix
    seen = f"{cloudy.sum()} of {count} dates more than {CLOUDY:.0%} cloudy"
    fix = f"Samples leave out dates less than {FEWEST_CLEAR:.0%} clear; clouds inside the others stay."
    return "clouds", "note" if cloudy.any() else "ok", seen, expected, fix if cloudy.any() else ""


def looks_cloudy(values: np.ndarray) -> np.ndarray:
    """Share of each Sentinel-2 date (T,) that is bright, white and no snow: thick clouds, sometimes roofs."""
    blue, red, swir = values[:, 0], values[:, 2], values[:, 8]
    cloud = (blue > 2500) & (np.abs(blue - red) < 0.25 * red) & (swir > 1500)
    return cloud.mean(axis=(1, 2))


def check_constant(name: str, values: np.ndarray) -> Iterator[Symptom]:
    """Bands with one value everywhere: filled, not measured."""
    spread = np.nanmax(values, axis=(0, 2, 3)) - np.nanmin(values, axis=(0, 2, 3))
    flat = [band for band, width in zip(SENSORS[name].bands, spread, strict=False) if width == 0]
    if flat:
        seen = f"{' '.join(flat)} hold one value everywhere"
        yield "measured", "warning", seen, "measured bands", "Expect weaker features, or find a product that has them."


def check_hr_unit(values: np.ndarray) -> Symptom:
    """Display values 0–255."""
    high, expected = np.nanpercentile(values, 99.9), "display values 0–255"
    if np.nanmin(values) < 0:
        return "unit", "error", f"values down to {np.nanmin(values):.3g}", expected, "Stretch the image to 0–255 first."
    if high <= 1.0:
        return "unit", "error", f"values 0–{high:.2g}", expected, "Multiply by 255."
    if high > 255:
        fix = "Stretch to 0–255 first: the file holds sensor counts, not display values."
        return "unit", "error", f"values up to {high:.0f}", expected, fix
    return "unit", "ok", f"values {np.nanmin(values):.0f}–{np.nanmax(values):.0f}", expected, ""


def check_s2_unit(values: np.ndarray) -> Symptom:
    """Surface reflectance × 10,000."""
    high, expected = np.nanpercentile(values, 99.9), "surface reflectance × 10,000"
    if is_reflectance(values):
        fix = "Multiply by 10,000: rasters.from_reflectance(image)."
        return "unit", "error", f"values up to {high:.2g}, so reflectance 0–1", expected, fix
    if high <= 255 and np.nanmin(values) >= 0:
        fix = "Take the digital numbers: a picture stretched to 0–255 has lost them."
        return "unit", "error", f"no value above {high:.0f}, so a picture of 8 bits", expected, fix
    if np.nanpercentile(values, 1) < -1500 or high > 30_000:
        seen = f"values {np.nanpercentile(values, 1):.0f} to {high:.0f}"
        return "unit", "error", seen, expected, "Check the scale factor of the product."
    return "unit", "ok", f"values up to {high:.0f}", expected, ""


def is_reflectance(values: np.ndarray) -> bool:
    """Whether Sentinel-2 values are reflectance 0–1 (a little above on snow and glint), not digital numbers."""
    return bool(np.nanpercentile(values, 99.9) <= 2.0)


def check_s1_unit(values: np.ndarray) -> Symptom:
    """Decibels, not linear power or amplitude."""
    low, middle, high = np.nanpercentile(values, (1, 50, 99.9))
    expected, scale = "backscatter in dB, mostly −30 to 0", s1_scale(values)
    if scale == "power":
        fix = "Convert it: rasters.to_db(image), or read(..., convert='to_db')."
        return "unit", "error", f"no negative value, median {middle:.2g}, so linear power", expected, fix
    if scale == "power or amplitude":
        fix = "Look it up: power becomes dB with rasters.to_db(image), amplitude with rasters.to_db(image**2)."
        return "unit", "error", f"no negative value, median {middle:.2g}, so power or amplitude", expected, fix
    if scale == "amplitude":
        fix = "Calibrate to sigma nought, then convert to dB."
        return "unit", "error", f"values {low:.0f}–{high:.0f}, so uncalibrated amplitude", expected, fix
    if low < -70 or high > 40:
        return "unit", "error", f"values {low:.0f} to {high:.0f}", expected, "Check the scale factor of the product."
    return "unit", "ok", f"median {middle:.1f} dB", expected, ""


def s1_scale(values: np.ndarray) -> str:
    """`dB`, `power`, `amplitude` (counts), or `power or amplitude` where the square would fit the training better."""
    if np.nanpercentile(values, 1) < 0:
        return "dB"
    if np.nanmedian(values) >= 5:
        return "amplitude"
    off = np.zeros(2)  # from the training statistics, as power and as amplitude
    for band, mean, std in zip(np.moveaxis(values, 1, 0), SENSORS["s1"].mean, SENSORS["s1"].std, strict=True):
        if (band > 0).any():
            off += np.abs(np.log10(np.median(band[band > 0])) * np.array([10, 20]) - mean) / std
    return "power or amplitude" if off[1] < off[0] else "power"


UNIT_CHECKS = {"hr": check_hr_unit, "s2": check_s2_unit, "s1": check_s1_unit}


def check_s2_offset(values: np.ndarray, dates: np.ndarray | None) -> Symptom:
    """The 1,000 that products since January 2022 carry shows in the darkest pixels, judged apart before and since."""
    expected, low = "digital numbers without offset", darkest_values(values)
    dated = dates is not None and np.issubdtype(dates.dtype, np.datetime64)
    late = dates >= np.datetime64(S2_OFFSET_SINCE) if dated else np.zeros(len(low), bool)
    since, before = (np.nanmin(low[when], initial=np.inf) for when in (late, ~late))
    doubt = "A bright place without shade, water or forest can look the same."
    fix = "Undo it: rasters.undo_offset(image)."
    if OFFSET_LEFT_IN[0] <= since <= OFFSET_LEFT_IN[1]:
        seen = f"nothing darker than {since:.0f} on dates since {S2_OFFSET_SINCE}"
        if is_sandy(values[late]):
            return "offset", "note", f"{seen}, but that ground looks like sand", expected, f"If it is not: {fix}"
        return "offset", "warning", seen, expected, f"{fix} {doubt}"
    if OFFSET_LEFT_IN[0] <= before <= OFFSET_LEFT_IN[1]:
        when = f"though the dates are before {S2_OFFSET_SINCE}" if dated else "and no date to tell why"
        fix = f"If it is a reprocessed product: rasters.undo_offset(image, since='2015-06-23'). {doubt}"
        return "offset", "note", f"nothing darker than {before:.0f}, {when}", expected, fix
    lowest = min(since, before)
    seen = f"darkest pixels at {lowest:.0f}" if np.isfinite(lowest) else "no pixel has every band"
    return "offset", "ok", seen, expected, ""


def darkest_values(values: np.ndarray) -> np.ndarray:
    """Half-percent quantile of the darkest band of each pixel, per date (T,); NaN where a date holds nothing."""
    per_pixel = np.min(values, axis=1)  # T H W, NaN where a band is missing
    return np.array([np.nanpercentile(date, 0.5) if np.isfinite(date).any() else np.nan for date in per_pixel])


def is_sandy(values: np.ndarray) -> bool:
    """Whether the darkest ground is much redder than blue, as bare soil is and water, shade and forest are not."""
    per_pixel = np.min(values, axis=1)
    dark = per_pixel <= np.nanpercentile(per_pixel, 2)
    return bool(np.median(values[:, 2][dark] / values[:, 0][dark]) > SANDY)


def check_range(name: str, values: np.ndarray) -> Symptom:
    """Band means against the training statistics, in training standard deviations."""
    sensor = SENSORS[name]
    bands = len(sensor.bands)
    mean = np.nanmean(values[:, :bands], axis=(0, 2, 3)) / sensor.divisor
    distance = (mean - np.array(sensor.mean)) / np.array(sensor.std)
    worst = int(np.nanargmax(np.abs(distance)))
    seen = f"mean of {sensor.bands[worst]} {distance[worst]:+.1f} standard deviations from the training mean"
    if abs(distance[worst]) > FAR_OFF:
        return "range", "warning", seen, "means within 3", "Snow and thick cloud can do this; else check the unit."
    return "range", "ok", seen, "means within 3", ""
