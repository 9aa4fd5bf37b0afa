"""The aerial image: the ground drawn at 0.3125 m, with trees, things, light and grain."""

from __future__ import annotations

import numpy as np
from rasterio.features import rasterize

from skysense_nb.data.synthetic import classes, crowns, light, patterns, spectra, things
from skysense_nb.data.synthetic.canvas import RGB, Canvas, grain
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.noise import lattice_noise
from skysense_nb.data.synthetic.phenology import CROP_GROWTH
from skysense_nb.data.synthetic.sheet import DARK, WHITE, YELLOW
from skysense_nb.data.synthetic.spectra import Calendar
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS
from skysense_nb.data.synthetic.truth import Ground
from skysense_nb.data.synthetic.waves import draw_wakes, draw_water
from skysense_nb.data.synthetic.window import HR_PIXEL_M, Window

MARGIN_M = 30
"""Drawn around the window, so that shadows and crowns from outside fall into it."""


def render(seed: int, ground: Ground, calendar: Calendar, window: Window) -> np.ndarray:
    """Image of a window on one date.

    Args:
        seed: Seed of the world.
        ground: Ground of the window padded by `MARGIN_M`.
        calendar: Calendar of this one date.
        window: The window itself.

    Returns:
        3 H W, uint8, R G B.
    """
    canvas = Canvas(seed, ground, calendar)
    grain(canvas)
    draw_water(canvas)
    draw_fields(canvas)
    draw_roofs(canvas)
    draw_marks(canvas)
    draw_trees(canvas)
    draw_things(canvas)
    lighten(canvas)
    rows, columns = window.inside(ground.window, HR_PIXEL_M)
    cut = slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1)
    return np.stack([light.develop(light.soften(band[cut])) for band in canvas.image])


def draw_fields(canvas: Canvas) -> None:
    """Rows of crops, vines and panels along each parcel."""
    plants, crop = spectra.covers(canvas.now, canvas.calendar)
    row_m = np.array([growth.row_m for growth in CROP_GROWTH])[crop[:, 0]]
    now = canvas.now
    flat, which, x, y = canvas.pixels(now["cover"] == classes.CROPLAND)
    if len(flat):
        bend = lattice_noise(canvas.key("bend"), canvas.xs, canvas.ys, 40.0).ravel()[flat]
        place = patterns.local(now, which, x, y)
        canvas.scale(flat, patterns.crop_rows(place, plants.green[which, 0], row_m[which], bend))
    flat, which, x, y = canvas.pixels(now["surface"] == SURFACE_IDS["panels"])
    if len(flat):
        panel, shine = patterns.panel_rows(patterns.local(now, which, x, y))
        canvas.height.ravel()[flat] = np.where(panel, 1.5, 0)
        canvas.scale(flat, np.where(panel, shine, 1.0))
        for band, grass in enumerate((0.095, 0.105, 0.06)):
            canvas.image[band].ravel()[flat[~panel]] = grass
    flat, which, x, y = canvas.pixels(now["surface"] == SURFACE_IDS["vines"])
    if len(flat):
        vine = patterns.vine_rows(patterns.local(now, which, x, y))
        canvas.height.ravel()[flat] = np.where(vine, 1.3, 0)
        canvas.scale(flat, np.where(vine, 0.62, 1.4))


def draw_roofs(canvas: Canvas) -> None:
    """Roofs of houses and halls, tanks, and sports fields."""
    now = canvas.now
    tanks = now["object"] == classes.STORAGE_TANK
    for chosen, pattern in (
        ((now["height"] > 0) & (now["cover"] == classes.BUILDING) & ~tanks, patterns.roof),
        (tanks, patterns.tank),
    ):
        flat, which, x, y = canvas.pixels(chosen)
        if len(flat):
            rise, factor = pattern(patterns.local(now, which, x, y), now, which)
            canvas.height.ravel()[flat] += rise.astype(np.float32)
            canvas.scale(flat, factor)
    flat, which, x, y = canvas.pixels(now["object"] == classes.SPORTS_FIELD)
    if len(flat):
        line, stripe = patterns.court(patterns.local(now, which, x, y), now, which)
        canvas.scale(flat, stripe)
        for band in canvas.image:
            band.ravel()[flat[line]] = np.float32(0.36)


def draw_marks(canvas: Canvas) -> None:
    """Paint and rubber on roads, car parks and runways that exist on the date."""
    plan = canvas.ground.plan
    if len(plan.marks) == 0:
        return
    codes = rasterize(
        zip(plan.marks, plan.codes.tolist(), strict=True),
        canvas.grid.shape,
        transform=canvas.window.transform(HR_PIXEL_M),
        dtype="uint8",
    )
    paved = np.isin(canvas.now["cover"], [classes.ROAD, classes.CAR_PARK, classes.RUNWAY])
    codes *= paved[canvas.index]
    worn = {WHITE: (0.34, 0.34, 0.33), YELLOW: (0.36, 0.29, 0.06), DARK: (0.05, 0.05, 0.05)}
    for code, color in worn.items():
        flat = np.flatnonzero(codes == code)
        for band, value in zip(canvas.image, color, strict=True):
            band.ravel()[flat] = 0.3 * band.ravel()[flat] + np.float32(0.7 * value)


def draw_trees(canvas: Canvas) -> None:
    """Crowns, each in its own green."""
    facts = canvas.ground.facts[canvas.ground.on(canvas.day)]
    trees = crowns.grow(int(canvas.key("trees")[0]), canvas.grid, facts, canvas.window)
    top = crowns.plant(trees, canvas.height, canvas.window)
    flat = np.flatnonzero(top >= 0)
    colors = tree_colors(trees, facts, canvas.calendar)
    for band in range(3):
        canvas.image[band].ravel()[flat] = colors[top.ravel()[flat], band]


def tree_colors(trees: crowns.Trees, facts: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Reflectance R G B of each tree on the date, (N, 3), float32."""
    biome, evergreen = facts["biome"][trees.row], facts["surface"][trees.row] == SURFACE_IDS["evergreen"]
    names = np.array([SURFACE_IDS[name] for name in ("broadleaf", "conifer", "shrub", "orchard")])
    surface = np.where((trees.kind == crowns.BROAD) & evergreen, SURFACE_IDS["evergreen"], names[trees.kind])
    kinds, inverse = np.unique(np.stack([biome, surface], -1), axis=0, return_inverse=True)
    samples = np.zeros(len(kinds), facts.dtype)
    samples["biome"], samples["surface"] = kinds.T
    base = spectra.reflectance(samples, calendar)[:, 0, RGB][inverse.reshape(-1)]
    dice = Dice(trees.key)
    tone = np.exp(dice.normal("tone", 0.17))[:, None] * np.exp(
        dice.normal("hue", 0.13)[:, None] * np.array([1.0, 0.2, -0.6])
    )
    return (1.12 * base * tone).astype(np.float32)


def draw_things(canvas: Canvas) -> None:
    """Vehicles, ships with their wakes, and aircraft of the day."""
    plan = canvas.ground.plan
    present = things.on_day(plan.slots, canvas.day, canvas.ground.terrain)
    if len(present.slots) == 0:
        return
    draw_wakes(canvas, present)
    numbers = rasterize(
        zip(present.polygons, range(1, len(present.polygons) + 1), strict=True), canvas.grid.shape,
        transform=canvas.window.transform(HR_PIXEL_M), dtype="int32",
    )  # fmt: skip
    flat = np.flatnonzero(numbers)
    which = numbers.ravel()[flat] - 1
    row, column = np.divmod(flat, numbers.shape[1])
    place = patterns.local(present.slots, which, canvas.xs[column], canvas.ys[row])
    colors = patterns.thing_colors(place, present.slots, present.tint, which)
    heights = np.array([things.HEIGHTS_M.get(kind, 0.0) for kind in range(len(classes.OBJECTS))], np.float32)
    canvas.height.ravel()[flat] = heights[present.slots["object"][which]] + 0.6 * np.cos(
        np.pi * place[1] / present.slots["width"][which]
    ).astype(np.float32)
    for band in range(3):
        canvas.image[band].ravel()[flat] = colors[:, band].astype(np.float32)


def lighten(canvas: Canvas) -> None:
    """Sun on slopes, cast shadows, and a little haze."""
    dark = light.shaded(canvas.height, canvas.sun)
    sunlit = light.slope_light(canvas.height, canvas.sun)
    sunlit[dark] = np.float32(1)
    canvas.image *= sunlit
    flat = np.flatnonzero(dark)
    for band, share, air in zip(canvas.image, light.SKYLIGHT, (0.004, 0.006, 0.010), strict=True):
        band.ravel()[flat] *= share
        band += np.float32(air)
