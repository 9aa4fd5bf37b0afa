"""Water of the aerial image: depth, ripples, surf, wet sand, and the wakes of ships."""

from __future__ import annotations

import numpy as np
import shapely
from rasterio.features import rasterize

from skysense_nb.data.synthetic import classes, patterns, spectra, things
from skysense_nb.data.synthetic.canvas import RGB, Canvas
from skysense_nb.data.synthetic.noise import lattice_noise
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS
from skysense_nb.data.synthetic.terrain import Waters
from skysense_nb.data.synthetic.window import HR_PIXEL_M


def draw_water(canvas: Canvas) -> None:
    """Depth, ripples and surf of the sea; ripples on rivers; wet sand."""
    wet = canvas.now["cover"] == classes.WATER
    beach = canvas.now["cover"] == classes.BEACH
    if beach.any():
        flat, *_ = canvas.pixels(beach)
        canvas.scale(flat, 0.72 + 0.28 * np.clip((canvas.fields.height.ravel()[flat] - 0.1) / 0.35, 0, 1))
    if not wet.any():
        return
    xs, ys = canvas.xs, canvas.ys
    ripple = lattice_noise(canvas.key("ripple"), xs, ys * 1.7, 2.6)
    ripple += np.float32(0.8) * lattice_noise(canvas.key("wave"), xs * 0.6, ys * 1.3, 7.5)
    ripple += np.float32(0.8) * lattice_noise(canvas.key("gust"), xs, ys, 130.0)
    natural = wet & (canvas.now["surface"] == SURFACE_IDS["sea"]) & (canvas.now["layer"] == 0)
    flat, *_ = canvas.pixels(natural)
    paint_sea(canvas, flat, canvas.fields, ripple)
    flat, *_ = canvas.pixels(wet & ~natural)
    canvas.scale(flat, 1 + 0.09 * ripple.ravel()[flat])


def paint_sea(canvas: Canvas, flat: np.ndarray, fields: Waters, ripple: np.ndarray) -> None:
    """Colours open sea by its depth and breaks waves on the shore."""
    depth = -fields.height.ravel()[flat]
    depths = np.concatenate([np.linspace(0, 2, 81), np.linspace(2.25, 30, 112)])
    table = spectra.sea_color(depths)[:, RGB]
    wave = ripple.ravel()[flat]
    surf = np.exp(-(((depth - 0.1 - 0.05 * wave) / 0.06) ** 2))
    surf += 0.5 * np.exp(-(((depth - 0.42 - 0.1 * wave) / 0.04) ** 2))
    surf = (surf * np.clip(0.6 + 0.5 * wave, 0, 1)).astype(np.float32)
    for band in range(3):
        color = np.interp(depth, depths, table[:, band]) * (1 + 0.1 * wave)
        canvas.image[band].ravel()[flat] = (1 - surf) * color.astype(np.float32) + surf * np.float32(0.4)


def draw_wakes(canvas: Canvas, present: things.Things) -> None:
    """Foam behind ships under way, fading with distance."""
    moving = (present.slots["object"] == classes.SHIP) & present.slots["moving"]
    if not moving.any():
        return
    ships = present.slots[moving]
    trail = np.array([[-0.45, 0.3], [-3.0, 1.3], [-3.0, 0.9], [-0.6, 0.0], [-3.0, -0.9], [-3.0, -1.3], [-0.45, -0.3]])
    outline = things.place(
        trail, np.stack([ships["x"], ships["y"]], -1), ships["angle"], ships["length"], ships["width"] * 1.6
    )
    numbers = rasterize(
        zip(shapely.polygons(outline), range(1, len(ships) + 1), strict=True), canvas.grid.shape,
        transform=canvas.window.transform(HR_PIXEL_M), dtype="int32",
    )  # fmt: skip
    numbers *= (canvas.now["cover"] == classes.WATER)[canvas.index]
    flat = np.flatnonzero(numbers)
    which = numbers.ravel()[flat] - 1
    row, column = np.divmod(flat, numbers.shape[1])
    along, _ = patterns.local(ships, which, canvas.xs[column], canvas.ys[row])
    churn = lattice_noise(canvas.key("churn"), canvas.xs, canvas.ys, 1.3).ravel()[flat]
    foam = np.clip(1.05 + along / (3.0 * ships["length"][which]), 0, 1) * (0.45 + 0.35 * churn)
    for band in range(3):
        plane = canvas.image[band].ravel()
        plane[flat] += (foam * (0.36 - plane[flat])).astype(np.float32)
