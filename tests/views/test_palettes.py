"""Readers with any kind of colour vision can tell the classes of a legend apart, and read a scale from low to high.

Colour blindness is simulated as in Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB. Distances are
CIE 1976, in CIELAB with white D65.
"""

import re
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from repository import PACKAGE

from skysense_nb.data.catalog import entries
from skysense_nb.data.synthetic.classes import CROPS, LAND_COVER, OBJECTS
from skysense_nb.views.furniture import NO_LABEL_GREY, PALETTE

VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
WHITE = np.array([0.95047, 1.0, 1.08883])

APART = 10.0
"""Two patches side by side look different from 2.3 on (Mahy, van Eycken and Oosterlinck 1994). A map is read at a
distance from its legend and in small pieces: four times that, rounded up. Tableau's first ten colours reach 5."""

LEGENDS = {
    "palette": PALETTE,
    "land cover": [one.color for one in LAND_COVER],
    "crops": [one.color for one in CROPS],
    "objects": [one.color for one in OBJECTS],
} | {
    entry.name: [to_hex(np.divide(one.color, 255)) for one in (*entry.classes, *entry.ignored)]
    for entry in entries().values()
    if entry.classes and entry.classes[0].color
}
SCALES = {name for path in PACKAGE.rglob("*.py") for name in re.findall(r'cmap="(\w+)"', path.read_text())}


def seen(colours, vision: str) -> np.ndarray:
    """CIELAB (N, 3) of sRGB colours as an eye of this kind sees them."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(VISIONS[vision]), 0, 1) @ np.transpose(TO_XYZ) / WHITE
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def too_close(colours, vision: str) -> list[tuple[str, str, float]]:
    """Pairs of colours nearer than `APART`, with their distance."""
    pairs = combinations(zip(colours, seen(colours, vision), strict=True), 2)
    gaps = [(one, other, round(float(np.linalg.norm(a - b)), 1)) for (one, a), (other, b) in pairs]
    return [gap for gap in gaps if gap[2] < APART]


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("name", LEGENDS)
def test_classes_of_a_legend_stay_apart(name, vision):
    """The grey of pixels without a label stands beside them in the same legend."""
    assert too_close([*LEGENDS[name], NO_LABEL_GREY], vision) == []


def test_the_catalogue_has_colours_to_look_at():
    assert {"potsdam", "isaid", "dyna_mm", "pastis"} <= set(LEGENDS)


def test_simulation_and_threshold_find_what_is_confused():
    """Published reference values of CIELAB; red and green of equal lightness; tab10, made without this in mind."""
    assert seen(["#FF0000", "#0000FF"], "normal") == pytest.approx(
        np.array([[53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]), abs=0.05
    )
    for vision in VISIONS:
        assert seen(["#808080"], vision)[0, 1:] == pytest.approx(0, abs=0.1), "greys stay grey"
    red, green = "#B03A2E", "#6B7A1F"
    assert too_close([red, green], "normal") == [] != too_close([red, green], "deuteranopia")
    tableau = [to_hex(colour) for colour in matplotlib.colormaps["tab10"].colors]
    assert too_close(tableau, "normal") == [] != too_close(tableau, "deuteranopia")


@pytest.mark.parametrize("name", sorted(SCALES))
def test_scales_rise_in_lightness_for_every_eye(name):
    shades = matplotlib.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    for vision in VISIONS:
        assert (np.diff(seen(shades, vision)[:, 0]) > 0).all(), vision
    rainbow = matplotlib.colormaps["jet"](np.linspace(0, 1, 64))[:, :3]
    assert (np.diff(seen(rainbow, "normal")[:, 0]) < 0).any()
