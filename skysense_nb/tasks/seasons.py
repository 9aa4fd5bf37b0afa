"""Parts of a series: the dates so far, or the one nearest to a day."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.errors import ParameterError
from skysense_nb.sensors import SENSORS
from skysense_nb.tasks.reader_layer import ReaderLayer


class Season(ReaderLayer):
    """A reader whose records have only some of their dates, of every sensor at least one.

    Args:
        reader: Of a benchmark with series.
        until: The last day, such as "2019-05-31"; where a sensor has no date so early, its first one stays.
        nearest: A day of which only the nearest date of every sensor stays, the earlier one of two.

    Raises:
        ParameterError: Both or neither are given, or what is given is no day.

    Example:
        >>> Season(open_benchmark("pastis", root), nearest="2019-05-01")[0]["s2"].shape      # doctest: +SKIP
        torch.Size([1, 10, 128, 128])
    """

    def __init__(self, reader: Reader | ReaderLayer, until: str | None = None, nearest: str | None = None) -> None:
        super().__init__(reader)
        if (until is None) == (nearest is None):
            raise ParameterError.of("either until or nearest", f"until={until}, nearest={nearest}", "Pass one of them.")
        day_of(until or nearest)
        self.until, self.nearest = until or "", nearest or ""  # plain values, by which caches tell layers apart

    def __getitem__(self, index: int) -> Record:
        record = dict(self.reader[index])
        for name in SENSORS:
            if name in record:
                kept = self.kept(record[f"{name}_date"])
                record[name], record[f"{name}_date"] = record[name][kept], record[f"{name}_date"][kept]
        return record

    def kept(self, dates: np.ndarray) -> np.ndarray:
        """Which dates stay, indices; they need not be in order."""
        days = dates.astype("datetime64[D]")
        if self.nearest:
            return np.abs(days - day_of(self.nearest)).argmin(keepdims=True)
        so_far = np.flatnonzero(days <= day_of(self.until))
        return so_far if len(so_far) else days.argmin(keepdims=True)


def day_of(text: str) -> np.datetime64:
    """A day from its text.

    Raises:
        ParameterError: It is none.
    """
    try:
        return np.datetime64(text, "D")
    except ValueError as error:
        raise ParameterError.of("a day such as 2019-05-31", repr(text), "Write year, month and day.") from error
