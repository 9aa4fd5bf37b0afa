"""How fast benchmarks are read, against decoding the same files and nothing else."""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any
from xml.etree import ElementTree

import numpy as np
import psutil
import rasterio
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader

from skysense_nb.data.benchmarks import READERS, Reader, open_benchmark
from skysense_nb.data.miniatures import write_miniature

SAMPLES = 48
"""Samples of one round; a small copy is read several times over."""

ROUNDS = 5
"""Times that decoding and reading take turns; the fastest of each counts, as other programs only ever slow them."""


def decode_image(path: Path) -> np.ndarray:
    """Colours as C H W, the form in which tensors hold them, or H W."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1).copy() if pixels.ndim == 3 else pixels


def decode_raster(path: Path) -> np.ndarray:
    """All bands as they are stored."""
    with rasterio.open(path) as raster:
        return raster.read()


DECODERS: dict[str, Callable[[Path], object]] = {
    ".jpg": decode_image,
    ".png": decode_image,
    ".tif": decode_raster,
    ".npy": np.load,
    ".json": lambda path: json.loads(path.read_text()),
    ".xml": ElementTree.parse,
}
"""What reading a file takes without any library of ours: one opening, no checks, numbers as they are stored."""


@dataclass(frozen=True)
class ReaderRate:
    """How fast one benchmark is read, out of the system's file cache.

    Attributes:
        benchmark: Its name.
        workers: Processes of the DataLoader; 0 is the calling one.
        samples_per_s: Records, not collated; by processor time with 0 workers, else by the clock.
        ratio: Time of a sample as a multiple of decoding its files one after the other in the calling process.
        growth_mb: Memory of the calling process after all rounds, less before; None with workers.
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
            warnings.simplefilter("ignore", UserWarning)  # gaps that miniatures have on purpose, no georeferences
            root = Path(folder) / name
            write_miniature(name, root)
            yield from reader_rates(open_benchmark(name, root), workers)


def reader_rates(reader: Reader, workers: Sequence[int]) -> Iterator[ReaderRate]:
    """Rates of one split with each number of workers."""
    times = max(1, -(-SAMPLES // len(reader)))
    files = [path for item in reader.items for path in reader.files(item) if path.suffix in DECODERS]

    def decode() -> None:
        for path in files * times:
            DECODERS[path.suffix](path)

    for number in workers:
        loader = DataLoader(ConcatDataset([reader] * times), collate_fn=list, num_workers=number)
        read = partial(deque, loader, maxlen=0)
        clock = perf_counter if number else process_time  # one process: what others do then matters less
        decode(), read()  # files come into the cache, and memory to its usual size
        before = psutil.Process().memory_info().rss
        rounds = [(seconds(decode, clock), seconds(read, clock)) for _ in range(ROUNDS)]
        grown = (psutil.Process().memory_info().rss - before) / 1e6 if number == 0 else None
        decoding, reading = (min(column) for column in zip(*rounds, strict=True))
        yield ReaderRate(reader.name, number, times * len(reader) / reading, reading / decoding, grown)


def seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """How long a call takes."""
    start = clock()
    work()
    return clock() - start
