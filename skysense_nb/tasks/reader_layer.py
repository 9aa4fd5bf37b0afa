"""What stands between a reader and its samples, and looks like a reader."""

from __future__ import annotations

from abc import ABC, abstractmethod

from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.data.catalog import Benchmark


class ReaderLayer(ABC):
    """A split with something done to its records; layers can be stacked.

    Args:
        reader: What it reads.
    """

    def __init__(self, reader: Reader | ReaderLayer) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return len(self.reader)

    @abstractmethod
    def __getitem__(self, index: int) -> Record:
        """A record, changed; that of the reader stays as it is."""

    @property
    def entry(self) -> Benchmark:
        """Of the catalogue."""
        return self.reader.entry

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of ids."""
        return self.reader.class_names
