"""Objects as upright boxes: Faster R-CNN on the four maps of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.models.features import Features
from skysense_nb.tasks.heads.head import Batch, Head, Prediction, size_of
from skysense_nb.tasks.heads.levels import Widths, levels, total
from skysense_nb.tasks.heads.scaling import Scaling

if TYPE_CHECKING:
    from torchmetrics import Metric
    from torchvision.models.detection.image_list import ImageList

Maps = dict[str, Tensor]
"""Of the feature pyramid, fine to coarse, B C h w; the last one, `pool`, is for large objects only."""

STRIDE_4_TO_64 = (32, 64, 128, 256, 512)
SMALLEST_TRUTH = 1.0
"""Pixels per side; what clipping leaves of a true box must not be smaller."""


class BoxHead(Head):
    """Faster R-CNN with a feature pyramid (Ren et al., NeurIPS 2015; Lin et al., CVPR 2017), SkySense's head for DIOR.

    A small network proposes boxes at anchors of five sizes and three shapes; a second one names each proposal from
    7 × 7 samples of the maps and moves its sides. The pyramid has 256 channels as in the published configuration for
    DIOR; the rest is usual: 1,000 proposals, 512 boxes trained on, suppression at 0.7 and 0.5, scores from 0.05. All
    parts are torchvision's, which differ from those of MMDetection, used by SkySense, in the loss of the sides (smooth
    L1 instead of L1) and in RoIAlign (half a cell, two samples per bin). No layer looks at other images of the batch.

    Args:
        widths: Of `widths_of`.
        classes: Names in the order of ids, without background.
        channels: Of the pyramid.
        anchors: Side of the anchors on each of the five maps, pixels of HR. The default is the published one; for
            objects of some ten pixels take halves, (16, 32, 64, 128, 256), our choice.
        hidden: Width of the layers that name a proposal.
        detections: Most boxes per image.
        proposals: Most boxes per image that are proposed.
        sampled: Of these and the true ones, how many per image the second network learns from. It is where most of the
            time of training goes; small images need fewer.
        scaling: Of `measured_scaling`: of the maps, before anything else; none by default.

    Raises:
        ParameterError: Not five anchors.

    Example:
        >>> from skysense_nb.models import Features
        >>> maps = [torch.rand(2, 1, 8, side, side) for side in (16, 8, 4, 2)]
        >>> cells, valid = torch.rand(2, 8, 2, 2), torch.ones(2, 1).bool()
        >>> features = Features({"hr": maps}, fused=cells, pooled=cells.mean((2, 3)), valid=valid)
        >>> head, batch = BoxHead({"hr": (8, 8, 8, 8)}, ["ship", "dam"], channels=16, hidden=16), {"size": (64, 64)}
        >>> sorted(head.predict(head(features, batch), batch))
        ['bbox_label', 'bbox_score', 'bbox_xyxy']
    """

    def __init__(
        self,
        widths: Widths,
        classes: Sequence[str],
        channels: int = 256,
        anchors: Sequence[float] = STRIDE_4_TO_64,
        hidden: int = 1024,
        detections: int = 100,
        proposals: int = 1000,
        sampled: int = 512,
        scaling: Scaling | None = None,
    ) -> None:
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.models.detection.roi_heads import RoIHeads
        from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
        from torchvision.ops import MultiScaleRoIAlign

        super().__init__(classes)
        if len(anchors) != len(STRIDE_4_TO_64):
            raise ParameterError.of("five anchor sizes", f"{len(anchors)}", "Pass one per map, fine to coarse.")
        self.widths = widths
        self.scaling = scaling or Scaling(total(widths))
        self.pyramid = feature_pyramid(widths, channels)
        places = AnchorGenerator(tuple((size,) for size in anchors), ((0.5, 1.0, 2.0),) * len(anchors))
        self.proposer = RegionProposalNetwork(
            places,
            RPNHead(channels, places.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 2 * proposals, "testing": proposals},
            post_nms_top_n={"training": proposals, "testing": proposals},
            nms_thresh=0.7,
        )
        self.namer = RoIHeads(
            MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2),
            TwoMLPHead(channels * 7 * 7, hidden),
            FastRCNNPredictor(hidden, len(self.classes) + 1),  # background is 0
            fg_iou_thresh=0.5,
            bg_iou_thresh=0.5,
            batch_size_per_image=sampled,
            positive_fraction=0.25,
            bbox_reg_weights=None,
            score_thresh=0.05,
            nms_thresh=0.5,
            detections_per_img=detections,
        )

    def forward(self, features: Features, batch: Batch) -> Maps:
        """The pyramid; proposals are made by `loss` and `predict`, which want different ones."""
        return pyramid_maps(self, features)

    def loss(self, outputs: Maps, batch: Batch) -> dict[str, Tensor]:
        """Of `bbox_xyxy` and `bbox_label`: object or not, its sides, its class, and its sides once more.

        True boxes are clipped to the image, and left out where less than a pixel remains. Images without boxes teach
        what no object looks like.

        Raises:
            SampleError: A class that the head does not know, or no upright boxes in the batch.
        """
        targets = []
        for boxes, labels in true_boxes(self, batch, "bbox_xyxy", outputs["0"]):
            height, width = size_of(batch)
            boxes = boxes.clamp(min=0).minimum(boxes.new_tensor([width, height, width, height]))
            large = ((boxes[:, 2:] - boxes[:, :2]) >= SMALLEST_TRUTH).all(1)
            targets.append({"boxes": boxes[large], "labels": labels[large] + 1})
        self.proposer.train()
        self.namer.train()
        with torch.autocast(outputs["0"].device.type, enabled=False):
            images = frames(outputs, batch)
            proposals, first = self.proposer(images, outputs, targets)
            _, second = self.namer(outputs, proposals, images.image_sizes, targets)
        return {
            "objectness": first["loss_objectness"],
            "proposal": first["loss_rpn_box_reg"],
            "class": second["loss_classifier"],
            "box": second["loss_box_reg"],
        }

    @torch.no_grad()
    def predict(self, outputs: Maps, batch: Batch) -> Prediction:
        """Boxes inside of the image, best first."""
        self.proposer.eval()
        self.namer.eval()
        with torch.autocast(outputs["0"].device.type, enabled=False):
            images = frames(outputs, batch)
            proposals, _ = self.proposer(images, outputs)
            found, _ = self.namer(outputs, proposals, images.image_sizes)
        return {
            "bbox_xyxy": [one["boxes"] for one in found],
            "bbox_label": [one["labels"] - 1 for one in found],
            "bbox_score": [one["scores"] for one in found],
        }

    def metric(self) -> Metric:
        """AP50 by COCO's definition, SkySense's on DIOR."""
        from skysense_nb.tasks.metrics.boxes import AveragePrecision

        return AveragePrecision(self.classes, form="xyxy", points="coco")


def feature_pyramid(widths: Widths, channels: int) -> nn.Module:
    """Five maps from four: coarse ones are added to finer ones, and the last is thinned out once more."""
    from torchvision.ops import FeaturePyramidNetwork
    from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

    return FeaturePyramidNetwork(total(widths), channels, LastLevelMaxPool())


def pyramid_maps(head: Head, features: Features) -> Maps:
    """The maps of a head's pyramid, fp32: pixels of large images are too many for half precision to count."""
    weight = next(head.pyramid.parameters())
    scaled = head.scaling([level.to(weight.dtype) for level in levels(features, head.widths)])
    maps = head.pyramid({str(number): level for number, level in enumerate(scaled)})
    return {name: level.float() for name, level in maps.items()}


def frames(maps: Maps, batch: Batch) -> ImageList:
    """What torchvision asks of images: their sizes. Their pixels are never read, so they take no memory."""
    from torchvision.models.detection.image_list import ImageList

    count, size = len(maps["0"]), size_of(batch)
    return ImageList(maps["0"].new_empty(1).expand(count, 3, *size), [size] * count)


def true_boxes(head: Head, batch: Batch, key: str, like: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Boxes, fp32, and class ids of each image, on the device of `like`.

    Raises:
        SampleError: A class that the head does not know, or boxes of the other kind.
    """
    if key not in batch:
        got = ", ".join(name for name in batch if name.startswith("bbox")) or "no boxes"
        raise SampleError.of(f"{key} in the batch", got, "Use the head for the boxes of this dataset.")
    for labels in batch["bbox_label"]:
        head.check_ids(labels)
    pairs = zip(batch[key], batch["bbox_label"], strict=True)
    return [(boxes.to(like.device).float(), labels.to(like.device)) for boxes, labels in pairs]
