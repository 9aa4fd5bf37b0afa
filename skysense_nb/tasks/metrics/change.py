"""Metrics of change: between two dates, and of land cover from month to month."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix
from torchmetrics.utilities import dim_zero_cat

from skysense_nb.errors import SampleError
from skysense_nb.tasks.metrics.labels import UNDEFINED, ScoresMetric
from skysense_nb.tasks.metrics.masks import checked_masks
from skysense_nb.tasks.scores import Scores
from skysense_nb.tasks.semantic_change import semantic_change_scores

IGNORED = 255
MONTHLY = re.compile(r"(.+)_(\d{4}-\d{2})")
"""Name of a sample of one month: cube and month."""

LONGEST_NAME = 64
"""Bytes of a name, which travels between processes as a row of a tensor."""


class ChangeF1(ScoresMetric, MulticlassConfusionMatrix):
    """F1 of the class "change", of all pixels of all images together.

    2 TP / (2 TP + FP + FN). An image without change adds nothing but its false alarms; a mean of images would have to
    invent a number for it. Pixels whose truth is 255 do not count.

    Example:
        >>> change = ChangeF1()
        >>> change.update({"mask": torch.tensor([[[1, 1, 0]]])}, {"mask": torch.tensor([[[1, 0, 1]]])})
        >>> print(change.compute())
        F1 50.0 %: change 50.0
    """

    higher_is_better = True

    def __init__(self, **options: Any) -> None:
        super().__init__(2, ignore_index=IGNORED, validate_args=False, **options)

    def update(self, prediction: dict[str, Tensor], truth: dict[str, Tensor]) -> None:
        """Counts the pixels of a batch.

        Args:
            prediction: `mask`, B H W, 1 for change and 0 for none.
            truth: `mask`, B H W, likewise, or 255.

        Raises:
            SampleError: Shapes that do not fit, or other ids.
        """
        super().update(*checked_masks(prediction, truth, 2, IGNORED))

    def compute(self) -> Scores:
        """F1 with precision, recall and IoU, each NaN where it is not defined."""
        _, alarms, missed, hits = self.confmat.cpu().double().flatten()
        f1 = (2 * hits / (2 * hits + alarms + missed)).item()
        others = {
            "precision": (hits / (hits + alarms)).item(),
            "recall": (hits / (hits + missed)).item(),
            "IoU": (hits / (hits + alarms + missed)).item(),
        }
        return Scores("F1", f1, {"change": f1} if hits + missed > 0 else {}, others)


class SemanticChangeMetric(ScoresMetric):
    """The score of DynamicEarthNet for semantic change, of cubes that come in any order, whole or month by month.

    SCS is the mean of BC (IoU of the pixels that change) and SC (mean IoU of what they become), see
    `semantic_change_scores`. Pairs are consecutive months, so all maps are kept until the end: a byte per pixel and
    side, 0.5 GB for ten cubes of 24 months at full size. A month that comes twice with the same truth counts once, as
    samplers that divide a split among processes repeat some. A cube with one month has no pair and is left out.

    Args:
        classes: Names in the order of ids.

    Example:
        >>> change = SemanticChangeMetric(["soil", "water"])
        >>> mask = torch.tensor([[[0, 1]], [[0, 0]]])
        >>> change.update({"mask": mask}, {"mask": mask, "id": ["1_2_3_2018-01", "1_2_3_2018-02"]})
        >>> print(change.compute())
        SCS 100.0 %: soil 100.0, water 100.0
    """

    higher_is_better = True
    names: list[Tensor]
    sizes: list[Tensor]
    said: list[Tensor]
    true: list[Tensor]

    def __init__(self, classes: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.classes = tuple(classes)
        for state in ("names", "sizes", "said", "true"):  # pixels in a row, as cubes may differ in size
            self.add_state(state, [], dist_reduce_fx="cat")

    def update(self, prediction: dict[str, Tensor], truth: dict[str, Any]) -> None:
        """Keeps a batch.

        Args:
            prediction: `mask`, B H W ids of one month each, or B T H W of whole cubes.
            truth: `mask`, likewise, or 255; `id`, B names, such as 6475_3361_13_2018-02 of a month or 6475_3361_13 of
                a cube.

        Raises:
            SampleError: Shapes that do not fit, ids that are no class, names that do not tell the month.
        """
        said, true = checked_masks(prediction, truth, len(self.classes), IGNORED)
        if len(truth["id"]) != len(true):
            raise SampleError.of(f"{len(true)} names in id", f"{len(truth['id'])}", "Pass the id of each sample.")
        names = [name for sample in truth["id"] for name in month_names(sample, true.shape[1:])]
        said, true = (masks.reshape(len(names), -1).to(torch.uint8) for masks in (said, true))
        self.names.append(torch.stack([encode(name) for name in names]).to(true.device))
        self.sizes.append(torch.full((len(names),), true.shape[1], device=true.device))
        self.said.append(said.flatten())
        self.true.append(true.flatten())

    def compute(self) -> Scores:
        """SCS with BC, SC and mIoU, and IoU per class of the truth; NaN without a pair of months."""
        true, said = self.cubes()
        if single := [cube for cube, maps in true.items() if len(maps) == 1]:
            warnings.warn(f"{len(single)} cubes with one month are left out, {single[0]} among them.", stacklevel=2)
            true, said = ({cube: side[cube] for cube in side if cube not in single} for side in (true, said))
        if not true:
            return Scores("SCS", UNDEFINED)
        found = semantic_change_scores(true, said, len(self.classes), IGNORED)
        seen = set().union(*(np.unique(maps).tolist() for maps in true.values()))
        per_class = {name: found.iou[index] for index, name in enumerate(self.classes) if index in seen}
        return Scores("SCS", found.scs, per_class, {"BC": found.bc, "SC": found.sc, "mIoU": found.miou})

    def cubes(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Maps per cube in the order of months, true and predicted, each T 1 pixels."""
        if not len(self.names):
            return {}, {}
        sizes = dim_zero_cat(self.sizes).tolist()
        true, said = (dim_zero_cat(side).cpu().split(sizes) for side in (self.true, self.said))
        months: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for number, name in enumerate(decode(row) for row in dim_zero_cat(self.names).cpu()):
            cube, month = name.split("\n")
            first = months[cube].setdefault(month, number)
            if not torch.equal(true[first], true[number]):
                got = "two, with different truths"
                raise SampleError.of(f"one map of cube {cube}, {month}", got, "Put the crops of a month together.")
        return tuple({cube: in_order(cube, numbers, side) for cube, numbers in months.items()} for side in (true, said))


def in_order(cube: str, numbers: dict[str, int], maps: Sequence[Tensor]) -> np.ndarray:
    """The maps of a cube by month, T 1 pixels."""
    series = [maps[numbers[month]] for month in sorted(numbers)]
    if len(lengths := {len(pixels) for pixels in series}) > 1:
        raise SampleError.of(f"maps of one size in cube {cube}", f"{sorted(lengths)} pixels", "Cut all months alike.")
    return torch.stack(series)[:, None].numpy()


def month_names(sample: str, shape: Sequence[int]) -> list[str]:
    """Cube and month, in two lines, of each map of a sample of H W or T H W.

    Example:
        >>> month_names("1_2_3_2018-01", (8, 8)), month_names("1_2_3", (2, 8, 8))
        (['1_2_3\\n2018-01'], ['1_2_3\\nmonth 0000', '1_2_3\\nmonth 0001'])
    """
    if len(shape) == 3:
        return [f"{sample}\nmonth {number:04d}" for number in range(shape[0])]
    if not (match := MONTHLY.fullmatch(sample)):
        raise SampleError.of("an id of cube and month, such as 1_2_3_2018-01", repr(sample), "Keep the reader's id.")
    return ["\n".join(match.groups())]


def encode(name: str) -> Tensor:
    """A name as bytes, filled up with zeros.

    Example:
        >>> decode(encode("1_2_3"))
        '1_2_3'
    """
    written = name.encode()
    if len(written) > LONGEST_NAME:
        raise SampleError.of(f"names of at most {LONGEST_NAME} bytes", repr(name), "Shorten the id.")
    return torch.tensor(list(written.ljust(LONGEST_NAME, b"\0")), dtype=torch.uint8)


def decode(row: Tensor) -> str:
    """The name that `encode` was given."""
    return bytes(row.tolist()).rstrip(b"\0").decode()
