"""How fast tiles come to pre-training: stored ones that are read, and places that are made on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter as now
from typing import Any

from torch.utils.data import DataLoader, Dataset

from skysense_nb.pretraining.places import SyntheticPlaces
from skysense_nb.pretraining.tiles import collate_tiles, open_tiles
from skysense_nb.training.sampler import EndlessSampler

STORED_BATCHES, PLACES = 16, 8
"""Batches of stored tiles that are read, and places that are made, while the clock runs."""


@dataclass(frozen=True)
class DataRate:
    """How fast batches come from one kind of data, with nothing else to do.

    Attributes:
        source: `stored tiles`, here out of the system's file cache, or `synthetic places`, made on the way.
        workers: Processes of the DataLoader; 0 is the training process.
        tiles_per_s: Read, or made, and collated.
        ratio: `tiles_per_s` as a multiple of the fastest training measured beside it; 2 leaves room for a busy disk.
    """

    source: str
    workers: int
    tiles_per_s: float
    ratio: float

    def __str__(self) -> str:
        rate = f"{self.tiles_per_s:8.2f} tiles/s, {self.ratio:.3g} × training"
        return f"{self.source:<17} {self.workers} workers · {rate}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a table or JSON."""
        return asdict(self)


def bench_data(
    places: SyntheticPlaces, folder: str | Path, batch: int, training: float, workers: Sequence[int] = (0, 2)
) -> Iterator[DataRate]:
    """Measures how fast batches come while nothing is trained: first stored tiles, then places.

    Args:
        places: What is made on the way; those after the first `batch` are.
        folder: Tiles of such places.
        batch: Tiles of a batch.
        training: Tiles per second that training takes.
        workers: Numbers of processes that prepare data.

    Example:
        >>> from skysense_nb.pretraining.tiles import write_tiles
        >>> places = SyntheticPlaces(cells=2, s2_dates=1, s1_dates=1)
        >>> folder = write_tiles("rate", places, count=1)
        >>> [row.source for row in bench_data(places, folder, batch=1, training=1.0, workers=[0])]
        ['stored tiles', 'synthetic places']
    """
    stored = open_tiles(folder)
    for number in workers:
        rate = data_rate(stored, EndlessSampler(count=len(stored)), batch, number, STORED_BATCHES)
        yield DataRate("stored tiles", number, rate, rate / training)
    for number in workers:
        rate = data_rate(places, EndlessSampler(batch), 1, number, PLACES)
        yield DataRate("synthetic places", number, rate, rate / training)


def data_rate(tiles: Dataset, sampler: EndlessSampler, batch: int, workers: int, batches: int) -> float:
    """Tiles per second of a DataLoader that has started."""
    loader = iter(DataLoader(tiles, batch, sampler=sampler, collate_fn=collate_tiles, num_workers=workers))
    for _ in islice(loader, max(1, workers)):
        pass
    start = now()
    for _ in islice(loader, batches):
        pass
    return batch * batches / (now() - start)
