"""Aerial scenes of many places that show what a benchmark is about, not the meadow beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
import xarray as xr

from skysense_nb.data.miniatures.places import box_corners, scenes
from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.classes import VEHICLE, WATER
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.regions import Place
from skysense_nb.data.synthetic.window import HR_PIXEL_M, TRUTH_PIXEL_M

SURVEY_M = 240
"""Side of the ground around a place in which the scene is chosen; the wider, the more is found and the slower."""

SCENE_M, CELL_M = 80, 10
SIDE = SCENE_M // CELL_M
LABELS_PER_CELL = 8

ENOUGH = 0.1
"""Share of the scene that has to be of a kind's land cover."""

OUTLINE_M = 40
"""Length of the shore, or of another outline, that is enough."""

GOOD = 0.6
"""Share of the best sight around a place from which on a scene is as good."""

COMMON_M = 7
"""Vehicles up to this length are everywhere, and looked for only where there is nothing else."""

Sight = Callable[[Place, xr.DataTree, Dice], np.ndarray]
"""From a place, the labels around it and its dice to a weight per label pixel, H W; a sum of 1 is enough to see."""


def aerial_scenes(
    kinds: Sequence[str],
    seed: int,
    count: int,
    sight: Sight,
    survey_m: int = SURVEY_M,
    hr_dates: int | tuple[str, ...] = 1,
    scenes_per_place: int = 1,
) -> Iterator[tuple[Place, xr.DataTree]]:
    """HR scenes of 256 × 256 pixels with enough to see on each, place after place.

    The labels around a place are looked at first; a scene is one of the windows that show most.

    Args:
        kinds: As in `scenes`.
        seed: Of the draws.
        count: Number of places.
        sight: What is worth seeing, such as `covers` or `objects`.
        survey_m: Side of the ground that is looked at around each place, a multiple of 20.
        hr_dates: As in `World.scene`.
        scenes_per_place: Most scenes of a place; they do not overlap. Looking around costs more than drawing a scene.

    Raises:
        ParameterError: See `scenes`.

    Example:
        >>> quay = covers({"harbour": (17,)})
        >>> next(aerial_scenes(["harbour"], 0, 4, quay))[1]["hr"]["image"].shape
        (1, 3, 256, 256)
    """
    # Sentinel-1 is the cheapest image; its dates are those between which labels tell change.
    dates = {"hr_dates": hr_dates, "s2_dates": 1, "s1_dates": 1 if isinstance(hr_dates, int) else hr_dates}

    def good(place: Place, survey: xr.DataTree, taken: Sequence[tuple[int, int]] = ()) -> np.ndarray:
        sums = windows(sight(place, survey, dice_of(place, len(taken))))
        for row, column in taken:
            sums[max(0, row - SIDE + 1) : row + SIDE, max(0, column - SIDE + 1) : column + SIDE] = 0
        return np.argwhere(sums >= max(1, GOOD * sums.max()))

    surveys = scenes(kinds, seed, count, survey_m, lambda *one: len(good(*one)) > 0, modalities=("s1",), **dates)
    for place, survey in surveys:
        image, taken = survey["s1"]["image"], []
        edges = image.odc.geobox.boundingbox
        while len(taken) < scenes_per_place and len(choice := good(place, survey, taken)):
            pick = int(dice_of(place, len(taken)).number("window", 0, len(choice)))
            row, column = choice[pick].tolist()
            left, top = round(edges.left) + CELL_M * column, round(edges.top) - CELL_M * row
            bounds = (left, top - SCENE_M, left + SCENE_M, top)
            yield place, World().window(bounds, image.rio.crs, year=place.year, modalities=("hr",), **dates)
            taken.append((row, column))


def by_place(drawn: Iterator[tuple[Place, xr.DataTree]]) -> Iterator[tuple[int, xr.DataTree]]:
    """Scenes with the number of their place, by which all scenes of a place go to one split.

    Example:
        >>> list(by_place(iter([("a", "first"), ("a", "second"), ("b", "third")])))
        [(0, 'first'), (0, 'second'), (1, 'third')]
    """
    for number, (_, group) in enumerate(groupby(drawn, key=itemgetter(0))):
        for _, scene in group:
            yield number, scene


def dice_of(place: Place, number: int = 0) -> Dice:
    """Throws that belong to one scene of a place."""
    more = (number,) if number else ()
    return Dice.of("sight", round(place.lon * 1e7), round(place.lat * 1e7), *more)


def windows(weights: np.ndarray) -> np.ndarray:
    """Sums of weights over every window of a scene's size on the grid of ground cells.

    Example:
        >>> windows(np.ones((80, 72))).tolist()
        [[4096.0, 4096.0], [4096.0, 4096.0], [4096.0, 4096.0]]
    """
    height, width = (size // LABELS_PER_CELL for size in weights.shape)
    cells = weights.reshape(height, LABELS_PER_CELL, width, LABELS_PER_CELL).sum((1, 3), dtype=float)
    return np.lib.stride_tricks.sliding_window_view(cells, (SIDE, SIDE)).sum((2, 3))


def covers(shown: Mapping[str, Sequence[int]]) -> Sight:
    """Sight of the land cover that a kind of place is known by; of the shore, where that is water.

    Args:
        shown: Ids of land covers per kind.
    """

    def sight(place: Place, survey: xr.DataTree, dice: Dice) -> np.ndarray:
        found = np.isin(survey["labels"]["land_cover"].values, shown[place.kind])
        return outline(found) if WATER in shown[place.kind] else found / (ENOUGH * (SCENE_M / TRUTH_PIXEL_M) ** 2)

    return sight


def outline(found: np.ndarray) -> np.ndarray:
    """Weights of the label pixels above, below, left or right of those found.

    Example:
        >>> outline(np.array([[True, False, False]])).tolist()
        [[0.0, 0.03125, 0.0]]
    """
    near = np.pad(found, 1)
    beside = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
    return (~found & beside) * (TRUTH_PIXEL_M / OUTLINE_M)


def objects(name_of: Callable[[int, float], str | None]) -> Sight:
    """Sight of the objects of one name, drawn from those around a place, so that few ships count as much as many.

    Args:
        name_of: Name in a benchmark for the id and the length in metres of an object; None: it has none.
    """

    def sight(place: Place, survey: xr.DataTree, dice: Dice) -> np.ndarray:
        labels = survey["labels"]
        corners, ids = labels["object_corners"].values, labels["object_class"].values.tolist()
        lengths = longer_sides(corners)
        names = np.array([name_of(kind, long) or "" for kind, long in zip(ids, lengths.tolist(), strict=True)], str)
        common = (np.array(ids, int) == VEHICLE) & (lengths < COMMON_M)
        left = sorted(set(names[~common]) - {""}) or sorted(set(names) - {""})
        seen = labels["land_cover"]
        weights = np.zeros(seen.shape)
        if left:
            chosen = corners[names == left[int(dice.number("object", 0, len(left)))]].mean(1)
            columns, rows = ~seen.odc.geobox.transform * chosen.T
            np.add.at(weights, (rows.astype(int), columns.astype(int)), 1)
        return weights

    return sight


def longer_sides(corners: np.ndarray) -> np.ndarray:
    """Length of boxes from their corners, N 4 2, in the same unit.

    Example:
        >>> longer_sides(np.array([[[0, 0], [0, 2], [3, 2], [3, 0]]])).tolist()
        [3.0]
    """
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
    return sides.max(axis=1, initial=0.0)


def named_boxes(scene: xr.DataTree, name_of: Callable[[int, float], str | None]) -> tuple[list[str], np.ndarray]:
    """Names of the objects of a scene that have one in a benchmark, and their corners, N 4 2 in HR pixels."""
    corners, ids = box_corners(scene)
    lengths = longer_sides(corners) * HR_PIXEL_M
    names = [name_of(kind, long) for kind, long in zip(ids.tolist(), lengths.tolist(), strict=True)]
    kept = [number for number, name in enumerate(names) if name]
    return [names[number] for number in kept], corners[kept]
