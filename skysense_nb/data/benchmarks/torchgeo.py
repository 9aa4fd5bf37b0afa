"""Datasets of torchgeo as benchmarks of this library, for who has torchgeo installed and data in its layout.

torchgeo's readers agree with ours for RESISC-45, Potsdam, OSCD and PASTIS. Not for BigEarthNet v1, whose Sentinel-1 it
rounds to whole dB, nor for DIOR, whose hyphenated classes it does not know. torchgeo itself is not imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skysense_nb.data.benchmarks.files import plain
from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.errors import ParameterError


class FromTorchgeo(Dataset):
    """Records from samples of torchgeo: bands and class ids in our order, found by name.

    torchgeo tells neither ids nor dates: `id` is the number in the dataset, dates are NaT.

    Args:
        dataset: Of torchgeo, or anything that gives `image` (C H W, or T C H W) with `label`, `mask` or `bbox_xyxy`.
        name: Of the benchmark in the catalogue.
        bands: Names of the channels of `image` in their order.
        class_names: Names in the order of the dataset's ids, such as `dataset.classes`; without it ids stay.
        sensor: Of the images; may be left out where the benchmark has one.

    Raises:
        ParameterError: Bands or classes that the benchmark does not have, or several sensors and none named.

    Example:
        >>> samples = [{"image": torch.zeros(3, 8, 8), "label": torch.tensor(1)}]
        >>> FromTorchgeo(samples, "aid", bands="RGB")[0]["names"]
        'BareLand'
    """

    def __init__(
        self,
        dataset: Any,
        name: str,
        bands: Sequence[str],
        class_names: Sequence[str] | None = None,
        sensor: str | None = None,
    ) -> None:
        self.dataset, self.entry = dataset, benchmark(name)
        if sensor is None and len(self.entry.sensors) > 1:
            raise ParameterError.of(f"one of the sensors {', '.join(self.entry.sensors)}", "none", "Pass sensor=….")
        self.sensor = sensor or next(iter(self.entry.sensors))
        if self.sensor not in self.entry.sensors:
            raise ParameterError.of(f"a sensor among {', '.join(self.entry.sensors)}", repr(sensor), "Choose one.")
        wanted = self.entry.sensors[self.sensor].bands
        if absent := [band for band in wanted if band not in bands]:
            raise ParameterError.of(f"bands {', '.join(wanted)}", f"no {absent[0]}", "Name every channel in order.")
        self.channels = [list(bands).index(band) for band in wanted]
        self.ids = None if class_names is None else self.our_ids(class_names)

    def our_ids(self, class_names: Sequence[str]) -> Tensor:
        """Our id per id of the dataset."""
        known = {plain(one.name): one.id for one in self.entry.classes}
        known |= {plain(one.name): IGNORED for one in self.entry.ignored}
        if unknown := [name for name in class_names if plain(name) not in known]:
            classes = ", ".join(self.entry.class_names)
            raise ParameterError.of(f"classes {classes}", repr(unknown[0]), "Pass the benchmark's names.")
        return torch.tensor([known[plain(name)] for name in class_names])

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Record:
        sample = self.dataset[number]
        image = sample["image"] if sample["image"].ndim == 4 else sample["image"][None]
        record: Record = {
            "id": str(number),
            self.sensor: image[:, self.channels].to(torch.uint8 if self.sensor == "hr" else torch.float32),
            f"{self.sensor}_date": np.repeat(UNKNOWN_DATE, len(image)),
        }
        if "mask" in sample:
            record["mask"] = self.renamed(sample["mask"].squeeze(0))
        if "bbox_xyxy" in sample:
            labels = self.renamed(sample["label"])
            record |= {"bbox_xyxy": sample["bbox_xyxy"].float(), "bbox_label": labels}
            record["names"] = tuple(self.entry.class_names[label] for label in labels.tolist())
        elif "label" in sample:
            record["label"] = self.renamed(sample["label"])
            record["names"] = self.entry.class_names[int(record["label"])]
        return record

    def renamed(self, ids: Tensor) -> Tensor:
        """Ids of the dataset as ours, int64."""
        return ids.long() if self.ids is None else self.ids[ids.long()]
