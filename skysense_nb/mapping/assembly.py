"""From finished tiles to one raster: block by block, so that memory does not grow with the area."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from skysense_nb.mapping.job import Job, Result
from skysense_nb.mapping.ledger import Ledger
from skysense_nb.mapping.tiles import Span, Tile

KEPT_BYTES = 16 * 2**20
"""Of tiles that stay in memory between blocks."""

Block = tuple[slice, slice]


class Mosaic:
    """Blended values of all tiles, for any block of the map.

    Args:
        job: What was mapped.
        ledger: With every piece finished.
    """

    def __init__(self, job: Job, ledger: Ledger) -> None:
        self.job, self.ledger = job, ledger
        self.by = job.product.pixels_per_cell
        self.shape = tuple(side * self.by for side in job.tiling.shape)
        self.recent: OrderedDict[int, Result] = OrderedDict()
        self.rows, self.columns = (job.tiling.spans(axis) for axis in (0, 1))
        found = [ledger.largest(number) for number in range(len(job.pieces))]
        found = [largest for largest in found if largest is not None]
        self.largest = np.max(found, 0) if found else np.zeros(1, "float32")

    def blocks(self, side: int) -> Iterator[Block]:
        """Blocks of at most `side` × `side` pixels that cover the map, row by row."""
        for top in range(0, self.shape[0], side):
            for left in range(0, self.shape[1], side):
                yield slice(top, min(top + side, self.shape[0])), slice(left, min(left + side, self.shape[1]))

    def block(self, block: Block) -> tuple[np.ndarray, np.ndarray] | None:
        """Averaged values (K h w, float32) and where the ground was seen (h w); None where nothing was."""
        size = tuple(edge.stop - edge.start for edge in block)
        total, weight, seen = None, np.zeros(size, "float32"), np.zeros(size, bool)
        for row, rows in self.over(self.rows, block[0]):
            for column, columns in self.over(self.columns, block[1]):
                result = self.result(row * len(self.columns) + column, Tile(rows, columns))
                if result.values is None:
                    continue
                here, there = self.shared(result.tile, block)
                share = self.weights(result.tile)[there] * result.seen[there]
                total = np.zeros((len(result.values), *size), "float32") if total is None else total
                total[:, *here] += result.values[:, *there].astype("float32") * share
                weight[here] += share
                seen[here] |= result.seen[there]
        if total is None:
            return None
        return np.divide(total, weight, out=total, where=weight > 0), seen

    def over(self, spans: list[Span], edge: slice) -> list[tuple[int, Span]]:
        """Tiles along one axis whose kept part meets a block."""
        kept = enumerate(spans)
        return [(n, span) for n, span in kept if span.first * self.by < edge.stop and span.last * self.by > edge.start]

    def shared(self, tile: Tile, block: Block) -> tuple[Block, Block]:
        """The pixels a tile and a block share: within the block, and within the tile's kept part."""
        here, there = [], []
        for span, edge in zip((tile.rows, tile.columns), block, strict=True):
            start, stop = max(span.first * self.by, edge.start), min(span.last * self.by, edge.stop)
            here.append(slice(start - edge.start, stop - edge.start))
            there.append(slice(start - span.first * self.by, stop - span.first * self.by))
        return tuple(here), tuple(there)

    def weights(self, tile: Tile) -> np.ndarray:
        """How much each kept pixel of a tile counts, h w."""
        tiling = self.job.tiling
        rows = tiling.weights(tile.rows, tiling.shape[0], self.by)
        return rows[:, None] * tiling.weights(tile.columns, tiling.shape[1], self.by)

    def result(self, number: int, tile: Tile) -> Result:
        """A tile from its piece; those used last stay in memory."""
        if number not in self.recent:
            self.recent[number] = self.ledger.result(*divmod(number, self.job.batch), tile)
            while len(self.recent) > 1 and sum(map(size_of, self.recent.values())) > KEPT_BYTES:
                self.recent.popitem(last=False)
        self.recent.move_to_end(number)
        return self.recent[number]


def size_of(result: Result) -> int:
    """Bytes of a tile's values."""
    return 0 if result.values is None else result.values.nbytes
