"""Surfaces: what the ground is made of, as seen by ten Sentinel-2 bands and by Sentinel-1.

Reflectances are typical values for the material, rounded, B2 B3 B4 B5 B6 B7 B8 B8A B11 B12. Living surfaces name a
`Growth`; their reflectance and backscatter follow the year in `phenology`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skysense_nb.data.synthetic.phenology import Growth

LEAF = (0.021, 0.058, 0.03, 0.085, 0.29, 0.37, 0.40, 0.42, 0.19, 0.09)
BROAD_LEAF = (0.015, 0.044, 0.025, 0.073, 0.245, 0.315, 0.34, 0.36, 0.165, 0.07)
NEEDLE = (0.013, 0.029, 0.018, 0.047, 0.125, 0.155, 0.17, 0.185, 0.08, 0.036)
OLIVE = (0.028, 0.054, 0.046, 0.085, 0.18, 0.215, 0.235, 0.25, 0.2, 0.12)
STRAW = (0.085, 0.125, 0.175, 0.205, 0.235, 0.255, 0.275, 0.29, 0.36, 0.27)
TWIGS = (0.045, 0.062, 0.078, 0.1, 0.13, 0.15, 0.165, 0.18, 0.2, 0.13)
DARK_SOIL = (0.045, 0.066, 0.092, 0.115, 0.13, 0.143, 0.155, 0.17, 0.225, 0.19)
RED_SOIL = (0.055, 0.092, 0.17, 0.2, 0.22, 0.24, 0.26, 0.275, 0.33, 0.28)
PALE_SOIL = (0.14, 0.205, 0.27, 0.3, 0.315, 0.33, 0.345, 0.36, 0.45, 0.41)
FLOOD = (0.05, 0.06, 0.055, 0.05, 0.04, 0.038, 0.035, 0.032, 0.015, 0.01)
RAPE_FLOWER = (0.06, 0.19, 0.17, 0.22, 0.33, 0.37, 0.39, 0.41, 0.24, 0.13)
SUNFLOWER_HEAD = (0.035, 0.12, 0.14, 0.18, 0.29, 0.34, 0.37, 0.39, 0.25, 0.14)


@dataclass(frozen=True)
class Surface:
    """One material.

    Attributes:
        name: Identifier.
        optical: Reflectance 0–1 in ten bands; for living surfaces the leaf.
        radar_db: VV and VH backscatter at mid swath; for living surfaces at full canopy.
        growth: Course of the year for living surfaces.
        spread: Relative spread of brightness from one instance to the next.
        litter: Reflectance of dead or bare plants, living surfaces only.
    """

    name: str
    optical: tuple[float, ...]
    radar_db: tuple[float, float]
    growth: Growth | None = None
    spread: float = 0.08
    litter: tuple[float, ...] = STRAW


def flat(name: str, visible: tuple[float, float, float], infrared: tuple[float, float, float],
         radar_db: tuple[float, float], spread: float = 0.1) -> Surface:  # fmt: skip
    """A dead surface from blue, green, red and from near, B11 and B12 infrared; the red edge is interpolated."""
    blue, green, red = visible
    near, short, far = infrared
    edge = [red + (near - red) * t for t in (0.3, 0.6, 0.85, 1.0, 1.02)]
    return Surface(name, (blue, green, red, *edge, short, far), radar_db, None, spread)


MEADOW = Growth(0.42, 95, 0.07, 310, 0.04, 0.85, cuts=(155, 220))
STEPPE = Growth(0.15, 90, 0.06, 200, 0.05, 0.6, dry=0.6)
SCRUB = Growth(0.45, 100, 0.05, 300, 0.04, 0.65)
LEAVES = Growth(0.06, 118, 0.11, 298, 0.07, 0.93)
EVERGREEN = Growth(0.88, 120, 0.05, 290, 0.05, 0.95)
GARDENS = Growth(0.5, 100, 0.06, 305, 0.05, 0.78)
TURF = Growth(0.7, 95, 0.07, 310, 0.05, 0.92)
REGROWTH = Growth(0.08, 120, 0.05, 280, 0.05, 0.4, dry=0.4)
FRUIT = Growth(0.16, 112, 0.1, 300, 0.07, 0.85)
VINES = Growth(0.1, 125, 0.08, 290, 0.07, 0.55)

SURFACES = (
    flat("sea", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (-16.0, -25.5), 0.0),  # coloured by depth in `spectra`
    flat("river", (0.036, 0.052, 0.042), (0.022, 0.01, 0.008), (-18.5, -26.5), 0.04),
    flat("pool", (0.16, 0.17, 0.07), (0.03, 0.02, 0.02), (-15.0, -24.0)),
    flat("sand", (0.2, 0.26, 0.31), (0.38, 0.44, 0.4), (-16.5, -25.0), 0.05),
    flat("rock", (0.17, 0.2, 0.225), (0.26, 0.3, 0.28), (-10.5, -19.0), 0.1),
    Surface("soil", DARK_SOIL, (-12.0, -20.5), None, 0.1),
    Surface("crop", LEAF, (-10.0, -15.5), MEADOW, 0.05),  # its growth is that of the crop
    Surface("meadow", LEAF, (-11.5, -18.0), MEADOW, 0.08),
    Surface("steppe", OLIVE, (-12.5, -19.5), STEPPE, 0.08),
    Surface("shrub", OLIVE, (-10.5, -16.5), SCRUB, 0.08, TWIGS),
    Surface("broadleaf", BROAD_LEAF, (-8.8, -13.8), LEAVES, 0.06, TWIGS),
    Surface("evergreen", BROAD_LEAF, (-8.6, -13.4), EVERGREEN, 0.06, TWIGS),
    Surface("conifer", NEEDLE, (-9.4, -14.6), EVERGREEN, 0.06, TWIGS),
    Surface("orchard", BROAD_LEAF, (-8.9, -14.0), LEAVES, 0.06, TWIGS),
    Surface("vines", LEAF, (-10.5, -16.8), VINES, 0.08, TWIGS),
    Surface("garden", LEAF, (-9.5, -15.5), GARDENS, 0.12),
    Surface("turf", LEAF, (-12.0, -19.0), TURF, 0.05),
    Surface("cleared", OLIVE, (-11.0, -17.5), REGROWTH, 0.08, TWIGS),
    flat("dirt", (0.12, 0.16, 0.2), (0.27, 0.34, 0.31), (-13.0, -21.5), 0.08),
    flat("asphalt", (0.075, 0.082, 0.088), (0.11, 0.13, 0.12), (-16.0, -24.0), 0.07),
    flat("concrete", (0.15, 0.17, 0.185), (0.22, 0.25, 0.23), (-13.0, -21.0), 0.08),
    flat("tile roof", (0.075, 0.115, 0.215), (0.27, 0.31, 0.27), (-4.5, -12.5), 0.16),
    flat("slate roof", (0.066, 0.073, 0.082), (0.11, 0.13, 0.12), (-4.5, -12.5), 0.18),
    flat("flat roof", (0.155, 0.17, 0.18), (0.21, 0.23, 0.21), (-3.5, -12.0), 0.2),
    flat("metal roof", (0.27, 0.29, 0.3), (0.33, 0.28, 0.24), (-3.0, -12.5), 0.2),
    flat("panels", (0.056, 0.062, 0.058), (0.05, 0.035, 0.03), (-6.5, -17.5), 0.05),
    flat("paint", (0.42, 0.45, 0.46), (0.46, 0.42, 0.38), (-4.0, -12.0), 0.06),
    flat("rust", (0.06, 0.075, 0.15), (0.2, 0.25, 0.24), (-3.0, -10.5), 0.15),
    flat("steel", (0.2, 0.21, 0.22), (0.25, 0.26, 0.24), (1.0, -7.5), 0.15),
    flat("blue paint", (0.24, 0.15, 0.09), (0.2, 0.22, 0.2), (-3.0, -11.0), 0.15),
)  # fmt: skip

SURFACE_IDS = {surface.name: index for index, surface in enumerate(SURFACES)}


def soil_color(shade: float) -> np.ndarray:
    """Reflectance of bare soil between dark brown (0), red (1) and pale sand (2)."""
    dark, red, pale = (np.array(one) for one in (DARK_SOIL, RED_SOIL, PALE_SOIL))
    return dark + (red - dark) * shade if shade <= 1 else red + (pale - red) * (shade - 1)
