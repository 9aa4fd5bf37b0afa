"""The oriented head on given maps: it learns, copes with empty images, and keeps to the contract."""

import pytest
import torch
from box_cases import CLASSES, SIDE, WIDTHS, learn, only, random_features

from skysense_nb.errors import SampleError
from skysense_nb.tasks.heads.oriented_detection import Dense, OrientedBoxHead
from skysense_nb.tasks.heads.oriented_targets import locations_of
from skysense_nb.tasks.oriented_boxes import rotated_iou, to_corners

BOXES = [
    torch.tensor([[16.0, 16, 24, 8, 0.5], [42, 42, 40, 28, -1.2]]),
    torch.tensor([[12.0, 36, 12, 5, 1.4], [42, 14, 30, 7, -0.4], [36, 50, 18, 12, 0.9]]),
    torch.zeros(0, 5),
]
LABELS = [torch.tensor([0, 1]), torch.tensor([2, 0, 1]), torch.zeros(0, dtype=torch.int64)]


def make_batch():
    return {"size": (SIDE, SIDE), "bbox_corners": [to_corners(boxes) for boxes in BOXES], "bbox_label": list(LABELS)}


def make_head(**options):
    torch.manual_seed(0)
    return OrientedBoxHead(WIDTHS, CLASSES, **{"channels": 32, "depth": 1, **options})


@pytest.fixture(scope="module")
def learned():
    head = make_head()
    return head, learn(head, random_features(), make_batch(), steps=100, rate=1e-2)


def test_it_learns_images_by_heart(learned):
    _, prediction = learned
    for image, (boxes, labels) in enumerate(zip(BOXES, LABELS, strict=True)):
        sure = prediction["bbox_score"][image] > 0.3
        found, names = prediction["bbox_corners"][image][sure], prediction["bbox_label"][image][sure]
        assert len(found) == len(boxes)
        if len(boxes):
            best, which = rotated_iou(to_corners(boxes), found).max(1)
            assert best.min() > 0.5
            assert torch.equal(names[which], labels)


def test_predictions_keep_to_the_contract(learned):
    head, prediction = learned
    assert list(prediction) == ["bbox_corners", "bbox_label", "bbox_score"]
    for corners, labels, scores in zip(*prediction.values(), strict=True):
        assert corners.shape == (len(labels), 4, 2) and scores.shape == (len(labels),) and labels.dtype == torch.int64
        assert ((labels >= 0) & (labels < len(CLASSES))).all()
        assert torch.equal(scores, scores.sort(descending=True).values) and not scores.requires_grad
        same = labels[:, None] == labels
        assert (rotated_iou(corners, corners)[same].reshape(-1) > 0.1).sum() == len(labels), "each only with itself"
    metric = head.metric()
    metric.update(prediction, make_batch())
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
    head, truth = make_head(), make_batch()
    batch = {key: value[images] if key != "size" else value for key, value in truth.items()}
    terms = head.loss(head(random_features(len(batch["bbox_label"])), batch), batch)
    assert set(terms) == {"class", "box", "centerness"}
    sum(terms.values()).backward()
    assert all(term.isfinite() for term in terms.values()) and terms["class"] > 0
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert head.pyramid.inner_blocks[0][0].weight.grad.abs().sum() > 0


def test_before_training_hardly_anything_is_told():
    head, batch = make_head(), {"size": (SIDE, SIDE)}
    assert sum(map(len, head.predict(head(random_features(), batch), batch)["bbox_score"])) == 0


def test_of_boxes_on_one_object_the_one_seen_from_its_centre_stays():
    boxes = torch.tensor([[[5.0, 5, 4, 2, 0], [5.0, 5, 4, 3, 0]]])
    logits, locations = torch.tensor([[[2.0, -9, -9], [1.0, -9, -9]]]), locations_of([torch.zeros(1, 1, 1, 2)], (8, 8))
    found = make_head().predict(Dense(logits, torch.tensor([[-2.0, 2]]), boxes, locations), {"size": (8, 8)})
    torch.testing.assert_close(found["bbox_corners"][0], to_corners(boxes[0, 1:]))
    expected = torch.tensor([1.0]).sigmoid() * torch.tensor([2.0]).sigmoid()
    torch.testing.assert_close(found["bbox_score"][0], expected)


def test_no_more_boxes_are_told_than_asked_for():
    head, batch = make_head(least_score=0.0, detections=7), {"size": (SIDE, SIDE)}
    scores = head.predict(head(random_features(), batch), batch)["bbox_score"]
    assert all(1 <= len(score) <= 7 for score in scores)


def test_half_precision_features_give_whole_precision_boxes():
    head, features, batch = make_head(least_score=0.0), random_features(dtype=torch.bfloat16), make_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = head(features, batch)
        terms, prediction = head.loss(outputs, batch), head.predict(outputs, batch)
    assert all(term.isfinite() and term.dtype == torch.float32 for term in terms.values())
    assert all(corners.dtype == torch.float32 for corners in prediction["bbox_corners"])


def test_what_does_not_fit_is_refused():
    head, features, batch = make_head(), random_features(), make_batch()
    outputs = head(features, batch)
    unknown = {**batch, "bbox_label": [torch.tensor([0, -1]), *LABELS[1:]]}
    with pytest.raises(SampleError, match=r"Expected class ids from 0 to 2.*, got \[-1\]"):
        head.loss(outputs, unknown)
    upright = {"size": (SIDE, SIDE), "bbox_xyxy": [], "bbox_label": []}
    with pytest.raises(SampleError, match="Expected bbox_corners in the batch, got bbox_xyxy, bbox_label"):
        head.loss(outputs, upright)
