"""The drawing of one cell: polygons in painting order, a row of facts for each, road marks and parking slots."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes
from skysense_nb.data.synthetic.biomes import NAMES
from skysense_nb.data.synthetic.cells import Cell
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS

BASE, PARCEL, LOT, DRIVE, EDGE, SITE, YARD, PATH = range(8)
VERGE, LANE, STREET, MAIN = 9, 10, 11, 12
PIER, BASIN, ROOF = 20, 21, 22
"""Painting order: sites (farms, quarries, solar farms) lie over the parcel borders; below `VERGE` rivers and sea win,
roads bridge rivers, from `PIER` on people win over water."""

ANYWHERE, ON_LAND, DRY = range(3)
"""What shies away from water: nothing (quays), from the sea (roads with bridges), from rivers too (houses)."""

Area = tuple[float, float, float, float]
"""Part of a cell in inner coordinates: u0, v0, u1, v1."""

WHITE, YELLOW, DARK = 1, 2, 3
"""Marks that only the aerial image shows."""

ALWAYS, NEVER = -(10**6), 10**6
"""Days since 1970 before and after every event."""

EVENTS = np.datetime64("2018-01-01").astype(int), np.datetime64("2027-01-01").astype(int)

FACTS = np.dtype(
    [
        ("key", "u8"), ("layer", "u1"), ("cover", "u1"), ("surface", "u1"), ("biome", "u1"), ("object", "u1"),
        ("shy", "u1"), ("wild", "?"), ("shares", "f4", 4), ("parcel", "i4"), ("x", "f8"), ("y", "f8"), ("angle", "f4"),
        ("length", "f4"), ("width", "f4"), ("height", "f4"), ("pitch", "f4"), ("trees", "f4"), ("born", "i4"),
        ("gone", "i4"), ("parent", "i4"),
    ]
)  # fmt: skip

SLOT = np.dtype(
    [
        ("key", "u8"), ("object", "u1"), ("x", "f8"), ("y", "f8"), ("angle", "f4"), ("length", "f4"),
        ("width", "f4"), ("chance", "f4"), ("moving", "?"), ("shy", "u1"),
    ]
)  # fmt: skip

WILD_COVER = (classes.BROADLEAF, classes.CONIFER, classes.SHRUB, classes.GRASS, classes.BARE)


@dataclass
class Sheet:
    """Collects what a cell holds.

    Attributes:
        facts: One record per row; wild polygons own five rows, one per patch type.
        shapes: Polygons, each with the row it paints.
        marks: Polygons with their mark code.
        slots: Places where vehicles, ships and aircraft may stand on a date.
    """

    cell: Cell
    facts: list[np.ndarray] = field(default_factory=list)
    shapes: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    marks: list[tuple[np.ndarray, int]] = field(default_factory=list)
    slots: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(
        self, polygons: np.ndarray, layer: int, cover: int, surface: str | np.ndarray, **facts: object
    ) -> np.ndarray:
        """Adds polygons of one cover and returns their rows.

        Args:
            polygons: Shapely polygons (N,) or a single one, or outlines (N, K, 2) in metres.
            layer: Painting order.
            cover: Land cover class.
            surface: Name, or surface ids (N,).
            **facts: Further columns of `FACTS`, scalars or arrays (N,).
        """
        polygons = drawn(polygons)
        rows = self.rows(len(polygons), layer, cover, surface, **facts)
        self.shapes.append((polygons, rows))
        return rows

    def rows(self, count: int, layer: int, cover: int, surface: str | np.ndarray, **facts: object) -> np.ndarray:
        """Adds facts without polygons."""
        new = np.zeros(count, FACTS)
        rows = np.arange(self.count, self.count + count)
        new["key"] = hashed(self.cell.dice.bits, "row", rows)
        new["layer"], new["cover"] = layer, cover
        new["surface"] = SURFACE_IDS[surface] if isinstance(surface, str) else surface
        new["biome"] = NAMES.index(self.cell.biome.name)
        new["born"], new["gone"], new["parent"] = ALWAYS, NEVER, -1
        for name, value in facts.items():
            new[name] = value
        self.facts.append(new)
        self.count += count
        return rows

    def add_wild(self, polygons: np.ndarray, layer: int, shares: tuple[float, ...] | None = None) -> np.ndarray:
        """Adds unfarmed land: five rows per polygon, between which the woods field chooses per pixel."""
        biome, count = self.cell.biome, len(polygons)
        steps = np.cumsum(shares or biome.wood)[:4] / sum(shares or biome.wood)
        grass = "meadow" if biome.name in ("temperate", "boreal", "monsoon", "tropical") else "steppe"
        bare = "sand" if biome.name == "arid" else "soil"
        names = ("evergreen" if biome.evergreen > 0.5 else "broadleaf", "conifer", "shrub", grass, bare)
        rows = self.rows(
            5 * count, layer, np.tile(WILD_COVER, count), np.tile([SURFACE_IDS[name] for name in names], count),
            wild=True, shares=steps, trees=np.tile([1.0, 1.0, 0.3, 0.05, 0.005], count),
        )[::5]  # fmt: skip
        polygons = drawn(polygons)
        self.shapes.append((polygons, rows))
        return rows

    def add_boxes(self, center: np.ndarray, angle: np.ndarray, length: np.ndarray, width: np.ndarray, layer: int,
                  cover: int, surface: str | np.ndarray, shy: int = DRY, **facts: object) -> np.ndarray:  # fmt: skip
        """Adds turned rectangles (houses, halls, courts) and returns their rows; by default none near water."""
        return self.add(
            boxes(center, angle, length, width), layer, cover, surface, shy=shy,
            x=center[:, 0], y=center[:, 1], angle=angle, length=length, width=width, **facts,
        )  # fmt: skip

    def mark(self, polygons: np.ndarray, code: int) -> None:
        """Adds paint or dirt that only the aerial image shows."""
        self.marks.append((drawn(polygons), code))

    def park(self, center: np.ndarray, angle: np.ndarray, thing: int, length: object, width: object,
             chance: object, moving: bool = False, shy: int = DRY) -> None:  # fmt: skip
        """Adds slots where a thing may stand or move on a date with some chance; vehicles mind water as `shy` says."""
        new = np.zeros(len(center), SLOT)
        start = sum(map(len, self.slots))
        new["key"] = hashed(self.cell.dice.bits, "slot", np.arange(start, start + len(new)))
        new["object"], new["x"], new["y"], new["angle"] = thing, center[:, 0], center[:, 1], angle
        new["length"], new["width"], new["chance"], new["moving"] = length, width, chance, moving
        new["shy"] = shy if thing == classes.VEHICLE else ANYWHERE
        self.slots.append(new)


def drawn(polygons: np.ndarray | shapely.Polygon) -> np.ndarray:
    """Outlines (N, K, 2), polygons or a single polygon as an array of polygons (N,)."""
    polygons = np.atleast_1d(polygons)
    return polygons if polygons.dtype == object else shapely.polygons(polygons)


def boxes(center: np.ndarray, angle: np.ndarray, length: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Corners of turned rectangles, (N, 4, 2), starting behind on the right."""
    return place(np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]), center, angle, length, width)


def place(
    outline: np.ndarray, center: np.ndarray, angle: np.ndarray, length: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Scales, turns and moves an outline (K, 2) of unit length and width to each of N places, (N, K, 2)."""
    count = len(center)
    angle, length, width = (np.broadcast_to(np.asarray(one, float), count)[:, None] for one in (angle, length, width))
    along, across = outline[None, :, 0] * length, outline[None, :, 1] * width
    x = np.cos(angle) * along - np.sin(angle) * across
    y = np.sin(angle) * along + np.cos(angle) * across
    return np.stack([x, y], -1) + np.asarray(center)[:, None, :]


def event_days(dice: Dice, name: str, count: int = 1) -> np.ndarray:
    """Days since 1970 on which something changes, spread over the years the world covers."""
    return dice.uniform(name, *EVENTS, count=count).astype(int)


def cuts(dice: Dice, name: str, total_m: float, step_m: float) -> np.ndarray:
    """Borders 0 = b0 < b1 < … = 1 that split a length into uneven pieces of about `step_m`."""
    count = max(1, round(total_m / step_m))
    inner = np.arange(1, count) + dice.uniform(name, -0.28, 0.28, count=count)[: count - 1]
    return np.concatenate([[0.0], inner / count, [1.0]])
