"""What a task puts on top of a model: outputs from features, a loss, predictions, and the metric that judges them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skysense_nb.errors import SampleError
from skysense_nb.models.features import Features

if TYPE_CHECKING:
    from torchmetrics import Metric

Batch = dict[str, Any]
"""What `collate_records` gives: sensors, and the truth under `label`, `mask` or `bbox_…`. With cached features also
`size`, the (height, width) of HR in pixels."""

Prediction = dict[str, Any]
"""Under the names of the truth, with `label_score` or `bbox_score`, 0–1, beside it.

`label` B int64 with `label_score` B K, or B K bool for several labels; `mask` B H W int64; per image in a list
`bbox_xyxy` n 4 or `bbox_corners` n 4 2, `bbox_label` n and `bbox_score` n.
"""


class Head(nn.Module, ABC):
    """One task. Everything that is trained beside the model is in here.

    Args:
        classes: Names in the order of ids.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = tuple(classes)

    @abstractmethod
    def forward(self, features: Features, batch: Batch) -> Any:
        """Outputs for `loss` and `predict`."""

    @abstractmethod
    def loss(self, outputs: Any, batch: Batch) -> dict[str, Tensor]:
        """Terms that are added up."""

    @abstractmethod
    def predict(self, outputs: Any, batch: Batch) -> Prediction:
        """What the outputs say."""

    @abstractmethod
    def metric(self) -> Metric:
        """A fresh metric: `update(prediction, batch)`, `compute()` gives `Scores`."""

    def check_ids(self, ids: Tensor, ignored: int | None = None) -> None:
        """Refuses a class that the head does not know.

        Raises:
            SampleError: It names the id.
        """
        known = (ids >= 0) & (ids < len(self.classes))
        if ignored is not None:
            known |= ids == ignored
        if not bool(known.all()):
            got = f"{sorted(set(ids[~known].tolist()))[:5]}"
            expected = f"class ids from 0 to {len(self.classes) - 1}"
            raise SampleError.of(expected, got, "Build the head with the class names of this dataset.")


def size_of(batch: Batch) -> tuple[int, int]:
    """Height and width of the HR images of a batch."""
    if "size" in batch:
        return tuple(batch["size"])
    if "hr" not in batch:
        raise SampleError.of("HR images", f"{', '.join(batch)}", "Use a dataset with this sensor.")
    return tuple(batch["hr"].shape[-2:])


def initialise(module: nn.Module, std: float = 0.01) -> None:
    """Small normal weights and zero biases in linear layers and convolutions."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.normal_(part.weight, std=std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def summed(terms: dict[str, Tensor]) -> Tensor:
    """The sum of all terms."""
    return torch.stack(list(terms.values())).sum()
