"""Bands under the wrong name: what their content says about the order they are really in.

Each check takes values T C H W in (alleged) model order and gives (check, level, seen, expected, next step).
"""

from __future__ import annotations

import numpy as np

from skysense_nb.sensors import S2

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


def check_s2_order(values: np.ndarray) -> tuple[str, str, str, str, str]:
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


def check_s1_order(values: np.ndarray) -> tuple[str, str, str, str, str]:
    """Cross-polarised backscatter is weaker than co-polarised nearly everywhere."""
    difference = np.nanmedian(values[:, 0] - values[:, 1])
    seen, expected = f"VV {difference:+.1f} dB against VH", "VV 4–10 dB above VH"
    if difference < 0:
        return "band content", "error", seen, expected, "VV and VH are swapped: assign_coords(band=['VH', 'VV'])."
    if difference < 1:
        return "band content", "warning", seen, expected, "Check that the two files are different polarisations."
    return "band content", "ok", seen, expected, ""


def check_hr_order(values: np.ndarray) -> tuple[str, str, str, str, str]:
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


ORDER_CHECKS = {"hr": check_hr_order, "s2": check_s2_order, "s1": check_s1_order}
