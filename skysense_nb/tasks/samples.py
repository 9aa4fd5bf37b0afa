"""A split of a benchmark as a model and a head take it: chosen sensors, one size, moved at random for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pyproj import Transformer
from torch.utils.data import Dataset

from skysense_nb.data.benchmarks.moves import Move, move
from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.data.benchmarks.samples import collate_records, to_model
from skysense_nb.errors import DatasetError
from skysense_nb.runtime import mixed_seed
from skysense_nb.sensors import SENSORS

PLACE = ("id", "crs", "transform", "grid")
"""What goes along in lists: from the record, and the height and width of the grid that `transform` is of."""


class TaskSamples(Dataset):
    """Samples of a reader, ready for a model.

    Args:
        reader: A split of a benchmark.
        sensors: Which of its sensors to use; all without it.
        cells: Rows and columns of ground cells, as for `to_model`.
        normalisation: `sensor` or `dataset`, as for `to_model`.
        largest_zoom: Of the random moves in training; 1: flips and quarter turns only.

    Raises:
        DatasetError: The benchmark does not have a sensor that was asked for.

    Example:
        >>> TaskSamples(reader, sensors=("s2",))[0]["s2"].shape      # doctest: +SKIP
        torch.Size([1, 1, 10, 120, 120])
    """

    def __init__(
        self,
        reader: Reader,
        sensors: Sequence[str] | None = None,
        cells: tuple[int, int] | None = None,
        normalisation: str = "sensor",
        largest_zoom: float = 1.0,
    ) -> None:
        self.reader, self.sensors = reader, tuple(sensors) if sensors else None
        self.cells, self.normalisation, self.largest_zoom = cells, normalisation, largest_zoom

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.prepared(self.record(index))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of ids."""
        return self.reader.class_names

    def record(self, index: int) -> Record:
        """A record with the chosen sensors alone."""
        record = self.reader[index]
        if self.sensors is None:
            return record
        if missing := [name for name in self.sensors if name not in record]:
            has = ", ".join(name for name in SENSORS if name in record)
            title = self.reader.entry.title
            raise DatasetError.of(f"{', '.join(missing)} in {title}", has, "Choose one of its sensors.")
        return {key: value for key, value in record.items() if sensor_of(key) in (None, *self.sensors)}

    def prepared(self, record: Record) -> dict[str, Any]:
        """What `to_model` makes of a record, with its id and, where it is known, its place."""
        sample = to_model(record, self.reader.entry, normalisation=self.normalisation, cells=self.cells)
        known = {name: record[name] for name in PLACE if name in record}
        return sample | known | {"grid": grid_of(record)} | lonlat(record)

    def moved(self, index: int, seed: int) -> dict[str, Any]:
        """A sample that is mirrored, turned and enlarged as the seed wants it."""
        how = Move.draw(torch.Generator().manual_seed(seed), self.largest_zoom)
        record = self.record(index)
        return self.prepared(move(record, how)) | lonlat(record)


class EndlessSamples(Dataset):
    """Samples by position in an endless, shuffled row: position p is the same for everyone who has the seed.

    Args:
        samples: A data set; with `moved(index, seed)` if its samples are to be moved.
        seed: Of order and moves.
        moves: Whether to move samples at random.

    Example:
        >>> row = EndlessSamples(["a", "b", "c"])
        >>> sorted(row[position] for position in (3, 4, 5))
        ['a', 'b', 'c']
    """

    def __init__(self, samples: Any, seed: int = 0, moves: bool = False) -> None:
        self.samples, self.seed, self.moves = samples, seed, moves
        self.epoch, self.order = -1, []

    def __getitem__(self, position: int) -> Any:
        epoch, place = divmod(position, len(self.samples))
        if epoch != self.epoch:
            generator = torch.Generator().manual_seed(mixed_seed(self.seed, epoch))
            self.epoch, self.order = epoch, torch.randperm(len(self.samples), generator=generator).tolist()
        index = self.order[place]
        return self.samples.moved(index, mixed_seed(self.seed, position)) if self.moves else self.samples[index]


def collate_tasks(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One batch: tensors as `collate_records` puts them together, ids and places in lists, None where not known.

    Raises:
        SampleError: Images or masks of different sizes.
    """
    batch = collate_records(samples)
    known = [name for name in PLACE if any(name in sample for sample in samples)]
    return batch | {name: [sample.get(name) for sample in samples] for name in known}


def sensor_of(key: str) -> str | None:
    """The sensor that an entry of a record belongs to, if any.

    Example:
        >>> sensor_of("s2_date"), sensor_of("label")
        ('s2', None)
    """
    name = key.partition("_")[0]
    return name if name in SENSORS else None


def lonlat(record: Record) -> dict[str, torch.Tensor]:
    """Where the middle of a record is: 1 2, degrees, under the name that models read; nothing where it is not known."""
    if not {"crs", "transform"} <= record.keys():
        return {}
    height, width = grid_of(record)
    x, y = record["transform"] @ (width / 2, height / 2)
    to_degrees = Transformer.from_crs(record["crs"], "EPSG:4326", always_xy=True)
    return {"lonlat": torch.tensor([to_degrees.transform(x, y)], dtype=torch.float32)}


def grid_of(record: Record) -> tuple[int, int]:
    """Height and width of the grid that a record's transform is of: of its mask, or else of its finest sensor."""
    grids = [tuple(record[name].shape[-2:]) for name in ("mask", *SENSORS) if name in record]
    return grids[0] if "mask" in record else max(grids)
