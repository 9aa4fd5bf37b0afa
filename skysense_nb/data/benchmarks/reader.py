"""What all benchmark readers have in common: splits, records, gaps that are counted, and a check before training."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch.utils.data import Dataset

from skysense_nb.data.benchmarks.files import Root, checksum, read_json
from skysense_nb.data.catalog import benchmark
from skysense_nb.errors import DatasetError, ParameterError

Record = dict[str, Any]
"""One sample as a reader gives it, unbatched and not normalised.

- `id`: its name on disk.
- `hr`, `s2`, `s1`: T C H W, the sensors that are there. `hr` R G B as uint8 0–255 (or R G B NIR, float32, where the
  benchmark has reflectance), `s2` ten bands in model order and `s1` VV VH in dB as float32. NaN: no data.
- `hr_date`, …: T datetime64[D]; NaT where the benchmark does not say.
- One or more of: `label`, int64, or K bool for several labels; `mask`, H W int64, 255 where ignored; `bbox_xyxy`, N 4
  float32 pixel edges, or `bbox_corners`, N 4 2 float32 (x, y) clockwise, with `bbox_label`, N int64.
- `instance`, H W int64, where asked for: the number of the object, 0 for none.
- `names`: the class of `label` in words, or a tuple of those of several labels or of each box.
- `crs`, `transform`: of the label grid or, where there is none, of the finest sensor, if the benchmark has them.
"""

IGNORED = 255
"""In masks."""

MASKS = ("mask", "instance")
"""Entries of a record that hold a whole number per pixel."""

UNKNOWN_DATE = np.datetime64("NaT", "D")
NOTES = ".skysense_nb"
"""Folder inside the root for seeded splits and checksums."""


@dataclass
class Verification:
    """What `verify` found.

    Attributes:
        looked_at: Samples that were read in full.
        problems: In words; none: nothing was found.
        first_time: Whether these checksums were stored now, rather than compared.
    """

    looked_at: int
    problems: list[str] = field(default_factory=list)
    first_time: bool = True

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems

    def __str__(self) -> str:
        against = "checksums stored" if self.first_time else "checksums compared"
        found = "; ".join(self.problems) or "no problems"
        return f"{self.looked_at} samples read, {against}: {found}"


class Reader(Dataset, ABC):
    """One split of a benchmark that lies on disk as its publishers laid it out.

    A subclass lists its samples in `index` and reads one in `read`. Samples that real copies are known to lack are
    passed to `skip`; they are counted in one warning.

    Args:
        root: Folder the archives were unpacked to.
        split: One of `splits`.

    Raises:
        DatasetError: The folder is not this benchmark, or nothing of this split is in it.
        ParameterError: An unknown split.
    """

    name: ClassVar[str]
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(self, root: str | Path, split: str = "train") -> None:
        self.entry = benchmark(self.name)
        if split not in self.splits:
            raise ParameterError.of(f"a split among {', '.join(self.splits)}", repr(split), "Choose one of these.")
        self.split, self.root = split, Root(root, where=self.entry.download[0])
        self.gaps: Counter[str] = Counter()
        self.items: Sequence[Any] = self.index()
        if not self.items:
            raise DatasetError.of(f"samples of {self.entry.title} {split} in {root}", "none", self.root.advice)
        if self.gaps:
            told = ", ".join(f"{count} {why}" for why, count in self.gaps.items())
            warnings.warn(f"{self.entry.title} {split}: left out {told}.", stacklevel=2)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> Record:
        return self.read(self.items[number])

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of label ids."""
        return self.entry.class_names

    @abstractmethod
    def index(self) -> Sequence[Any]:
        """Lists the samples of the split, reading as few files as possible."""

    @abstractmethod
    def read(self, item: Any) -> Record:
        """Reads one sample."""

    @abstractmethod
    def files(self, item: Any) -> list[Path]:
        """The files behind one sample."""

    def skip(self, why: str) -> None:
        """Counts a sample that is left out, such as `without an annotation`."""
        self.gaps[why] += 1

    def counted(self) -> int:
        """What the catalogue's count of this split counts: samples, unless a reader says otherwise."""
        return len(self)

    def verify(self, samples: int = 16) -> Verification:
        """Looks before a long training: counts, some samples in full, and checksums of their files.

        Checksums are stored inside the root at the first call and compared at the next, so a copy that decays, or
        differs from a colleague's, is found out.

        Args:
            samples: How many to read, spread evenly.
        """
        found = Verification(min(samples, len(self)))
        expected = self.entry.count(self.split)
        if expected is not None and self.counted() != expected:
            found.problems.append(f"{self.counted()} of {expected} {self.entry.split_unit} of {self.split}")
        found.problems += [f"{count} {why}" for why, count in self.gaps.items()]
        sums = {}
        for number in np.linspace(0, len(self) - 1, found.looked_at).astype(int):
            try:
                self[number]
                sums |= {self.root.name(path): checksum(path) for path in self.files(self.items[number])}
            except DatasetError as error:
                found.problems.append(str(error))
        notes = self.root.inside(NOTES, f"{self.name}-{self.split}-checksums.json")
        found.first_time = not notes.exists()
        stored = {} if found.first_time else read_json(notes)
        changed = [name for name, value in sums.items() if stored.get(name, value) != value]
        found.problems += [f"{name} has changed" for name in changed]
        try:
            write_notes(notes, {**sums, **stored})
        except DatasetError as error:
            found.problems.append(str(error))
        return found


def write_notes(path: Path, values: Any) -> None:
    """Writes a JSON file beside the data, all or nothing.

    Raises:
        DatasetError: The folder cannot be written to.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        beside = path.with_suffix(".part")
        beside.write_text(json.dumps(values, indent=1))
        beside.replace(path)
    except OSError as error:
        advice = "Copy the data to where you may write."
        raise DatasetError.of(f"a folder to write {path.name} to", str(error), advice) from error
