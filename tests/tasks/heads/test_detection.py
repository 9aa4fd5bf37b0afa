"""Faster R-CNN on given maps: it learns, copes with empty images, and keeps to the contract."""

import pytest
import torch
from box_cases import CLASSES, SIDE, WIDTHS, learn, only, random_features
from torchvision.ops import box_iou

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks.heads.detection import BoxHead

BOXES = [
    torch.tensor([[4.0, 4, 22, 18], [28, 30, 60, 60]]),
    torch.tensor([[6.0, 40, 16, 50], [36, 4, 46, 30], [40, 44, 80, 80]]),
    torch.zeros(0, 4),
]
LABELS = [torch.tensor([0, 1]), torch.tensor([2, 0, 1]), torch.zeros(0, dtype=torch.int64)]


def make_batch():
    return {"size": (SIDE, SIDE), "bbox_xyxy": list(BOXES), "bbox_label": list(LABELS)}


def make_head(**options):
    torch.manual_seed(0)
    return BoxHead(WIDTHS, CLASSES, **{"channels": 16, "hidden": 64, "anchors": (8, 16, 32, 64, 128), **options})


@pytest.fixture(scope="module")
def learned():
    head = make_head()
    head.namer.fg_bg_sampler.batch_size_per_image = 96  # as many objects in a fraction of the time
    return head, learn(head, random_features(), make_batch(), steps=80, rate=3e-3)


def test_it_learns_images_by_heart(learned):
    _, prediction = learned
    for image, (boxes, labels) in enumerate(zip(BOXES, LABELS, strict=True)):
        sure = prediction["bbox_score"][image] > 0.5
        found, names = prediction["bbox_xyxy"][image][sure], prediction["bbox_label"][image][sure]
        assert len(found) >= len(boxes)
        if not len(boxes):
            assert len(found) == 0
        else:
            best, which = box_iou(boxes.clamp(max=SIDE), found).max(1)
            assert best.min() > 0.5
            assert torch.equal(names[which], labels)


def test_predictions_keep_to_the_contract(learned):
    head, prediction = learned
    assert list(prediction) == ["bbox_xyxy", "bbox_label", "bbox_score"]
    for boxes, labels, scores in zip(*prediction.values(), strict=True):
        assert boxes.shape == (len(labels), 4) and scores.shape == (len(labels),) and labels.dtype == torch.int64
        assert boxes.min() >= 0 and boxes.max() <= SIDE if len(boxes) else True
        assert ((labels >= 0) & (labels < len(CLASSES))).all()
        assert torch.equal(scores, scores.sort(descending=True).values) and not scores.requires_grad
    metric = head.metric()
    metric.update(prediction, {**make_batch(), "bbox_xyxy": [boxes.clamp(max=SIDE) for boxes in BOXES]})
    assert metric.compute().value > 0.9


def test_other_images_of_the_batch_do_not_matter(learned):
    head, together = learned
    for image in range(3):
        features = only(random_features(), image)
        alone = head.predict(head(features, {"size": (SIDE, SIDE)}), {"size": (SIDE, SIDE)})
        for key in alone:
            torch.testing.assert_close(alone[key][0], together[key][image], atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("images", [slice(0, 3), slice(2, 3)], ids=["some empty", "all empty"])
def test_images_without_boxes_train(images):
    head, count = make_head(), len(BOXES[images])
    batch = {"size": (SIDE, SIDE), "bbox_xyxy": BOXES[images], "bbox_label": LABELS[images]}
    terms = head.loss(head(random_features(count), batch), batch)
    assert set(terms) == {"objectness", "proposal", "class", "box"}
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values()) and terms["class"] > 0
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert head.pyramid.inner_blocks[0][0].weight.grad.abs().sum() > 0


def test_what_lies_outside_of_the_image_teaches_nothing():
    head, features = make_head(), random_features(1)
    batch = {"size": (SIDE, SIDE), "bbox_xyxy": [BOXES[0]], "bbox_label": [LABELS[0]]}
    beyond = torch.cat([BOXES[0], torch.tensor([[70.0, 5, 90, 60], [-9, 3, 0.4, 60], [5, 5, 5, 40]])])
    more = {**batch, "bbox_xyxy": [beyond], "bbox_label": [torch.tensor([0, 1, 2, 2, 2])]}
    losses = []
    for one in (batch, more):
        torch.manual_seed(3)
        losses.append(head.loss(head(features, one), one))
    assert losses[0] == losses[1]


def test_the_size_comes_from_the_image_where_there_is_one():
    head, features = make_head().eval(), random_features(1)
    image = {"hr": torch.zeros(1, 1, 3, SIDE, SIDE)}
    by_image, by_size = (head.predict(head(features, batch), batch) for batch in (image, {"size": (SIDE, SIDE)}))
    assert all(torch.equal(by_image[key][0], by_size[key][0]) for key in by_size)


def test_half_precision_features_give_whole_precision_boxes():
    head, features, batch = make_head(), random_features(dtype=torch.bfloat16), make_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = head(features, batch)
        terms, prediction = head.loss(outputs, batch), head.predict(outputs, batch)
    assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    assert all(boxes.dtype == torch.float32 for boxes in prediction["bbox_xyxy"])


def test_what_does_not_fit_is_refused():
    head, features, batch = make_head(), random_features(), make_batch()
    outputs = head(features, batch)
    unknown = {**batch, "bbox_label": [torch.tensor([0, 3]), *LABELS[1:]]}
    with pytest.raises(SampleError, match=r"Expected class ids from 0 to 2.*, got \[3\]"):
        head.loss(outputs, unknown)
    oriented = {"size": (SIDE, SIDE), "bbox_corners": [], "bbox_label": []}
    with pytest.raises(SampleError, match="Expected bbox_xyxy in the batch, got bbox_corners, bbox_label"):
        head.loss(outputs, oriented)
    with pytest.raises(ParameterError, match="five anchor sizes"):
        make_head(anchors=(8, 16, 32))
