"""LEVIR-CD: pairs of aerial images and where buildings changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skysense_nb.data.benchmarks.files import decode, natural, read_image
from skysense_nb.data.benchmarks.reader import UNKNOWN_DATE, Reader, Record
from skysense_nb.errors import DatasetError

CHANGED = 255
FOLDERS = ("A", "B", "label")


class LEVIRCD(Reader):
    """LEVIR-CD: `{train,val,test}/{A,B,label}/<split>_<n>.png`, A before and B after.

    `hr` holds both dates, A first; days are not published. `mask` is 1 where the file has 255. Pairs come in the order
    of their numbers. The flat tree `{A,B,label}` that some tools want is refused, and so are images with a fourth band:
    the demo pictures of BIT are screenshots, not files of this dataset.

    Args:
        root: The folder that holds `train`, `val` and `test`; those of other splits may be missing.
        split: train, val or test.
    """

    name = "levir_cd"

    def index(self) -> list[str]:
        if self.root.inside("A").is_dir() and not self.root.inside(self.split).is_dir():
            advice = "Unpack the archives of the three splits into folders of their names."
            raise DatasetError.of(f"the folder {self.split}/A in {self.root.given}", "one A for all splits", advice)
        before, *others = ([path.name for path in self.root.list(f"{self.split}/{one}", ".png")] for one in FOLDERS)
        for folder, names in zip(FOLDERS[1:], others, strict=True):
            if alone := sorted(set(before) ^ set(names), key=natural):
                lacking = folder if alone[0] in before else "A"
                self.root.file(self.split, lacking, alone[0])  # names what is missing
        return before

    def read(self, item: str) -> Record:
        before, after, label = self.files(item)
        images = [read_image(path, stored="RGB") for path in (before, after)]
        mask = changed(label)
        if not images[0].shape[1:] == images[1].shape[1:] == mask.shape:
            sizes = (images[0].shape[1:], images[1].shape[1:], mask.shape)
            got = ", ".join(f"{height} × {width}" for height, width in sizes)
            raise DatasetError.of(f"one size of A, B and label of {self.split}/{item}", got, "Get the official files.")
        return {
            "id": Path(item).stem,
            "hr": torch.stack(images),  # 2 3 H W
            "hr_date": UNKNOWN_DATE.repeat(2),
            "mask": mask,
        }

    def files(self, item: str) -> list[Path]:
        return [self.root.file(self.split, folder, item) for folder in FOLDERS]


def changed(path: Path) -> Tensor:
    """1 where a grey label file has 255, else 0; H W int64."""
    label = decode(path, stored="L")
    found = label == CHANGED
    if (odd := (label != 0) != found).any():
        raise DatasetError.of(f"0 and {CHANGED} in {path}", f"{label[odd][0]}", "Get the official file.")
    return torch.from_numpy(found.astype(np.int64))
