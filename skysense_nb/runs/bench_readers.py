"""How fast benchmarks are read, against decoding the same files and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter as now
from typing import Any

import numpy as np
import psutil
from torch.utils.data import ConcatDataset, DataLoader

from skysense_nb.data.benchmarks import READERS, Reader, open_benchmark
from skysense_nb.data.benchmarks.files import read_array, read_image, read_json, read_raster, read_xml
from skysense_nb.data.miniatures import write_miniature

SAMPLES = 48
"""Samples read while the clock runs; a small copy is read several times over."""

DECODERS = {
    ".jpg": read_image,
    ".png": read_image,
    ".tif": read_raster,
    ".npy": lambda path: np.array(read_array(path)),
    ".json": read_json,
    ".xml": read_xml,
}


@dataclass(frozen=True)
class ReaderRate:
    """How fast one benchmark is read, out of the system's file cache.

    Attributes:
        benchmark: Its name.
        workers: Processes of the DataLoader; 0 is the calling one.
        samples_per_s: Records, not collated.
        ratio: Time of a sample as a multiple of decoding its files one after the other in the calling process.
        growth_mb: Memory of the calling process after the reading, less before; None with workers.
    """

    benchmark: str
    workers: int
    samples_per_s: float
    ratio: float
    growth_mb: float | None

    def __str__(self) -> str:
        grown = "" if self.growth_mb is None else f" · {self.growth_mb:+.0f} MB"
        rate = f"{self.samples_per_s:8.1f} samples/s · {self.ratio:.2f} × decoding"
        return f"{self.benchmark:<10} {self.workers} workers · {rate}{grown}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a table or JSON."""
        return asdict(self)


def bench_readers(names: Iterable[str] = READERS, workers: Sequence[int] = (0, 2)) -> Iterator[ReaderRate]:
    """Writes a miniature of each benchmark to a temporary folder and reads it.

    Args:
        names: Benchmarks of the catalogue.
        workers: Numbers of processes that read.

    Example:
        >>> [(row.benchmark, row.workers) for row in bench_readers(["aid"], workers=[0])]
        [('aid', 0)]
    """
    for name in names:
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # gaps that miniatures have on purpose
            root = Path(folder) / name
            write_miniature(name, root)
            yield from reader_rates(open_benchmark(name, root), workers)


def reader_rates(reader: Reader, workers: Sequence[int]) -> Iterator[ReaderRate]:
    """Rates of one split with each number of workers."""
    rounds = max(1, -(-SAMPLES // len(reader)))
    files = [path for item in reader.items for path in reader.files(item) if path.suffix in DECODERS]
    for path in files:  # brings them into the cache
        DECODERS[path.suffix](path)
    start = now()
    for _ in range(rounds):
        for path in files:
            DECODERS[path.suffix](path)
    decoding = (now() - start) / (rounds * len(reader))
    for number in workers:
        loader = DataLoader(ConcatDataset([reader] * rounds), collate_fn=list, num_workers=number)
        before, start = psutil.Process().memory_info().rss, now()
        for _ in loader:
            pass
        seconds = (now() - start) / (rounds * len(reader))
        grown = (psutil.Process().memory_info().rss - before) / 1e6 if number == 0 else None
        yield ReaderRate(reader.name, number, 1 / seconds, seconds / decoding, grown)
