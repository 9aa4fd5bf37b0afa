"""The best of very many cells: kept few at a time, and picked so that they lie apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Cells:
    """Some cells of a grid.

    Attributes:
        similarity: n, the score they are ranked by.
        rows: n.
        columns: n.
    """

    similarity: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def none(cls) -> Cells:
        """No cells."""
        return cls(np.zeros(0, "float32"), np.zeros(0, int), np.zeros(0, int))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: np.ndarray) -> Cells:
        return Cells(self.similarity[which], self.rows[which], self.columns[which])

    def and_then(self, more: Cells) -> Cells:
        """These cells, and others after them."""
        pairs = ((getattr(self, name), getattr(more, name)) for name in ("similarity", "rows", "columns"))
        return Cells(*map(np.concatenate, pairs))

    def ranked(self, limit: int) -> Cells:
        """The best, at most `limit`; equal ones in reading order."""
        return self[np.lexsort((self.columns, self.rows, -self.similarity))[:limit]]

    def places(self, step_m: tuple[float, float]) -> np.ndarray:
        """Where they lie, metres from the corner, n 2."""
        return np.stack([self.rows * step_m[0], self.columns * step_m[1]], axis=1)


def best_cells(
    blocks: Iterable[tuple[tuple[slice, slice], np.ndarray]],
    limit: int,
    taken: Cells,
    apart_m: float,
    step_m: tuple[float, float],
) -> Cells:
    """The best cells of a grid that comes block by block, the best first.

    Args:
        blocks: Rows and columns of a block, and its scores h w; NaN is no cell.
        limit: How many to keep.
        taken: Cells that others must keep away from.
        apart_m: How far, metres.
        step_m: From row to row and from column to column, metres.

    Example:
        >>> block = (slice(0, 1), slice(5, 8)), np.array([[0.1, 0.9, np.nan]])
        >>> best_cells([block], 1, Cells.none(), 0, (10, 10)).columns.tolist()
        [6]
    """
    best, least = Cells.none(), -np.inf
    crowd = cKDTree(taken.places(step_m)) if len(taken) and apart_m else None
    for (rows, columns), scores in blocks:
        row, column = np.nonzero(scores >= least)
        more = Cells(scores[row, column], row + rows.start, column + columns.start)
        if crowd is not None and len(more):
            more = more[crowd.query(more.places(step_m))[0] >= apart_m]
        best = best.and_then(more)
        if len(best) > 2 * limit:
            best = best.ranked(limit)
            least = best.similarity[-1]
    return best.ranked(limit)


def spread_out(cells: Cells, count: int, apart_m: float, step_m: tuple[float, float]) -> Cells:
    """From ranked cells the first, the next that is far enough from it, and so on.

    Example:
        >>> three = Cells(np.array([0.9, 0.8, 0.7]), np.array([0, 0, 0]), np.array([0, 1, 2]))
        >>> spread_out(three, 2, apart_m=20, step_m=(10, 10)).columns.tolist()
        [0, 2]
    """
    if not apart_m:
        return cells[np.arange(min(count, len(cells)))]
    places, free, taken = cells.places(step_m), np.ones(len(cells), bool), []
    while len(taken) < count and free.any():
        taken.append(int(free.argmax()))
        free &= np.hypot(*(places - places[taken[-1]]).T) >= apart_m
    return cells[np.array(taken, int)]
