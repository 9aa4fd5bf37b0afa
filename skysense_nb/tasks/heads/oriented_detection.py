"""Objects as boxes that turn with them: one stage, no anchors, a distance of Gaussians as loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.models.features import Features
from skysense_nb.tasks.heads.detection import feature_pyramid, pyramid_maps, true_boxes
from skysense_nb.tasks.heads.head import Batch, Head, Prediction, initialise, size_of
from skysense_nb.tasks.heads.levels import Widths, total
from skysense_nb.tasks.heads.oriented_targets import Locations, assign, centerness, divergence_loss, locations_of
from skysense_nb.tasks.heads.scaling import Scaling
from skysense_nb.tasks.oriented_boxes import from_corners, rotated_nms, to_corners

if TYPE_CHECKING:
    from torchmetrics import Metric

FIRST_SCORE = 0.01
"""Of any class before training, as in the paper on focal loss: else background would drown everything."""
FIRST_SIDE = 4.0
"""Strides per side that a box has before training."""
SMALLEST_SIDE = 1.0
"""Pixels; thinner true boxes are widened to it, or their Gaussian would be a line."""
MOST_GROWTH = math.log(1000 / 16)
"""Of a side over its first size, as a logarithm, so that no exponential overflows."""


@dataclass
class Dense:
    """What is said at all locations.

    Attributes:
        logits: B N K, of classes.
        centerness: B N, logits.
        boxes: B N 5 (cx, cy, w, h, angle), pixels and radians; w need not be the longer side.
        locations: The same for all images.
    """

    logits: Tensor
    centerness: Tensor
    boxes: Tensor
    locations: Locations


class OrientedBoxHead(Head):
    """A class, a centre, two sides and an angle at every location: a rotated FCOS (Tian et al., ICCV 2019).

    Classes learn by focal loss, boxes by the Kullback–Leibler divergence of Gaussians with their centre, sides and
    turn (Yang et al., NeurIPS 2021, see `divergence_loss`): it weighs the angle by how long the box is, and does not
    mind which side is called w. The angle is predicted as (cos 2θ, sin 2θ), which has no seam. The price: a square's
    Gaussian is round, so its turn is not learned; at any turn it keeps an overlap of 0.7.

    SkySense's configurations for oriented boxes are not published; this detector is ours, for its brevity. So are its
    differences from FCOS: maps from stride 4 on for small objects, the map chosen by the size of the box, and at least
    one location for every object, however small, that no smaller one takes.

    Args:
        widths: Of `widths_of`.
        classes: Names in the order of ids.
        channels: Of the pyramid and the towers, a multiple of 8.
        depth: Convolutions per tower.
        least_score: Of a box that is told, 0–1.
        threshold: IoU above which the worse of two boxes of a class goes.
        detections: Most boxes per image, before and after that.
        scaling: Of `measured_scaling`: of the maps, before anything else; none by default.

    Example:
        >>> from skysense_nb.models import Features
        >>> maps = [torch.rand(2, 1, 8, side, side) for side in (16, 8, 4, 2)]
        >>> cells, valid = torch.rand(2, 8, 2, 2), torch.ones(2, 1).bool()
        >>> features = Features({"hr": maps}, fused=cells, pooled=cells.mean((2, 3)), valid=valid)
        >>> head, batch = OrientedBoxHead({"hr": (8, 8, 8, 8)}, ["ship", "dam"], channels=16), {"size": (64, 64)}
        >>> sorted(head.predict(head(features, batch), batch))
        ['bbox_corners', 'bbox_label', 'bbox_score']
    """

    def __init__(
        self,
        widths: Widths,
        classes: Sequence[str],
        channels: int = 256,
        depth: int = 4,
        least_score: float = 0.05,
        threshold: float = 0.1,
        detections: int = 2000,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__(classes)
        self.widths = widths
        self.least_score, self.threshold, self.detections = least_score, threshold, detections
        self.scaling = scaling or Scaling(total(widths))
        self.pyramid = feature_pyramid(widths, channels)
        self.class_tower, self.box_tower = (tower(channels, depth) for _ in range(2))
        self.classifier = nn.Conv2d(channels, len(self.classes), 3, padding=1)
        self.regressor = nn.Conv2d(channels, 7, 3, padding=1)  # x y, log w h, cos 2θ sin 2θ, centreness
        for part in (self.class_tower, self.box_tower, self.classifier, self.regressor):
            initialise(part)
        nn.init.constant_(self.classifier.bias, -math.log(1 / FIRST_SCORE - 1))
        with torch.no_grad():
            self.regressor.bias[4] = 1.0  # lying; at (0, 0) the angle has no gradient

    def forward(self, features: Features, batch: Batch) -> Dense:
        maps = list(pyramid_maps(self, features).values())
        locations = locations_of(maps, size_of(batch))
        logits = torch.cat([rows(self.classifier(self.class_tower(level))) for level in maps], 1)  # B N K
        raw = torch.cat([rows(self.regressor(self.box_tower(level))) for level in maps], 1)  # B N 7
        centers = locations.centers + raw[..., :2] * locations.strides
        sides = raw[..., 2:4].clamp(max=MOST_GROWTH).exp() * FIRST_SIDE * locations.strides
        angle = torch.atan2(raw[..., 5:6], raw[..., 4:5]) / 2
        return Dense(logits, raw[..., 6], torch.cat([centers, sides, angle], -1), locations)

    def loss(self, outputs: Dense, batch: Batch) -> dict[str, Tensor]:
        """Of `bbox_corners` and `bbox_label`: classes at all locations, boxes and centreness where an object is.

        Sums are divided by the number of locations with an object in this process.

        Raises:
            SampleError: A class that the head does not know, or no oriented boxes in the batch.
        """
        from torchvision.ops import sigmoid_focal_loss

        wanted, said, truth = torch.zeros_like(outputs.logits), [], []
        for image, (corners, labels) in enumerate(true_boxes(self, batch, "bbox_corners", outputs.logits)):
            boxes = from_corners(corners)
            boxes = torch.cat([boxes[:, :2], boxes[:, 2:4].clamp(min=SMALLEST_SIDE), boxes[:, 4:]], 1)
            places, owners = assign(boxes, outputs.locations)
            wanted[image, places, labels[owners]] = 1
            said.append(torch.stack([torch.full_like(places, image), places], 1))
            truth.append(boxes[owners])
        (image, place), truth = torch.cat(said).unbind(1), torch.cat(truth)
        count = max(1, len(place))
        centers, strides = outputs.locations.centers[place], outputs.locations.strides[place]
        near = centerness(centers, strides, truth)
        central = F.binary_cross_entropy_with_logits(outputs.centerness[image, place], near, reduction="sum")
        return {
            "class": sigmoid_focal_loss(outputs.logits, wanted, reduction="sum") / count,
            "box": divergence_loss(outputs.boxes[image, place], truth).sum() / count,
            "centerness": central / count,
        }

    @torch.no_grad()
    def predict(self, outputs: Dense, batch: Batch) -> Prediction:
        """Boxes, best first; corners may lie beyond the border, as in the truth."""
        found: Prediction = {"bbox_corners": [], "bbox_label": [], "bbox_score": []}
        scores = outputs.logits.sigmoid() * outputs.centerness.sigmoid()[..., None]  # B N K
        for boxes, score in zip(outputs.boxes, scores, strict=True):
            place, label = (score > self.least_score).nonzero(as_tuple=True)
            best = score[place, label].argsort(descending=True, stable=True)[: self.detections]
            place, label = place[best], label[best]
            corners, score = to_corners(boxes[place]), score[place, label]
            kept = rotated_nms(corners, score, label, self.threshold)
            for key, values in zip(found, (corners, label, score), strict=True):
                found[key].append(values[kept])
        return found

    def metric(self) -> Metric:
        """AP50 by the eleven points of VOC 2007, usual for oriented boxes."""
        from skysense_nb.tasks.metrics.boxes import AveragePrecision

        return AveragePrecision(self.classes, form="corners", points="voc07")


def tower(channels: int, depth: int) -> nn.Sequential:
    """Convolutions that all maps share, with norms that do not look at other images."""
    layers = [
        [nn.Conv2d(channels, channels, 3, padding=1), nn.GroupNorm(channels // 8, channels), nn.ReLU()]
        for _ in range(depth)
    ]
    return nn.Sequential(*(layer for group in layers for layer in group))


def rows(level: Tensor) -> Tensor:
    """B C h w to B N C, fp32."""
    return level.float().flatten(2).transpose(1, 2)
