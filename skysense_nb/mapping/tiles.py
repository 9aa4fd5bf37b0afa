"""Where the tiles of a map lie: windows on one grid of ground cells, exact for every sensor.

A model reads a tile with its margin and everything on it; kept is what lies inside the margin. Kept parts meet or
overlap, and together cover every cell. At the edge of the scene there is no margin to cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skysense_nb.errors import ParameterError

BLENDS = ("none", "mean", "linear", "cosine")


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in ground cells.

    Attributes:
        start: First cell that is read.
        stop: One past the last.
        first: First cell that is kept.
        last: One past the last.
    """

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tile:
    """One tile: its rows and its columns."""

    rows: Span
    columns: Span


@dataclass(frozen=True)
class Tiling:
    """How a grid of ground cells is cut.

    Attributes:
        shape: Rows and columns of the grid.
        side: Edge of what a model reads at once, cells.
        margin: Cells at each side whose output is thrown away: what they would need to see lies outside the tile.
        overlap: Cells that the kept parts of neighbours share.
        blend: How shared cells are put together. `none`: each tile up to the middle of the shared part. `mean`: equal
            weights. `linear`, `cosine`: a tile counts less towards its edge, but never nothing.

    Raises:
        ParameterError: Numbers that leave nothing to keep, or an unknown blend.

    Example:
        >>> [(span.first, span.last) for span in Tiling((9, 9), side=5, margin=1).spans(0)]
        [(0, 4), (4, 7), (5, 9)]
    """

    shape: tuple[int, int]
    side: int
    margin: int = 0
    overlap: int = 0
    blend: str = "cosine"

    def __post_init__(self) -> None:
        if self.blend not in BLENDS:
            raise ParameterError.of(f"a blend among {', '.join(BLENDS)}", repr(self.blend), "Choose one of these.")
        if min(self.shape) < 1:
            raise ParameterError.of("at least one ground cell", f"{self.shape}", "Choose a larger area.")
        if self.margin < 0 or self.overlap < 0 or self.step < 1:
            got = f"tiles of {self.side} cells, a margin of {self.margin} and an overlap of {self.overlap}"
            raise ParameterError.of("tiles larger than twice the margin and the overlap", got, "Take larger tiles.")

    @property
    def step(self) -> int:
        """Cells from one tile to the next."""
        return self.side - 2 * self.margin - self.overlap

    def spans(self, axis: int) -> list[Span]:
        """The tiles along one axis; the last one begins earlier where tiles do not fit, so that all are of one size."""
        length = self.shape[axis]
        if length <= self.side:
            return [Span(0, length, 0, length)]
        starts = [*range(0, length - self.side, self.step), length - self.side]
        ends = [start + self.side for start in starts]
        firsts = [0, *(start + self.margin for start in starts[1:])]
        lasts = [*(end - self.margin for end in ends[:-1]), length]
        if self.blend == "none":
            middles = [(last + first) // 2 for last, first in zip(lasts[:-1], firsts[1:], strict=True)]
            firsts, lasts = [0, *middles], [*middles, length]
        return [Span(*edges) for edges in zip(starts, ends, firsts, lasts, strict=True)]

    def tiles(self) -> list[Tile]:
        """All tiles, row by row."""
        columns = self.spans(1)
        return [Tile(rows, column) for rows in self.spans(0) for column in columns]

    def weights(self, span: Span, length: int, scale: int = 1) -> np.ndarray:
        """How much each kept pixel of a tile counts along one axis; above zero everywhere.

        Args:
            span: The tile.
            length: Of the grid along this axis, cells.
            scale: Pixels per cell.

        Example:
            >>> Tiling((1, 9), side=6, overlap=2, blend="linear").weights(Span(0, 6, 0, 6), 9)
            array([1.  , 1.  , 1.  , 1.  , 0.75, 0.25], dtype=float32)
        """
        weights = np.ones((span.last - span.first) * scale, "float32")
        shared = self.overlap * scale
        if self.blend in ("none", "mean") or not shared:
            return weights
        ramp = ((np.arange(shared) + 0.5) / shared).astype("float32")
        if self.blend == "cosine":
            ramp = np.sin(0.5 * np.pi * ramp) ** 2
        if span.first > 0:
            weights[:shared] *= ramp
        if span.last < length:
            weights[-shared:] *= ramp[::-1]
        return weights
