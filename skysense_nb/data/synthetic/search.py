"""Finding a place of a kind, and naming the kind of a place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes
from skysense_nb.data.synthetic.biomes import BIOMES
from skysense_nb.data.synthetic.cells import CELL_M, Cell, cells_near, kinds_of, node
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.sheet import Sheet
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.transport import shore_frame
from skysense_nb.data.synthetic.window import geographic, project, zone_of
from skysense_nb.errors import SceneError

RINGS = 6, 18, 54, 108
"""Cells to each side that are looked through, one after the other."""

CANDIDATES = 200
"""Spots per ring that are checked against the border of the zone and of their cell."""


def home(seed: int) -> tuple[float, float]:
    """Where a search starts if nobody says where: somewhere in the temperate north."""
    dice = Dice.of(seed, "home")
    return dice.number("lon", -1.5, 26.0), dice.number("lat", 46.0, 53.0)


def find(seed: int, kind: str, near: tuple[float, float] | None) -> tuple[float, float]:
    """Longitude and latitude of the nearest place of a kind in the UTM zone of `near`.

    Raises:
        SceneError: An unknown kind, or none within a hundred kilometres.
    """
    if kind not in classes.PLACES:
        raise SceneError.of(f"a kind among {', '.join(classes.PLACES)}", repr(kind), "Choose one of these.")
    lon, lat = near if near is not None else home(seed)
    zone = zone_of(lon, lat)
    terrain = Terrain(seed, zone)
    x, y = project(zone, lon, lat)
    for reach in RINGS:
        spots = river_spots(terrain, x, y, reach) if kind == "river" else cell_spots(terrain, kind, x, y, reach)
        for spot in spots:
            place = tuple(round(float(one), 7) for one in geographic(zone, *spot))
            if zone_of(*place) == zone and (kind == "river" or kind_at(terrain, *spot) == kind):
                return place
    raise SceneError.of(
        f"a place of kind {kind!r} near ({lon:.2f}, {lat:.2f})", "none within 110 km", "Try near=(lon, lat) elsewhere."
    )


def cell_spots(terrain: Terrain, kind: str, x: float, y: float, reach: int) -> Iterator[np.ndarray]:
    """The telling spots of the cells of a kind within `reach` cells, nearest first."""
    i, j = np.meshgrid(np.arange(-reach, reach + 1) + int(x // CELL_M), np.arange(-reach, reach + 1) + int(y // CELL_M))
    i, j = i.ravel(), j.ravel()
    kinds, biomes = kinds_of(terrain, i, j)
    found = np.flatnonzero(kinds == classes.KINDS.index(kind))
    corner = node(terrain, i[found], j[found])
    order = np.argsort(np.hypot(corner[:, 0] + CELL_M / 2 - x, corner[:, 1] + CELL_M / 2 - y), kind="stable")
    for index in found[order][:CANDIDATES]:
        cell = Cell(terrain, int(i[index]), int(j[index]), kind, BIOMES[int(biomes[index])])
        yield shore_frame(Sheet(cell)).origin if kind in ("coast", "harbour") else cell.center


def river_spots(terrain: Terrain, x: float, y: float, reach: int) -> Iterator[np.ndarray]:
    """Spots in the middle of rivers over land, nearest first."""
    half = min(reach, 54) * CELL_M
    axis = np.arange(-half, half, 50.0 * half / (RINGS[0] * CELL_M))
    east, north = (grid.ravel() for grid in np.meshgrid(x + axis, y + axis))
    wet = terrain.river(east, north) < 0.5 * terrain.river_half_width(east, north)
    found = np.flatnonzero(wet & (terrain.height(east, north) > 3))
    order = np.argsort(np.hypot(east[found] - x, north[found] - y), kind="stable")
    for index in found[order][:CANDIDATES]:
        yield np.array([east[index], north[index]])


def kind_at(terrain: Terrain, x: float, y: float) -> str:
    """Kind of the cell at a point."""
    cells = cells_near(terrain, x, y, x, y)
    outlines = shapely.polygons(np.stack([cell.patch(0.0, 0.0, 1.0, 1.0, 12) for cell in cells]))
    return cells[int(np.argmax(shapely.contains_xy(outlines, x, y)))].kind
