"""Average precision: hand-computed curves, edges, faster-coco-eval as a second opinion."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks.metrics.boxes import AveragePrecision
from skysense_nb.tasks.oriented_boxes import to_corners

NONE = torch.zeros(0, 4)


def square(x, y=0.0, width=10.0, height=10.0):
    return [float(x), float(y), x + width, y + height]


def truth_of(*images):
    """Per image a list of (box, label)."""
    boxes = [torch.tensor([box for box, *_ in image]) if image else NONE for image in images]
    labels = [torch.tensor([rest[0] for _, *rest in image], dtype=torch.int64) for image in images]
    return {"bbox_xyxy": boxes, "bbox_label": labels}


def prediction_of(*images):
    """Per image a list of (box, label, score)."""
    scores = [torch.tensor([rest[1] for _, *rest in image], dtype=torch.float32) for image in images]
    return {**truth_of(*images), "bbox_score": scores}


def upright_corners(side):
    corners = [boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) for boxes in side["bbox_xyxy"]]
    return {**{key: value for key, value in side.items() if key != "bbox_xyxy"}, "bbox_corners": corners}


def score(prediction, truth, points="coco", classes=("ship", "dam", "car"), **options):
    metric = AveragePrecision(classes, points=points, **options)
    metric.update(prediction, truth)
    return metric.compute()


def random_images(seed, images=6, classes=4):
    """Boxes on whole pixels, predictions that are shifted truth, repeated truth or made up, with many equal scores."""
    dice = np.random.default_rng(seed)
    truth, prediction = [], []
    for _ in range(images):
        true = [
            (square(*dice.integers(0, 60, 2), *dice.integers(8, 30, 2)), int(dice.integers(classes - 1)))
            for _ in range(dice.integers(0, 12))
        ]
        said = [
            ((np.array(box) + dice.integers(-4, 5, 4)).tolist(), label, float(dice.integers(1, 20)) / 20)
            for box, label in true
            for _ in range(dice.integers(0, 4))
        ]
        said += [
            (square(*dice.integers(0, 60, 2)), int(dice.integers(classes)), float(dice.integers(1, 20)) / 20)
            for _ in range(dice.integers(0, 4))
        ]
        truth.append(true)
        prediction.append(said)
    return prediction_of(*prediction), truth_of(*truth)


def by_coco(prediction, truth, classes):
    """AP50 per class of faster-coco-eval, without its cap on predictions per image."""
    from faster_coco_eval import COCO, COCOeval_faster

    def annotations(side):
        for image, (boxes, labels) in enumerate(zip(side["bbox_xyxy"], side["bbox_label"], strict=True)):
            for number, ((x, y, right, bottom), label) in enumerate(zip(boxes.tolist(), labels.tolist(), strict=True)):
                box = [x, y, right - x, bottom - y]
                area = max(0.0, box[2]) * max(0.0, box[3])
                yield image, number, {"image_id": image, "category_id": label, "bbox": box, "area": area, "iscrowd": 0}

    wanted = COCO(
        {
            "images": [{"id": image, "width": 999, "height": 999} for image in range(len(truth["bbox_label"]))],
            "categories": [{"id": number, "name": name} for number, name in enumerate(classes)],
            "annotations": [{**one, "id": number + 1} for number, (_, _, one) in enumerate(annotations(truth))],
        }
    )
    scores = prediction["bbox_score"]
    said = [{**one, "score": scores[image][number].item()} for image, number, one in annotations(prediction)]
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval_faster(wanted, wanted.loadRes(said), "bbox")
        judge.params.maxDets = [10_000]
        judge.params.iouThrs = np.array([0.5])
        judge.evaluate()
        judge.accumulate()
    means = judge.eval["precision"][0, :, :, 0, 0].mean(0)
    return {name: mean for name, mean in zip(classes, means, strict=True) if mean > -1}


def by_loops(prediction, truth, classes, points):
    """VOC's rules in words: rank all, look up the best box, tick it off."""
    result = {}
    for number, name in enumerate(classes):
        boxes = {
            image: [box for box, label in zip(*pair, strict=True) if label == number]
            for image, pair in enumerate(zip(truth["bbox_xyxy"], truth["bbox_label"], strict=True))
        }
        total = sum(map(len, boxes.values()))
        if not total:
            continue
        ranked = [
            (float(value), image, box)
            for image, (found, labels, values) in enumerate(
                zip(*(prediction[f"bbox_{key}"] for key in ("xyxy", "label", "score")), strict=True)
            )
            for box, label, value in zip(found, labels, values, strict=True)
            if label == number
        ]
        ticked, curve, caught = set(), [], 0
        for rank, (_, image, box) in enumerate(sorted(ranked, key=lambda one: -one[0]), start=1):
            overlaps = [overlap(box.tolist(), other.tolist()) for other in boxes[image]]
            best = max(range(len(overlaps)), key=overlaps.__getitem__, default=None)
            if best is not None and overlaps[best] >= 0.5 and (image, best) not in ticked:
                ticked.add((image, best))
                caught += 1
            curve.append((caught / total, caught / rank))
        at = lambda least, curve=curve: max((p for r, p in curve if r >= least), default=0)  # noqa: E731
        if points == "voc07":
            result[name] = sum(at(float(least)) for least in np.linspace(0, 1, 11)) / 11
        else:
            result[name] = sum(at(count / total) / total for count in range(1, total + 1))
    return result


def overlap(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])  # noqa: E731
    return shared / (area(one) + area(other) - shared)


@pytest.mark.parametrize("form", ["xyxy", "corners"])
@pytest.mark.parametrize(
    ("points", "ship"),
    # Hits in rank order: 1 0 1 0, three true boxes: recalls 1/3, 2/3 at precisions 1, 2/3.
    [("coco", (34 * 1 + 33 * 2 / 3) / 101), ("voc07", (4 * 1 + 3 * 2 / 3) / 11), ("voc12", (1 + 2 / 3) / 3)],
)
def test_a_curve_computed_by_hand(form, points, ship):
    truth = truth_of([(square(0), 0), (square(100), 0)], [(square(0), 0), (square(50), 1)])
    prediction = prediction_of(
        [(square(0, 1), 0, 0.9), (square(200), 0, 0.8)],
        [(square(1), 0, 0.7), (square(0, 30), 0, 0.6), (square(50), 1, 0.3)],
    )
    if form == "corners":
        truth, prediction = upright_corners(truth), upright_corners(prediction)
    scores = score(prediction, truth, points, form=form)
    assert scores.per_class == pytest.approx({"ship": ship, "dam": 1})
    assert scores.value == pytest.approx((ship + 1) / 2)
    assert scores.others["recall"] == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize("seed", range(8))
def test_the_coco_form_gives_the_numbers_of_faster_coco_eval(seed):
    prediction, truth = random_images(seed)
    classes = ("a", "b", "c", "d")
    scores = score(prediction, truth, "coco", classes)
    assert scores.per_class == pytest.approx(by_coco(prediction, truth, classes), abs=1e-9)
    assert 0.1 < scores.value < 0.95


@pytest.mark.parametrize("points", ["voc07", "voc12"])
@pytest.mark.parametrize("seed", range(8))
def test_the_voc_forms_give_the_numbers_of_plain_loops(points, seed):
    prediction, truth = random_images(seed)
    classes = ("a", "b", "c", "d")
    scores = score(prediction, truth, points, classes)
    assert scores.per_class == pytest.approx(by_loops(prediction, truth, classes, points))


@pytest.mark.parametrize("points", ["coco", "voc07", "voc12"])
def test_oriented_boxes_are_matched_by_their_own_overlap(points):
    long = torch.tensor([[50.0, 50, 40, 4, 0.8]])
    truth = {"bbox_corners": [to_corners(long)], "bbox_label": [torch.tensor([0])]}
    said = lambda angle: {  # noqa: E731
        "bbox_corners": [to_corners(long + torch.tensor([0, 0, 0, 0, angle]))],
        "bbox_label": [torch.tensor([0])],
        "bbox_score": [torch.tensor([0.5])],
    }
    assert score(said(math.pi), truth, points, form="corners").value == pytest.approx(1)
    assert score(said(math.pi / 2), truth, points, form="corners").value == 0, "the upright frames are the same"


def test_a_taken_box_is_passed_over_by_coco_only():
    truth = truth_of([(square(0), 0), (square(3), 0)])
    prediction = prediction_of([(square(0), 0, 0.9), (square(1), 0, 0.8)])
    assert score(prediction, truth, "coco").value == pytest.approx(1)
    assert score(prediction, truth, "voc12").value == pytest.approx(0.5)


@pytest.mark.parametrize("nearer", [-4, 4])
def test_between_boxes_of_equal_overlap_coco_takes_the_last(nearer):
    """A second prediction can only hit the box that is nearer to it, if that is still free."""
    truth = truth_of([(square(-2), 0), (square(2), 0)])
    prediction = prediction_of([(square(0), 0, 0.9), (square(nearer), 0, 0.8)])
    scores = score(prediction, truth, "coco", ["ship"])
    assert scores.others["recall"] == (1 if nearer < 0 else 0.5)
    assert scores.per_class == pytest.approx(by_coco(prediction, truth, ["ship"]))


@pytest.mark.parametrize("points", ["coco", "voc07", "voc12"])
def test_edges_of_the_definition(points):
    one = truth_of([(square(0), 0)])
    nothing, empty = prediction_of([]), truth_of([])
    assert score(nothing, one, points).per_class == {"ship": 0}, "truth without prediction is 0"
    without_truth = score(prediction_of([(square(0), 1, 0.9)]), empty, points)
    assert math.isnan(without_truth.value) and without_truth.per_class == {}
    other_class = score(prediction_of([(square(0), 0, 0.5), (square(0), 1, 0.9)]), one, points)
    assert other_class.per_class == {"ship": 1}, "a class without truth does not count"
    wrong_class = score(prediction_of([(square(0), 1, 0.9)]), one, points)
    assert wrong_class.value == 0
    half = score(prediction_of([(square(0, height=5.0), 0, 0.9)]), one, points)
    assert half.value == 1, "an overlap of exactly 0.5 is a hit"
    less = score(prediction_of([(square(0, height=4.9), 0, 0.9)]), one, points)
    assert less.value == 0
    point = score(prediction_of([([3.0, 3.0, 3.0, 3.0], 0, 0.9)]), truth_of([([3.0, 3.0, 3.0, 3.0], 0)]), points)
    assert point.value == 0


@pytest.mark.parametrize("points", ["coco", "voc07", "voc12"])
def test_a_second_box_on_an_object_is_a_false_alarm(points):
    truth = truth_of([(square(0), 0), (square(100), 0)])
    twice = prediction_of([(square(0), 0, 0.9), (square(0), 0, 0.8), (square(100), 0, 0.7)])
    late = prediction_of([(square(0), 0, 0.9), (square(0), 0, 0.6), (square(100), 0, 0.7)])
    assert score(late, truth, points).value == pytest.approx(1)
    assert score(twice, truth, points).value < 0.95


@pytest.mark.parametrize("points", ["coco", "voc07", "voc12"])
def test_a_box_in_an_image_without_objects_is_a_false_alarm(points):
    truth = truth_of([(square(0), 0)], [])
    assert score(prediction_of([(square(0), 0, 0.5)], []), truth, points).value == pytest.approx(1)
    assert score(prediction_of([(square(0), 0, 0.5)], [(square(0), 0, 0.9)]), truth, points).value == pytest.approx(0.5)


def test_equal_scores_count_in_the_order_they_came():
    truth = truth_of([(square(0), 0)])
    hit, miss = (square(0), 0, 0.5), (square(50), 0, 0.5)
    assert score(prediction_of([hit, miss]), truth, "voc12").value == pytest.approx(1)
    assert score(prediction_of([miss, hit]), truth, "voc12").value == pytest.approx(0.5)


def test_three_of_ten_boxes_fall_short_of_three_tenths_as_in_published_scorers():
    boxes = [square(20 * number) for number in range(10)]
    prediction = prediction_of([(box, 0, 0.5) for box in boxes[:3]])
    assert score(prediction, truth_of([(box, 0) for box in boxes]), "voc07").value == pytest.approx(3 / 11)


def test_batches_add_up_and_a_reset_forgets():
    prediction, truth = random_images(3)
    whole = score(prediction, truth, classes=("a", "b", "c", "d"))
    metric = AveragePrecision(("a", "b", "c", "d"))
    metric.update(*random_images(9))
    metric.reset()
    metric.update(prediction_of([]), truth_of([]))
    assert math.isnan(metric.compute().value)
    for image in range(len(truth["bbox_label"])):
        metric.update(*({key: value[image : image + 1] for key, value in side.items()} for side in (prediction, truth)))
    assert metric.compute() == whole


@pytest.mark.parametrize("idle", [False, True])
def test_states_of_several_processes_are_put_together(idle):
    """The other process has seen the same images, or none."""
    prediction, truth = random_images(4)
    classes = ("a", "b", "c", "d")

    def gather(state, group=None):
        return [state, (torch.zeros_like(state) if state.dtype == torch.int64 else state[:0]) if idle else state]

    metric = AveragePrecision(classes, dist_sync_fn=gather, distributed_available_fn=lambda: True)
    metric.update(prediction, truth)
    alone = AveragePrecision(classes)
    for _ in range(1 if idle else 2):
        alone.update(prediction, truth)
    assert metric.compute() == alone.compute()
    assert torch.equal(metric.truths, torch.bincount(torch.cat(truth["bbox_label"]), minlength=4)), "its own again"


def test_what_does_not_fit_is_refused():
    box = prediction_of([(square(0), 0, 0.5)])
    with pytest.raises(SampleError, match="as many images in prediction as in truth, got 1 and 2"):
        score(box, truth_of([], []))
    with pytest.raises(SampleError, match="bbox_label of the truth"):
        score(box, truth_of([(square(0), 3)]))
    with pytest.raises(SampleError, match="bbox_xyxy, bbox_label, bbox_score in the prediction, got no bbox_score"):
        score(truth_of([]), truth_of([]))
    with pytest.raises(SampleError, match="equally many"):
        score({**box, "bbox_score": [torch.zeros(2)]}, truth_of([]))
    with pytest.raises(ParameterError, match="points coco, voc07 or voc12"):
        AveragePrecision(["ship"], points="voc")
