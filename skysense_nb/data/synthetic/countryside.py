"""Cells without towns: fields with hedges and farms, orchards, meadows, forest, solar farms, quarries."""

from __future__ import annotations

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes, sheet
from skysense_nb.data.synthetic.buildings import homestead
from skysense_nb.data.synthetic.cells import CELL_M
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.sheet import Area, Sheet, cuts, event_days

ROAD_M = 7.0
"""Strip along the cell border that belongs to the roads."""


def split(dice: Dice, sheet_: Sheet, area: Area, scale: float = 1.0) -> np.ndarray:
    """Cuts an area (u0, v0, u1, v1) into strips and each strip into parcels.

    Returns:
        Parcels (N, 4) in inner coordinates and, as a fifth column, 1 where rows run along v.
    """
    width_m, length_m = (scale * one for one in sheet_.cell.biome.field_m)
    u0, v0, u1, v1 = area
    turned = dice.chance("turned", 0.5)
    if turned:
        u0, v0, u1, v1 = v0, u0, v1, u1
    parcels = []
    strips = cuts(dice, "strips", (v1 - v0) * CELL_M, length_m)
    for index, (low, high) in enumerate(zip(strips[:-1], strips[1:], strict=True)):
        strip = Dice(hashed(dice.bits, "strip", index))
        narrow = width_m * strip.number("width", 0.6, 1.7)
        steps = cuts(strip, "parcels", (u1 - u0) * CELL_M, narrow)
        left, right = u0 + steps[:-1] * (u1 - u0), u0 + steps[1:] * (u1 - u0)
        bottom, top = np.full(len(left), v0 + low * (v1 - v0)), np.full(len(left), v0 + high * (v1 - v0))
        parcels.append(np.stack([left, bottom, right, top], -1))
    parcels = np.concatenate(parcels)
    if turned:
        parcels = parcels[:, [1, 0, 3, 2]]
    return np.concatenate([parcels, np.full((len(parcels), 1), 0.0 if turned else 1.0)], 1)


def farmland(page: Sheet, area: Area, dice: Dice, orchards: float, scale: float = 1.0) -> None:
    """Parcels of crops, meadow, orchard and woods in an area, with hedges between them."""
    cell, biome = page.cell, page.cell.biome
    parcels = split(dice, page, area, scale)
    count = len(parcels)
    gap = dice.uniform("gap", 0.5, 1.4, count=count) / CELL_M
    u0, v0, u1, v1 = parcels[:, 0] + gap, parcels[:, 1] + gap, parcels[:, 2] - gap, parcels[:, 3] - gap
    middle = cell.at((u0 + u1) / 2, (v0 + v1) / 2)
    heading = np.where(parcels[:, 4] > 0, cell.heading(parcels[:, 0], parcels[:, 1], "v"),
                       cell.heading(parcels[:, 0], parcels[:, 1], "u"))  # fmt: skip
    outline = cell.patch(u0, v0, u1, v1)
    use = dice.choice("use", (0.86 - orchards, 0.08, 0.05, 0.65 * orchards, 0.35 * orchards, 0.012), count=count)
    identity = (hashed(cell.dice.bits, "parcel", dice.bits, np.arange(count)) >> np.uint64(33)).astype(np.int64)
    common = {"x": middle[:, 0], "y": middle[:, 1], "angle": heading, "parcel": np.maximum(identity, 1)}

    def some(chosen: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value[chosen] for name, value in common.items()}

    crops = use == 0
    circles = crops & (dice.uniform("pivot", count=count) < biome.pivots)
    drawn = shapely.polygons(outline)
    radius = 0.48 * CELL_M * np.minimum(u1 - u0, v1 - v0)
    drawn[circles] = shapely.buffer(shapely.points(middle[circles]), radius[circles], quad_segs=12)
    if circles.any():
        page.add_wild(outline[circles], sheet.PARCEL)
    fields = page.add(drawn[crops], sheet.PARCEL, classes.CROPLAND, "crop", **some(crops))
    if dice is cell.dice and dice.chance("new road", 0.3):
        new_road(page, drawn[crops], fields, area, dice)
    page.add(outline[use == 1], sheet.PARCEL, classes.GRASS, "meadow", trees=0.03, **some(use == 1))
    page.add_wild(outline[use == 2], sheet.PARCEL, (biome.wood[0] + 0.1, biome.wood[1], 0.1, 0.02, 0))
    page.add(outline[use == 3], sheet.PARCEL, classes.ORCHARD, "orchard", trees=0.0, **some(use == 3))
    page.add(outline[use == 4], sheet.PARCEL, classes.VINEYARD, "vines", **some(use == 4))
    before = page.add(outline[use == 5], sheet.PARCEL, classes.CROPLAND, "crop", **some(use == 5))
    page.add(outline[use == 5], sheet.LOT, classes.SOLAR, "panels", parent=before, height=1.5, **some(use == 5)
             | {"angle": 0.0, "born": event_days(dice, "solar", int((use == 5).sum()))})  # fmt: skip
    drowned = crops & ~circles & (dice.uniform("flood", count=count) < 0.012)
    if drowned.any():
        flood = event_days(dice, "flooded", int(drowned.sum()))
        rows = page.add(outline[drowned], sheet.PARCEL, classes.CROPLAND, "crop", **some(drowned))
        page.add(outline[drowned], sheet.LOT, classes.WATER, "river", parent=rows, born=flood, gone=flood + 500)
    hedges(page, parcels, dice)


def new_road(page: Sheet, fields: np.ndarray, rows: np.ndarray, area: Area, dice: Dice) -> None:
    """A road built across the fields on some day; each piece knows the field it took."""
    t, (u0, v0, u1, v1) = np.linspace(0, 1, 20), area
    at = v0 + (v1 - v0) * (dice.number("start", 0.3, 0.7) + 0.12 * np.sin(3 * t))
    strip = shapely.buffer(shapely.linestrings(page.cell.at(u0 + (u1 - u0) * t, at)), 4.0, cap_style="flat")
    pieces = shapely.intersection(fields, strip)
    taken = (shapely.get_type_id(pieces) == 3) & (shapely.area(pieces) > 1)
    page.add(pieces[taken], sheet.SITE, classes.ROAD, "asphalt", parent=rows[taken], born=event_days(dice, "opened"))


def hedges(page: Sheet, parcels: np.ndarray, dice: Dice) -> None:
    """Rows of bushes and trees along some parcel borders, and farm tracks along others."""
    half = 2.3 / CELL_M
    u0, v0, u1, v1 = parcels[:, :4].T
    chance = dice.uniform("hedge", count=2 * len(parcels))
    kind = "evergreen" if page.cell.biome.evergreen > 0.5 else "broadleaf"
    for side, (left, bottom, right, top) in enumerate(
        ((u0 - half, v0, u0 + half, v1), (u0, v0 - half, u1, v0 + half))
    ):  # fmt: skip
        draw = chance[side::2] < page.cell.biome.hedges
        edges = page.cell.patch(left, bottom, right, top)
        page.add(edges[draw], sheet.EDGE, classes.BROADLEAF, kind, trees=0.9)
        track = (chance[side::2] > 0.93) & ~draw
        page.add(edges[track], sheet.EDGE, classes.ROAD, "dirt")


def base(page: Sheet, cover: int, surface: str, trees: float = 0.02) -> np.ndarray:
    """The ground below everything else in the cell."""
    return page.add(page.cell.patch(0.0, 0.0, 1.0, 1.0, 12)[None], sheet.BASE, cover, surface, trees=trees)


def plain(page: Sheet) -> None:
    """Crops from border to border."""
    base(page, classes.GRASS, "meadow" if page.cell.biome.seasonality > 0.5 else "steppe")
    edge = ROAD_M / CELL_M
    farmland(page, (edge, edge, 1 - edge, 1 - edge), page.cell.dice, orchards=0.03)


def draw_fields(page: Sheet) -> None:
    """Crops, with a farm here and there."""
    plain(page)
    if page.cell.dice.chance("farm", 0.35):
        homestead(page, page.cell.dice.number("farm u", 0.2, 0.8), page.cell.dice.number("farm v", 0.2, 0.8))


def draw_orchard(page: Sheet) -> None:
    """Fruit trees in rows and vines among fields."""
    base(page, classes.GRASS, "meadow")
    edge = ROAD_M / CELL_M
    scale = 70 / page.cell.biome.field_m[0]
    farmland(page, (edge, edge, 1 - edge, 1 - edge), page.cell.dice, orchards=0.66, scale=scale)
    homestead(page, 0.52, page.cell.dice.number("farm v", 0.3, 0.7))


def draw_meadow(page: Sheet) -> None:
    """Open land: grass, bushes, single trees; bare in dry biomes."""
    broad, needle, shrub, grass, bare = page.cell.biome.wood
    page.add_wild(page.cell.patch(0.0, 0.0, 1.0, 1.0, 12)[None], sheet.BASE,
                  (0.25 * broad, 0.15 * needle, shrub, grass + 0.5 * (bare == 0), bare))  # fmt: skip


def draw_forest(page: Sheet) -> None:
    """Woods with rides, and clearings that were cut on some day."""
    cell, dice = page.cell, page.cell.dice
    page.add_wild(cell.patch(0.0, 0.0, 1.0, 1.0, 12)[None], sheet.BASE)
    count = 7
    u, v = dice.uniform("cut u", 0.12, 0.8, count=count), dice.uniform("cut v", 0.12, 0.8, count=count)
    wide, tall = dice.uniform("cut w", 0.07, 0.17, count=count), dice.uniform("cut h", 0.07, 0.15, count=count)
    middle, day = cell.at(u, v), event_days(dice, "cut", count)
    conifer = page.cell.biome.wood[1] > page.cell.biome.wood[0]
    stand = ("conifer", classes.CONIFER) if conifer else ("broadleaf", classes.BROADLEAF)
    if cell.biome.wood[0] + cell.biome.wood[1] > 0.3:
        before = page.add(cell.patch(u, v, u + wide, v + tall), sheet.PARCEL, stand[1], stand[0], trees=1.0)
        page.add(cell.patch(u, v, u + wide, v + tall), sheet.LOT, classes.BARE, "cleared", trees=0.01,
                 parent=before, born=day, x=middle[:, 0], y=middle[:, 1], angle=cell.heading(u, v))  # fmt: skip
    t = np.linspace(-0.02, 1.02, 25)
    for name, swap in (("ride", False), ("ride across", True)):
        at = dice.number(name, 0.25, 0.75) + 0.05 * np.sin(6 * t + dice.number(f"{name} bend", 0, 6))
        line = shapely.linestrings(cell.at(t, at) if swap else cell.at(at, t))
        page.add(shapely.buffer(line, 2.2), sheet.LANE, classes.ROAD, "dirt")


def draw_solar(page: Sheet) -> None:
    """A large array of panels in rows that face the sun, built on fields."""
    cell, dice = page.cell, page.cell.dice
    plain(page)
    u, v = np.meshgrid([0.2, 0.41, 0.62], [0.24, 0.5])
    u, v = u.ravel() + dice.number("u", -0.04, 0.04), v.ravel() + dice.number("v", -0.04, 0.04)
    field = page.add(cell.patch(u.min() - 0.015, v.min() - 0.015, u.max() + 0.215, v.max() + 0.255)[None], sheet.SITE,
                     classes.CROPLAND, "crop", parcel=int(hashed(dice.bits, "site")[0] >> np.uint64(33)))  # fmt: skip
    yard = page.add(cell.patch(u.min() - 0.012, v.min() - 0.012, u.max() + 0.212, v.max() + 0.252)[None],
                    sheet.SITE, classes.GRASS, "meadow")  # fmt: skip
    born = sheet.ALWAYS if dice.chance("old", 0.6) else event_days(dice, "built")
    page.facts[-1]["born"], page.facts[-1]["parent"] = born, field[0]
    outline = cell.patch(u, v, u + 0.2, v + 0.24)
    middle = cell.at(u + 0.1, v + 0.12)
    page.add(outline, sheet.YARD, classes.SOLAR, "panels", height=1.5, x=middle[:, 0], y=middle[:, 1],
             born=born, parent=yard[0])  # fmt: skip
    t = np.linspace(v.min() - 0.2, v.max() + 0.24, 20)
    road = shapely.buffer(shapely.linestrings(cell.at(np.full(20, u.max() + 0.206), t)), 2.5)
    page.add(road, sheet.PATH, classes.ROAD, "dirt", born=born, parent=yard[0])


def draw_quarry(page: Sheet) -> None:
    """Nested benches of bare rock around a pond, grown over the years."""
    cell, dice = page.cell, page.cell.dice
    plain(page)
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = sum(
        dice.number(f"wave {n}", 0.0, 0.3 / n) * np.sin(n * turn + dice.number(f"phase {n}", 0, 6))
        for n in (1, 2, 3, 5)
    )
    radius, drift = dice.number("radius", 190, 280), dice.uniform("drift", -22, 22, count=2)
    surfaces, last = ("cleared", "rock", "dirt", "rock", "rock", "dirt", "river"), 0
    for step, surface in enumerate(surfaces):
        reach = radius * (1 - 0.125 * step) * (1 + waves * (1 - 0.05 * step))
        ring = cell.center + drift * step / 3 + np.stack([np.cos(turn), np.sin(turn)], -1) * reach[:, None]
        cover = classes.WATER if surface == "river" else classes.BARE
        fresh = {"born": event_days(dice, "grown")[0], "parent": last} if step == 0 else {}
        (last,) = page.add(ring[None], sheet.SITE, cover, surface, trees=0.0, **fresh)
    t = np.linspace(0, 0.45, 20)
    page.add(shapely.buffer(shapely.linestrings(cell.at(t, 0.5 + 0.06 * np.sin(9 * t))), 4), sheet.PATH,
             classes.ROAD, "dirt")  # fmt: skip
    spots = cell.center + dice.uniform("spots", -140, 140, count=24).reshape(12, 2)
    page.park(spots, dice.uniform("turned", 0, 6, count=12), classes.VEHICLE, 8.5, 3.2, 0.6)
