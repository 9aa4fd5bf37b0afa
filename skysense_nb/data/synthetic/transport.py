"""Airfields with runway and apron, harbours with quays, ships and containers."""

from __future__ import annotations

import numpy as np
import shapely

from skysense_nb.data.synthetic import classes, sheet
from skysense_nb.data.synthetic.buildings import FLAT, ROOFS, car_park
from skysense_nb.data.synthetic.countryside import draw_fields, plain
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.sheet import Sheet, boxes, event_days
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS


class Frame:
    """A straight grid in metres: x along an axis, y to its left."""

    def __init__(self, origin: np.ndarray, angle: float) -> None:
        self.origin, self.angle = np.asarray(origin), angle
        self.axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def at(self, x: object, y: object) -> np.ndarray:
        """Easting and northing, (N, 2)."""
        return self.origin + np.stack(np.broadcast_arrays(np.atleast_1d(x), y), -1).astype(float) @ self.axes

    def box(self, x0: object, y0: object, x1: object, y1: object) -> np.ndarray:
        """Corners of rectangles, (N, 4, 2)."""
        center = self.at((np.asarray(x0) + x1) / 2, (np.asarray(y0) + y1) / 2)
        return boxes(center, self.angle, np.asarray(x1) - x0, np.asarray(y1) - y0)


def draw_airfield(page: Sheet) -> None:
    """A regional airfield: runway, taxiway, apron with aircraft, hangars."""
    cell, dice = page.cell, page.cell.dice
    plain(page)
    frame = Frame(cell.center, float(cell.heading(0.5, 0.5)) + dice.number("turn", -0.12, 0.12))
    page.add(frame.box(-415, -150, 415, 215), sheet.ROOF, classes.GRASS, "meadow")
    half = 375.0
    runway = page.add(frame.box(-half, -95, half, -60), sheet.ROOF, classes.RUNWAY, "asphalt")
    if dice.chance("extended", 0.4):
        page.facts[-1]["born"], page.facts[-1]["parent"] = event_days(dice, "runway"), runway[0] - 1
    page.add(
        frame.box([-half, -half, half - 14, -8], [14, -60, -60, -60], [half, 14 - half, half, 8], [28, 14, 14, 14]),
        sheet.ROOF,
        classes.RUNWAY,
        "asphalt",
    )
    apron = frame.box(-150, 28, 170, 128)
    (stand,) = page.add(apron, sheet.ROOF, classes.RUNWAY, "concrete")
    page.add(frame.box(40, 128, 56, 215), sheet.ROOF, classes.ROAD, "asphalt")
    runway_marks(page, frame, half)
    hangars = frame.at([-110, -50, 115], 158)
    page.add_boxes(
        hangars,
        frame.angle,
        np.array([48.0, 48.0, 78.0]),
        np.array([36.0, 36.0, 26.0]),
        sheet.ROOF,
        classes.BUILDING,
        np.array([ROOFS[3], ROOFS[3], FLAT]),
        height=11.0,
        pitch=np.array([0.25, 0.25, 0.0]),
        parent=-1,
    )
    car_park(page, frame.at(112, 195)[0], frame.angle, 80, 24, -1, busy=0.7)
    page.facts[-1]["layer"] = sheet.ROOF
    small = frame.at(np.arange(-135, -20, 19.0), 108)
    page.park(small, frame.angle - np.pi / 2, classes.AIRPLANE, 10.5, 13.0, 0.75)
    page.park(frame.at(np.arange(-135, -20, 19.0), 84), frame.angle + np.pi / 2, classes.AIRPLANE, 9.5, 11.5, 0.6)
    page.park(frame.at([15, 66, 117], 92), frame.angle + np.pi / 2, classes.AIRPLANE, 37.0, 35.0, 0.75)
    page.park(frame.at([-180], 21), frame.angle, classes.AIRPLANE, 37.0, 35.0, 0.3)
    page.park(frame.at([-250], -77.5), frame.angle, classes.AIRPLANE, 32.0, 30.0, 0.3)
    page.park(frame.at(np.linspace(-5, 160, 9), 122), frame.angle, classes.VEHICLE, 5.5, 2.2, 0.5)


def runway_marks(page: Sheet, frame: Frame, half: float) -> None:
    """Threshold bars, centre line, touchdown marks, rubber, taxi lines."""
    bars = np.concatenate([np.arange(-92.5, -79, 3.4), np.arange(-74.5, -62, 3.4)])
    for end in (-1, 1):
        x0, x1 = sorted((end * (half - 6), end * (half - 32)))
        page.mark(frame.box(x0, bars, x1, bars + 1.8), sheet.WHITE)
        x0, x1 = sorted((end * (half - 150), end * (half - 185)))
        page.mark(frame.box(x0, np.array([-86.0, -72.0]), x1, np.array([-83.0, -69.0])), sheet.WHITE)
        x0, x1 = sorted((end * (half - 45), end * (half - 240)))
        page.mark(frame.box(x0, np.array([-82.0, -76.0]), x1, np.array([-79.0, -73.0])), sheet.DARK)
    dash = np.arange(-half + 60, half - 80, 50.0)
    page.mark(frame.box(dash, -77.9, dash + 30, -77.1), sheet.WHITE)
    page.mark(frame.box(-half, np.array([20.8]), half, np.array([21.2])), sheet.YELLOW)
    edges = np.array([-94.4, -61.0])
    page.mark(frame.box(-half, edges, half, edges + 0.6), sheet.WHITE)


def draw_sea(page: Sheet) -> None:
    """Open water with a ship at anchor or under way."""
    dice = page.cell.dice
    u, v = dice.uniform("u", 0.05, 0.95, count=5), dice.uniform("v", 0.05, 0.95, count=5)
    afloat(page, page.cell.at(u, v), dice, 5)


def afloat(page: Sheet, spots: np.ndarray, dice: Dice, count: int) -> None:
    """Slots for ships on deep water."""
    deep = page.cell.terrain.height(*spots.T) < -4
    length = dice.uniform("length", 18, 95, count=count)
    moving = dice.uniform("moving", count=count) < 0.5
    for under_way in (False, True):
        here = deep & (moving == under_way)
        long = np.where(under_way, 0.5 * length, length)[here]
        page.park(spots[here], dice.uniform("way", 0, 6.28, count=count)[here], classes.SHIP, long,
                  3 + 0.13 * long, 0.5, under_way)  # fmt: skip


def draw_harbour(page: Sheet) -> None:
    """A port on the shore: quay, basins, berths, cranes' containers, sheds, tanks, a marina."""
    dice = page.cell.dice
    draw_coast(page)
    frame = shore_frame(page)
    (quay,) = page.add(frame.box(-300, -170, 300, 105), sheet.PIER, classes.QUAY, "concrete")
    page.add(frame.box(-300, -178, 300, -169), sheet.PIER, classes.ROAD, "asphalt")
    basins = np.array([[-215.0, -130.0], [-45.0, 45.0], [140.0, 225.0]])
    page.add(
        frame.box(basins[:, 0], np.array([-60.0, -75.0, -40.0]), basins[:, 1], 108.0),
        sheet.BASIN,
        classes.WATER,
        "sea",
        height=-3.5,
    )
    berths(page, frame, basins)
    containers(page, frame, dice, quay)
    sheds = frame.at([-255, -165, -88, 88, 182], -118)
    page.add_boxes(
        sheds,
        frame.angle,
        np.array([70, 60, 60, 66, 70.0]),
        30.0,
        sheet.ROOF,
        classes.BUILDING,
        ROOFS[2 + dice.choice("roof", (0.6, 0.4), count=5)],
        height=9.0,
        pitch=0.06,
        parent=quay,
        shy=sheet.ANYWHERE,
    )
    spots = frame.at(np.repeat([252.0, 279.0], 4), np.tile(np.arange(-70.0, 40, 28), 2))
    page.add(
        shapely.buffer(shapely.points(spots), 10.0, quad_segs=10),
        sheet.ROOF,
        classes.BUILDING,
        "paint",
        object=classes.STORAGE_TANK,
        x=spots[:, 0],
        y=spots[:, 1],
        length=20.0,
        width=20.0,
        height=11.0,
        parent=quay,
        shy=sheet.ANYWHERE,
    )
    page.park(
        frame.at(np.linspace(-290, 290, 30), -160),
        frame.angle + np.pi / 2,
        classes.VEHICLE,
        4.6,
        1.9,
        0.6,
        shy=sheet.ANYWHERE,
    )
    wall = shapely.linestrings(frame.at(np.linspace(-300, -60, 20), 112 + 90 * np.sin(np.linspace(0.0, 1.7, 20))))
    page.add(shapely.buffer(wall, 5.5), sheet.PIER, classes.QUAY, "rock")
    afloat(
        page, frame.at(dice.uniform("roads x", -350, 350, count=8), dice.uniform("roads y", 230, 520, count=8)), dice, 8
    )


def shore_frame(page: Sheet) -> Frame:
    """Frame with its origin on the shore near the middle of the cell and y towards the sea."""
    cell, terrain = page.cell, page.cell.terrain
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = cell.center + 420 * np.stack([np.cos(turn), np.sin(turn)], -1)
    height = terrain.height(*ring.T)
    to_sea = float(np.arctan2(-(height * np.sin(turn)).sum(), -(height * np.cos(turn)).sum()))
    steps = np.arange(-330.0, 331.0, 11)
    path = cell.center + steps[:, None] * np.array([np.cos(to_sea), np.sin(to_sea)])
    wet = terrain.height(*path.T) < 0
    first = int(np.argmax(wet)) if wet.any() else len(steps) // 2
    return Frame(path[first], to_sea - np.pi / 2)


def berths(page: Sheet, frame: Frame, basins: np.ndarray) -> None:
    """Ships along the basin walls and small boats at the jetties of a marina."""
    for left, right in basins[[0, 2]]:
        for x, wide in ((left + 8.5, 13.0), (right - 8.5, 13.0)):
            page.park(frame.at(x, [12.0]), frame.angle + np.pi / 2, classes.SHIP, 88.0, wide, 0.6)
    page.park(frame.at([-255, -88, 90, 262], 113.0), frame.angle, classes.SHIP, 62.0, 11.0, 0.6)
    jetties = np.arange(-58.0, 90.0, 26.0)
    page.add(frame.box(-38.0, jetties, 38.0, jetties + 1.6), sheet.ROOF, classes.QUAY, "concrete")
    slips = np.arange(-36.0, 37.0, 4.4)
    for side in (-1, 1):
        x, y = np.meshgrid(slips, jetties + 0.8 + side * 6.0)
        page.park(frame.at(x.ravel(), y.ravel()), frame.angle + side * np.pi / 2, classes.SHIP, 9.0, 2.9, 0.72)


def containers(page: Sheet, frame: Frame, dice: Dice, quay: int) -> None:
    """Stacks of boxes in four colours on the two quays beside the marina."""
    x, y = np.meshgrid(
        np.concatenate([np.arange(-118, -60, 13.0), np.arange(62, 130, 13.0)]), np.arange(-62.0, 92.0, 2.9)
    )
    x, y = x.ravel(), y.ravel()
    keep = (dice.uniform("there", count=len(x)) < 0.75) & (np.floor((y + 62) / 2.9) % 6 < 5)
    colours = np.array([SURFACE_IDS[name] for name in ("rust", "blue paint", "steel", "tile roof")])
    spots = frame.at(x[keep], y[keep])
    page.add_boxes(
        spots,
        frame.angle,
        12.2,
        2.45,
        sheet.ROOF,
        classes.QUAY,
        colours[dice.choice("paint", (3, 3, 1, 2), count=len(x))][keep],
        height=dice.uniform("stack", 2.6, 8, count=len(x))[keep],
        parent=quay,
        shy=sheet.ANYWHERE,
    )


def draw_coast(page: Sheet) -> None:
    """Land behind a shore: dunes and bushes, or fields."""
    if page.cell.dice.chance("farmed", 0.45):
        draw_fields(page)
    else:
        broad, needle, shrub, grass, bare = page.cell.biome.wood
        dunes = (0.4 * broad, 0.4 * needle, shrub + 0.25, grass + 0.25, bare)
        page.add_wild(page.cell.patch(0.0, 0.0, 1.0, 1.0, 12)[None], sheet.BASE, dunes)
    afloat(
        page,
        page.cell.at(page.cell.dice.uniform("u", count=4), page.cell.dice.uniform("v", count=4)),
        page.cell.dice,
        4,
    )
