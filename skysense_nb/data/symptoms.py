"""What pixel values betray: wrong unit, an offset left in, bands in another order, fill values.

Each check takes values T C H W in (alleged) model order and yields (check, level, seen, expected, next step).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from skysense_nb.sensors import S2, S2_OFFSET, S2_OFFSET_SINCE, SENSORS

Symptom = tuple[str, str, str, str, str]

FILL_VALUES = (-9999.0, -32768.0, 65535.0, -3.4028234663852886e38)
FAR_OFF = 3.0
"""Mean of a band further than this many training standard deviations from the training mean."""

OTHER_S2_ORDERS = {
    "alphabetical": ("B11", "B12", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A"),
    "reversed": S2.bands[::-1],
    "R G B first": ("B4", "B3", "B2", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"),
    "10 m bands first": ("B2", "B3", "B4", "B8", "B5", "B6", "B7", "B8A", "B11", "B12"),
    "R G B NIR first": ("B4", "B3", "B2", "B8", "B5", "B6", "B7", "B8A", "B11", "B12"),
    "B12 before B11": ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B12", "B11"),
}
"""Orders in which files are found; the content tells which one fits."""


BLUE_SOIL = "B2 is brighter than B4 on soil"
"""Seen when B4 B3 B2 stands for B2 B3 B4; rare soils and haze can do it too, so alone it stays a hint."""


BRIGHT_GROUND = 240.0
"""Sum of R G B above which a pixel is hardly open sea."""


def look(
    name: str, values: np.ndarray, dates: np.ndarray | None = None, clear: np.ndarray | None = None
) -> Iterator[Symptom]:
    """Every check on the content of one image.

    Args:
        name: `hr`, `s2` or `s1`.
        values: T C H W.
        dates: Acquisition dates (T_all,), or None.
        clear: True where the ground is seen (T, H, W); clouds would blur what bands say about the ground.
    """
    yield from check_nodata(values)
    values = hide_fill(values)
    if clear is not None and np.isfinite(values[:, 0][clear]).any():
        values = np.where(clear[:, None], values, np.nan)
    if not np.isfinite(values).any():
        yield "values", "error", "no finite value", SENSORS[name].unit, "Read another window or file."
        return
    unit = UNIT_CHECKS[name](values)
    yield unit
    yield from check_constant(name, values)
    if unit[1] != "ok":
        return
    if name == "s2":
        yield check_s2_offset(values, dates)
        yield check_s2_order(values)
    elif name == "s1":
        yield check_s1_order(values)
    else:
        yield check_hr_order(values)
    yield check_range(name, values)


def hide_fill(values: np.ndarray) -> np.ndarray:
    """NaN where a usual fill value stands, where a value is infinite, and where every band is zero."""
    void = ~np.isfinite(values) | np.isin(values.astype("float32"), np.float32(FILL_VALUES))
    return np.where(void | (values == 0).all(axis=1, keepdims=True), np.nan, values)


def check_nodata(values: np.ndarray) -> Iterator[Symptom]:
    """Fill values taken for measurements, and how much of the image is empty."""
    expected = "images without gaps"
    single = values.astype("float32")
    for fill in FILL_VALUES:
        share = np.mean(single == np.float32(fill))
        if share > 0:
            fix = f"Turn it into NaN: image.where(image != {fill:g})."
            yield "nodata", "error", f"{share:.1%} of the values are {fill:g}, a usual fill value", expected, fix
    if np.isinf(values).any():
        fix = "Turn them into NaN: image.where(np.isfinite(image))."
        yield "nodata", "error", f"{np.isinf(values).mean():.1%} infinite values", expected, fix
    empty = np.isnan(values).all(axis=1) | (values == 0).all(axis=1)
    share = empty.mean()
    if share > 0.001:
        level = "note" if share <= 0.05 else "warning"
        fix = "Mark those pixels as not clear, or cut them away."
        yield "nodata", level, f"{share:.1%} of the pixels are NaN or 0 in every band", expected, fix
    elif np.isnan(values).any():
        yield "nodata", "note", f"{np.isnan(values).mean():.1%} NaN", expected, "Mark those pixels as not clear."
    else:
        yield "nodata", "ok", "no gaps", expected, ""


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
    if high <= 2.0:
        fix = "Multiply by 10,000: rasters.from_reflectance(image)."
        return "unit", "error", f"values up to {high:.2g}, so reflectance 0–1", expected, fix
    if high <= 255 and np.nanmin(values) >= 0:
        fix = "Take the digital numbers: a picture stretched to 0–255 has lost them."
        return "unit", "error", f"no value above {high:.0f}, so a picture of 8 bits", expected, fix
    if np.nanpercentile(values, 1) < -1500 or high > 30_000:
        seen = f"values {np.nanpercentile(values, 1):.0f} to {high:.0f}"
        return "unit", "error", seen, expected, "Check the scale factor of the product."
    return "unit", "ok", f"values up to {high:.0f}", expected, ""


def check_s1_unit(values: np.ndarray) -> Symptom:
    """Decibels, not linear power or amplitude."""
    low, middle, high = np.nanpercentile(values, (1, 50, 99.9))
    expected = "backscatter in dB, mostly −30 to 0"
    if low >= 0 and middle < 5:
        fix = "Convert it: rasters.to_db(image), or read(..., convert='to_db')."
        return "unit", "error", f"no negative value, median {middle:.2g}, so linear power", expected, fix
    if low >= 0:
        fix = "Calibrate to sigma nought, then convert to dB."
        return "unit", "error", f"values {low:.0f}–{high:.0f}, so uncalibrated amplitude", expected, fix
    if low < -70 or high > 40:
        return "unit", "error", f"values {low:.0f} to {high:.0f}", expected, "Check the scale factor of the product."
    return "unit", "ok", f"median {middle:.1f} dB", expected, ""


UNIT_CHECKS = {"hr": check_hr_unit, "s2": check_s2_unit, "s1": check_s1_unit}


def check_s2_offset(values: np.ndarray, dates: np.ndarray | None) -> Symptom:
    """The 1,000 that products since January 2022 carry shows in the darkest pixels."""
    expected, lowest = "digital numbers without offset", darkest_values(values)
    seen = f"nothing darker than {lowest:.0f}"
    if not -S2_OFFSET * 0.95 <= lowest <= 1350:
        return "offset", "ok", f"darkest pixels at {lowest:.0f}", expected, ""
    dated = dates is not None and np.issubdtype(dates.dtype, np.datetime64)
    late = dated and (dates >= np.datetime64(S2_OFFSET_SINCE)).any()
    fix = "Undo it: rasters.undo_offset(image). A bright place without shade, water or forest can look the same."
    if late:
        return "offset", "warning", f"{seen}, and dates since {S2_OFFSET_SINCE}", expected, fix
    fix = f"If it is a reprocessed product: rasters.undo_offset(image, since='2015-06-23'). {fix.split('. ')[1]}"
    return "offset", "note", f"{seen}, though the dates are before {S2_OFFSET_SINCE}", expected, fix


def darkest_values(values: np.ndarray) -> float:
    """Half-percent quantile of the darkest band of each pixel, on the darkest date."""
    per_pixel = np.where(np.isnan(values).any(axis=1), np.nan, np.min(values, axis=1))  # T H W
    per_date = [np.nanpercentile(date, 0.5) for date in per_pixel if np.isfinite(date).any()]
    return float(min(per_date)) if per_date else float("nan")


def s2_misfits(values: np.ndarray, order: tuple[str, ...]) -> list[str]:
    """What speaks against the bands of `values` T C H W being in `order`; physical rules for land and water.

    Flat bands are no evidence. Clouds and snow follow the rules too.
    """
    spectra = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)  # C N
    spectra = spectra[:, np.isfinite(spectra).all(axis=0)]
    if spectra.shape[1] < 50:
        return []
    band = {name: spectra[index] for index, name in enumerate(order) if np.ptp(spectra[index]) > 0}
    ndvi = normalised_difference(band, "B8", "B4")
    swir_to_green = band["B11"] / np.maximum(band["B3"], 1) if {"B11", "B3"} <= band.keys() else np.inf
    bright = (np.median(spectra, axis=0) > 500) & (swir_to_green > 0.25)  # no water, however turbid
    green = bright & (ndvi > 0.5)
    soil = bright & (ndvi > 0.1) & (ndvi < 0.5) & (swir_to_green > 1)  # no snow
    rules = (
        ("B4 is brighter than B8 where neither water nor cloud explains it", "B8", "B4", 0.77, bright, 0.2),
        ("B8 and B8A, neighbours in wavelength, differ", "B8", "B8A", 0.75, bright, 0.3),
        ("B8A and B8, neighbours in wavelength, differ", "B8A", "B8", 0.75, bright, 0.3),
        ("B7 is darker than B6 on vegetation", "B7", "B6", 0.95, green, 0.5),
        ("B6 is darker than B5 on vegetation", "B6", "B5", 1.0, green, 0.5),
        ("B12 is brighter than B11 on vegetation", "B11", "B12", 1.0, green, 0.5),
        ("B3 is darker than B2 on vegetation", "B3", "B2", 1.0, green, 0.5),
        (BLUE_SOIL, "B4", "B2", 1.0, soil, 0.5),
    )
    found = []
    for words, high, low, factor, where, most in rules:
        if high in band and low in band and where.sum() >= 50:
            share = np.mean(band[high][where] < factor * band[low][where])
            if share > most:
                found.append(f"{words} ({share:.0%} of the pixels)")
    return found


def normalised_difference(band: dict[str, np.ndarray], first: str, second: str) -> np.ndarray:
    """(first − second) / (first + second), NaN where a band is flat or the sum is not positive."""
    if first not in band or second not in band:
        return np.full(next(iter(band.values())).shape if band else (0,), np.nan)
    total = band[first] + band[second]
    return np.divide(band[first] - band[second], total, out=np.full(total.shape, np.nan), where=total > 0)


def check_s2_order(values: np.ndarray) -> Symptom:
    """Bands whose names are right but whose content is another band's."""
    expected = f"bands in the order {' '.join(S2.bands)}"
    misfits = s2_misfits(values, S2.bands)
    if not misfits:
        return "band content", "ok", "spectra fit the band names", expected, ""
    better = [name for name, order in OTHER_S2_ORDERS.items() if not s2_misfits(values, order)]
    only_hint = all(words.startswith(BLUE_SOIL) for words in misfits)
    level = "note" if only_hint else "error" if better else "warning"
    guess = f"It fits the order {' or '.join(better)}. " if better else ""
    fix = f"{guess}Name the file's bands with read(..., bands=...)."
    return "band content", level, "; ".join(misfits), expected, fix


def check_s1_order(values: np.ndarray) -> Symptom:
    """Cross-polarised backscatter is weaker than co-polarised nearly everywhere."""
    difference = np.nanmedian(values[:, 0] - values[:, 1])
    seen, expected = f"VV {difference:+.1f} dB against VH", "VV 4–10 dB above VH"
    if difference < 0:
        return "band content", "error", seen, expected, "VV and VH are swapped: assign_coords(band=['VH', 'VV'])."
    if difference < 1:
        return "band content", "warning", seen, expected, "Check that the two files are different polarisations."
    return "band content", "ok", seen, expected, ""


def check_hr_order(values: np.ndarray) -> Symptom:
    """Blue above red on bright ground hints at B G R; sea and haze look the same, so it stays a hint."""
    red, green, blue = (values[:, index].ravel() for index in range(3))
    total = red + green + blue
    bright = total > max(np.nanmedian(total), BRIGHT_GROUND)
    bluish = np.mean(blue[bright] > 1.1 * red[bright]) if bright.any() else 0.0
    expected = "bands in the order R G B"
    if bluish > 0.6:
        seen = f"blue above red on {bluish:.0%} of the bright pixels"
        return "band content", "note", seen, expected, "Look at it: if soil is blue, the file is B G R."
    return "band content", "ok", "colours fit the band names", expected, ""


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
