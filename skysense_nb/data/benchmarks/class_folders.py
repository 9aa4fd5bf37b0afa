"""AID and RESISC-45: one folder per kind of place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from skysense_nb.data.benchmarks.files import plain, read_image
from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Reader, Record
from skysense_nb.data.benchmarks.shares import class_share
from skysense_nb.errors import DatasetError, ParameterError


@dataclass(frozen=True)
class Labelled:
    """An image file and its class."""

    path: Path
    label: int


class ClassFolders(Reader):
    """Images in folders named after their class.

    Neither benchmark has an official split. A share of each class is drawn with a seed and written beside the data;
    `train` is that share and `test` the rest, as in SkySense.

    Args:
        root: The folder that holds `AID` or `NWPU-RESISC45`, or that folder itself.
        split: train or test.
        share: Of each class for training: the papers use 0.2 and 0.5 for AID, 0.1 and 0.2 for RESISC-45.
        seed: Of the draw.
    """

    splits = ("train", "test")
    folder: ClassVar[str]

    def __init__(self, root: str | Path, split: str = "train", share: float = 0.2, seed: int = 0) -> None:
        if not 0 < share < 1:
            raise ParameterError.of("a share between 0 and 1", f"{share}", "The papers use 0.1, 0.2 or 0.5.")
        self.share, self.seed = share, seed
        super().__init__(root, split)

    def index(self) -> list[Labelled]:
        top = self.root.first(self.folder, ".")
        ids = {plain(name): number for number, name in enumerate(self.class_names)}
        folders = [path for path in sorted(top.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        if unknown := [path.name for path in folders if plain(path.name) not in ids]:
            got = f"a folder {unknown[0]}"
            raise DatasetError.of(f"folders named after classes of {self.entry.title}", got, self.root.advice)
        found = [
            Labelled(path, ids[plain(folder.name)]) for folder in folders for path in self.root.list(folder, ".jpg")
        ]
        classes = {one.path.name: one.label for one in found}
        chosen = class_share(self.root, self.name, classes, self.share, self.seed) if found else set()
        return [one for one in found if (one.path.name in chosen) == (self.split == "train")]

    def read(self, item: Labelled) -> Record:
        image = read_image(self.root.file(item.path))
        return {
            "id": item.path.stem,
            "hr": image[None],
            "hr_date": UNKNOWN_DATE.reshape(1),
            "label": torch.tensor(item.label),
            "names": self.class_names[item.label],
        }

    def files(self, item: Labelled) -> list[Path]:
        return [item.path]


class AID(ClassFolders):
    """AID: `AID/<Class>/<class>_<n>.jpg`."""

    name, folder = "aid", "AID"


class RESISC45(ClassFolders):
    """NWPU-RESISC45: `NWPU-RESISC45/<class>/<class>_NNN.jpg`."""

    name, folder = "resisc45", "NWPU-RESISC45"
