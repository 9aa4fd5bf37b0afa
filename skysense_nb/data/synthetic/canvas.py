"""The sheet on which an aerial image is painted: cover colours, heights, and how to reach the pixels of a cover."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic import classes, spectra
from skysense_nb.data.synthetic.clouds import Sun
from skysense_nb.data.synthetic.hashing import hashed
from skysense_nb.data.synthetic.noise import lattice_noise, white_bits
from skysense_nb.data.synthetic.sentinel2 import mottle
from skysense_nb.data.synthetic.spectra import Calendar
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS
from skysense_nb.data.synthetic.truth import Ground
from skysense_nb.data.synthetic.window import HR_PIXEL_M

RGB = [2, 1, 0]
"""Red, green and blue among the bands of Sentinel-2."""

GRAIN = {
    "crop": (0.05, 0.05, 0.06), "meadow": (0.1, 0.09, 0.07), "steppe": (0.13, 0.1, 0.09), "garden": (0.2, 0.12, 0.08),
    "turf": (0.03, 0.03, 0.03), "shrub": (0.16, 0.12, 0.1), "broadleaf": (0.15, 0.1, 0.1), "vines": (0.08, 0.08, 0.08),
    "evergreen": (0.15, 0.1, 0.1), "conifer": (0.15, 0.1, 0.1), "orchard": (0.12, 0.1, 0.08), "soil": (0.1, 0.08, 0.08),
    "cleared": (0.22, 0.16, 0.12), "rock": (0.17, 0.13, 0.1), "dirt": (0.12, 0.08, 0.08), "sand": (0.05, 0.04, 0.03),
    "asphalt": (0.06, 0.04, 0.04), "concrete": (0.08, 0.05, 0.04),
}  # fmt: skip
"""Relative unevenness at 9 m, at 2 m and per pixel."""

UNDERSTORY = {classes.BROADLEAF: 0.5, classes.CONIFER: 0.6, classes.ORCHARD: 1.35, classes.SHRUB: 1.25}
"""Brightness of the ground between crowns against that of the whole stand."""


class Canvas:
    """One aerial image in the making; planes are H W over the window with its margin.

    Attributes:
        now: Facts of the rows that occur, as they are on the date.
        index: Place in `now` per pixel.
        image: Reflectance 3 H W.
        height: Metres above the ground.
    """

    def __init__(self, seed: int, ground: Ground, calendar: Calendar) -> None:
        self.seed, self.window, self.calendar = seed, ground.window, calendar
        self.ground, self.day = ground, int(calendar.days[0])
        self.sun = Sun.at(calendar.zone, float(calendar.day_of_year[0]))
        self.grid, self.fields = ground.rows(HR_PIXEL_M)
        rows = np.flatnonzero(np.bincount(self.grid.ravel()))
        compact = np.zeros(len(ground.facts), np.int32)
        compact[rows] = np.arange(len(rows))
        self.index = compact[self.grid]
        self.now = ground.facts[ground.on(self.day)[rows]]
        self.xs, self.ys = self.window.xs(HR_PIXEL_M), self.window.ys(HR_PIXEL_M)
        self.colors = spectra.reflectance(self.now, calendar)[:, 0, RGB].astype(np.float32)
        for cover, factor in UNDERSTORY.items():
            self.colors[self.now["cover"] == cover] *= np.float32(factor)
        self.image = np.stack([np.ascontiguousarray(self.colors[:, band])[self.index] for band in range(3)])
        self.height = np.maximum(self.now["height"], 0)[self.index]

    def key(self, name: str) -> np.ndarray:
        """Word of a texture layer."""
        return hashed(self.seed, "aerial", name, self.window.zone)

    def pixels(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Flat positions of the pixels of some rows, their row index, easting and northing."""
        flat = np.flatnonzero(chosen[self.index])
        row, column = np.divmod(flat, self.index.shape[1])
        return flat, self.index.ravel()[flat], self.xs[column], self.ys[row]

    def scale(self, flat: np.ndarray, factor: np.ndarray) -> None:
        """Multiplies all three bands at flat positions."""
        for band in self.image:
            band.ravel()[flat] *= factor.astype(np.float32)


def grain(canvas: Canvas) -> None:
    """Unevenness at three scales, each cover in its own measure."""
    weights = np.full((3, len(canvas.now)), 0.03, np.float32)
    for name, levels in GRAIN.items():
        weights[:, canvas.now["surface"] == SURFACE_IDS[name]] = np.array(levels, np.float32)[:, None]
    weights[:, canvas.now["cover"] == classes.WATER] = 0
    factor = mottle(canvas.seed, canvas.window.zone, canvas.xs, canvas.ys)
    for level, wavelength in enumerate((9.0, 2.1)):
        noise = lattice_noise(hashed(canvas.key("grain"), level), canvas.xs, canvas.ys, wavelength)
        noise *= weights[level][canvas.index]
        factor += noise
    bits = white_bits(canvas.key("pixel"), canvas.window.columns(HR_PIXEL_M), canvas.window.rows(HR_PIXEL_M))
    fine = (bits >> np.uint64(48)).astype(np.float32)
    fine *= np.float32(2 / 65536)
    fine -= np.float32(1)
    fine *= weights[2][canvas.index]
    factor += fine
    canvas.image *= factor
    clump = lattice_noise(canvas.key("tussock"), canvas.xs, canvas.ys, 17.0)
    grassy = np.isin(canvas.now["surface"], [SURFACE_IDS[name] for name in ("meadow", "steppe", "cleared", "shrub")])
    clump *= np.where(grassy, np.float32(0.09), np.float32(0))[canvas.index]
    canvas.image[0] *= 1 + clump
    canvas.image[2] *= 1 - clump
