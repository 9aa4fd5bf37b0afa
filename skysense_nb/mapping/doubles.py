"""One object, reported by two tiles: which report stays."""

from __future__ import annotations

import numpy as np
import shapely


def without_doubles(
    outlines: np.ndarray, scores: np.ndarray, labels: np.ndarray, tiles: np.ndarray, strays: np.ndarray, iou: float
) -> np.ndarray:
    """Non-maximum suppression between tiles, within classes.

    The greedy rule: from the best down, an object goes if one that stays, of its class and of another tile, covers
    it. Objects of one tile leave each other alone: their detector has judged them, and so the result is that of the
    whole image. Objects in their tile's own part come before strays from beside it, then the higher score counts.

    Args:
        outlines: n polygons.
        scores: n.
        labels: n.
        tiles: n, which tile reported an object.
        strays: n bool, whether its middle lies outside that tile's part.
        iou: Intersection over union above which two are one.

    Returns:
        Indices of the objects that stay, ascending.

    Example:
        >>> boxes = shapely.box([0, 1, 9], [0, 0, 0], [4, 5, 12], [2, 2, 2])
        >>> without_doubles(boxes, np.array([0.5, 0.9, 0.1]), np.zeros(3), np.array([0, 1, 1]), np.zeros(3, bool), 0.5)
        array([1, 2])
    """
    order = np.lexsort((np.arange(len(scores)), -scores, strays))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    better, worse = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    rivals = (rank[better] < rank[worse]) & (tiles[better] != tiles[worse]) & (labels[better] == labels[worse])
    better, worse = better[rivals], worse[rivals]
    shared = shapely.area(shapely.intersection(outlines[better], outlines[worse]))
    union = shapely.area(outlines[better]) + shapely.area(outlines[worse]) - shared
    covered = shared > iou * union
    better, worse = better[covered], worse[covered]
    stays = np.ones(len(scores), bool)
    for pair in np.argsort(rank[better], kind="stable"):  # whoever is asked has been judged by all before it
        if stays[better[pair]]:
            stays[worse[pair]] = False
    return np.flatnonzero(stays)
