"""A class per pixel: UPerNet on four maps, or two convolutions on the fused cells; and change between two dates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.models.features import Features
from skysense_nb.tasks.heads.head import Batch, Head, Prediction
from skysense_nb.tasks.heads.levels import Widths, levels, total

if TYPE_CHECKING:
    from torchmetrics import Metric

IGNORED = 255
AUXILIARY_WEIGHT = 0.4
"""Of the second decoder, as in the published configuration for iSAID."""


class MaskHead(Head):
    """What all heads that fill a mask have in common: `forward` gives logits per decoder, the deciding one first.

    Args:
        classes: Names in the order of ids.
        metric: Which number of `MaskScores` papers report: `mIoU`, `mF1` or `OA`.
        left_out: Classes that are learned but do not count in the mean.
    """

    def __init__(self, classes: Sequence[str], metric: str = "mIoU", left_out: Sequence[str] = ()) -> None:
        super().__init__(classes)
        self.reported, self.left_out = metric, tuple(left_out)

    @abstractmethod
    def forward(self, features: Features, batch: Batch) -> list[Tensor]:
        """Logits, each B K h w on a grid of its own."""

    def loss(self, outputs: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy with `mask`, B H W int64, over the pixels that are not ignored."""
        mask = batch["mask"]
        self.check_ids(mask, IGNORED)
        terms = [mask_loss(grown(logits, mask.shape[-2:]), mask) for logits in outputs]
        named = {"mask": terms[0]}
        return named | ({"auxiliary": AUXILIARY_WEIGHT * terms[1]} if len(terms) > 1 else {})

    def predict(self, outputs: list[Tensor], batch: Batch) -> Prediction:
        """The likeliest class of each pixel, on the grid of the mask, and its score."""
        score, ids = grown(outputs[0], mask_size(batch)).softmax(1).max(1)
        return {"mask": ids, "mask_score": score}

    def metric(self) -> Metric:
        """IoU or F1 per class and their mean."""
        from skysense_nb.tasks.metrics.masks import MaskScores

        return MaskScores(self.classes, self.reported, ignored=IGNORED, left_out=self.left_out)


class UPerHead(MaskHead):
    """UPerNet (Xiao et al., ECCV 2018) with an auxiliary FCN on the third map, SkySense's head for segmentation.

    The decoder is that of segmentation-models-pytorch. The published configuration for iSAID has 512 channels, pools
    of 1, 2, 3 and 6, and 256 channels in the auxiliary head, whose loss has weight 0.4.

    Args:
        widths: Of `widths_of`.
        classes: Names in the order of ids.
        channels: Of the decoder.
        auxiliary: Channels of the auxiliary head; 0 for none.
        dropout: Before the last layer.
        metric, left_out: As for `MaskHead`.
    """

    def __init__(
        self,
        widths: Widths,
        classes: Sequence[str],
        channels: int = 512,
        auxiliary: int = 256,
        dropout: float = 0.1,
        metric: str = "mIoU",
        left_out: Sequence[str] = (),
    ) -> None:
        from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder

        super().__init__(classes, metric, left_out)
        self.widths, inputs = widths, total(widths)
        self.decoder = UPerNetDecoder([0, 0, *inputs], decoder_channels=channels)  # it skips strides 1 and 2
        self.classifier = nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(channels, len(self.classes), 1))
        self.auxiliary = None
        if auxiliary:
            self.auxiliary = nn.Sequential(
                nn.Conv2d(inputs[2], auxiliary, 3, padding=1, bias=False),
                nn.BatchNorm2d(auxiliary),
                nn.ReLU(),
                nn.Dropout2d(dropout),
                nn.Conv2d(auxiliary, len(self.classes), 1),
            )

    def maps(self, features: Features) -> list[Tensor]:
        """What is decoded, four maps."""
        return levels(features, self.widths)

    def forward(self, features: Features, batch: Batch) -> list[Tensor]:
        maps = [level.to(self.classifier[1].weight.dtype) for level in self.maps(features)]
        logits = [self.classifier(self.decoder([None, None, *maps]))]
        if self.auxiliary is not None and self.training:
            logits.append(self.auxiliary(maps[2]))
        return logits


class ChangeHead(UPerHead):
    """Which pixels changed between two dates: UPerNet on the absolute differences of their maps, at all scales.

    Both dates go through one encoder, and swapping them changes nothing. SkySense's own head for change is not
    published.

    Args:
        widths: Of `widths_of`, sensors only.
        classes: "unchanged", "changed" in the words of the dataset.
        options: As for `UPerHead`.
    """

    def __init__(self, widths: Widths, classes: Sequence[str], **options: int | float) -> None:
        super().__init__(widths, classes, **options)

    def maps(self, features: Features) -> list[Tensor]:
        before, after = (levels(features, self.widths, date) for date in (0, 1))
        return [(one - other).abs() for one, other in zip(before, after, strict=True)]

    def metric(self) -> Metric:
        """F1 of the changed pixels."""
        from skysense_nb.tasks.metrics.change import ChangeF1

        return ChangeF1()


class CellHead(MaskHead):
    """Two convolutions on the fused cells: all sensors and dates have met there, so a series needs no more.

    For masks on the Sentinel grid, such as crops; our choice.

    Args:
        width: Channels of the model's richest map, `model.width`.
        classes: Names in the order of ids.
        channels: Between the convolutions.
        dropout: Before the last layer.
        metric, left_out: As for `MaskHead`.
    """

    def __init__(
        self,
        width: int,
        classes: Sequence[str],
        channels: int = 256,
        dropout: float = 0.1,
        metric: str = "mIoU",
        left_out: Sequence[str] = (),
    ) -> None:
        super().__init__(classes, metric, left_out)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, channels, 3, padding=1),
            nn.GELU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(channels, len(self.classes), 1),
        )

    def forward(self, features: Features, batch: Batch) -> list[Tensor]:
        return [self.layers(features.richest.to(self.layers[-1].weight.dtype))]


def mask_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy of the known pixels; zero where there are none.

    Example:
        >>> import torch
        >>> mask_loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 255]]])).exp().round(decimals=4).item()
        2.0
    """
    summed = F.cross_entropy(logits, mask, ignore_index=IGNORED, reduction="sum")
    return summed / (mask != IGNORED).sum().clamp(min=1)


def grown(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Logits on another grid, fp32."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits.float()
    return F.interpolate(logits.float(), tuple(size), mode="bilinear", align_corners=False)


def mask_size(batch: Batch) -> tuple[int, int]:
    """Height and width of the masks of a batch; without truth those of its finest sensor."""
    if "mask" in batch:
        return tuple(batch["mask"].shape[-2:])
    if "size" in batch:
        return tuple(batch["size"])
    return tuple(next(batch[name].shape[-2:] for name in ("hr", "s2", "s1") if name in batch))
