"""Classes of a whole place, one or several: a linear layer on the mean of its cells, or on what a query picks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.models.features import Features
from skysense_nb.tasks.heads.head import Batch, Head, Prediction, initialise

if TYPE_CHECKING:
    from torchmetrics import Metric

POOLINGS = ("mean", "attentive")


class AttentivePooling(nn.Module):
    """One learned query that reads all cells, as in the probes of CoCa and V-JEPA; heads of 64 channels, our choice.

    Example:
        >>> AttentivePooling(128)(torch.rand(2, 128, 4, 4)).shape
        torch.Size([2, 128])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, max(1, width // 64), batch_first=True)

    def forward(self, cells: Tensor) -> Tensor:
        """B D h w to B D."""
        tokens = self.norm(cells.flatten(2).transpose(1, 2))  # B N D
        query = self.query.expand(len(cells), -1, -1)
        return self.attention(query, tokens, tokens, need_weights=False)[0][:, 0]


class LabelHead(Head):
    """Scene classification, of an image or a series: cross-entropy, one class.

    Args:
        width: Channels of the model's richest map, `model.width`.
        classes: Names in the order of ids.
        pooling: `mean`: the pooled vector of the model; `attentive`: see `AttentivePooling`.

    Example:
        >>> from skysense_nb.models import Features
        >>> cells = torch.rand(2, 8, 3, 3)
        >>> features = Features(maps={}, fused=cells, pooled=cells.mean((2, 3)), valid=torch.ones(2, 1).bool())
        >>> LabelHead(8, ["forest", "village"])(features, {}).shape
        torch.Size([2, 2])
    """

    def __init__(self, width: int, classes: Sequence[str], pooling: str = "mean") -> None:
        super().__init__(classes)
        if pooling not in POOLINGS:
            raise ParameterError.of(f"a pooling among {', '.join(POOLINGS)}", repr(pooling), "Choose one of these.")
        self.pooling = AttentivePooling(width) if pooling == "attentive" else None
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, len(self.classes))
        initialise(self.classifier)

    def forward(self, features: Features, batch: Batch) -> Tensor:
        """Logits, B K."""
        vectors = features.pooled if self.pooling is None else self.pooling(features.richest)
        return self.classifier(self.norm(vectors))

    def loss(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy with `label`, B int64."""
        self.check_ids(batch["label"])
        return {"label": F.cross_entropy(outputs.float(), batch["label"])}

    def predict(self, outputs: Tensor, batch: Batch) -> Prediction:
        """The likeliest class, and the share of each."""
        scores = outputs.float().softmax(1)
        return {"label": scores.argmax(1), "label_score": scores}

    def metric(self) -> Metric:
        """Overall accuracy, with top-5 where there are that many classes."""
        from skysense_nb.tasks.metrics.labels import Accuracy

        return Accuracy(self.classes, top=(1, 5) if len(self.classes) > 5 else (1,))


class MultiLabelHead(LabelHead):
    """Any number of classes at once: a sigmoid and binary cross-entropy per class.

    Args:
        width, classes, pooling: As for `LabelHead`.
        average: Of the average precision, `micro` or `macro`: papers on BigEarthNet print either.
    """

    def __init__(self, width: int, classes: Sequence[str], pooling: str = "mean", average: str = "micro") -> None:
        super().__init__(width, classes, pooling)
        self.average = average

    def loss(self, outputs: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Binary cross-entropy with `label`, B K bool, mean over both."""
        if batch["label"].shape != outputs.shape:
            expected, got = f"labels of {tuple(outputs.shape)}", f"{tuple(batch['label'].shape)}"
            raise SampleError.of(expected, got, "Build the head with the class names of this dataset.")
        return {"label": F.binary_cross_entropy_with_logits(outputs.float(), batch["label"].float())}

    def predict(self, outputs: Tensor, batch: Batch) -> Prediction:
        """Classes above one half, and the score of each."""
        scores = outputs.float().sigmoid()
        return {"label": scores > 0.5, "label_score": scores}

    def metric(self) -> Metric:
        """Mean average precision."""
        from skysense_nb.tasks.metrics.labels import MeanAveragePrecision

        return MeanAveragePrecision(self.classes, average=self.average)
