"""Masks: counted by hand and by loops over pixels; which classes are in the mean; the metric of every benchmark."""

import math

import pytest
import torch

from skysense_nb.data.catalog import benchmark, entries
from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks.metrics import Accuracy, ChangeF1, MaskScores, MeanAveragePrecision, metric_for
from skysense_nb.tasks.metrics.change import SemanticChangeMetric

NAMES = ["building", "road", "tree", "car", "clutter"]


def drawn(seed=0, images=3):
    g = torch.Generator().manual_seed(seed)
    said = torch.randint(0, 5, (images, 4, 6), generator=g)
    true = torch.where(torch.rand(said.shape, generator=g) < 0.5, said, torch.randint(0, 4, said.shape, generator=g))
    true[true == 2] = 1  # a class that is only predicted
    true[torch.rand(said.shape, generator=g) < 0.2] = 255
    return {"mask": said}, {"mask": true}


def scored(metric, *batches):
    for prediction, truth in batches:
        metric.update(prediction, truth)
    return metric.compute()


def of(said, true):
    return {"mask": torch.tensor([said])}, {"mask": torch.tensor([true])}


def by_loops(prediction, truth, ignored=255):
    """IoU, F1 and recall per class id, and OA, of sets of pixels; no entry for a class that neither has."""
    pixels = [
        (place, int(said), int(true))
        for place, (said, true) in enumerate(zip(prediction["mask"].flatten(), truth["mask"].flatten(), strict=True))
        if true != ignored
    ]
    found = {}
    for one in range(5):
        said, true = ({pixel[0] for pixel in pixels if pixel[side] == one} for side in (1, 2))
        if said | true:
            hits = len(said & true)
            recall = hits / len(true) if true else math.nan
            found[one] = hits / len(said | true), 2 * hits / (len(said) + len(true)), recall
    return found, sum(said == true for _, said, true in pixels) / len(pixels)


def test_a_case_counted_by_hand():
    scores = scored(MaskScores(NAMES), of([[0, 0, 1, 1, 3]], [[0, 1, 1, 255, 1]]))
    # building: 1 of 2; road: 1 of 3; car: only predicted, 0 of 1
    assert scores.metric == "mIoU" and scores.value == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    assert scores.per_class == pytest.approx({"building": 1 / 2, "road": 1 / 3})
    assert scores.others == pytest.approx({"mF1": (2 / 3 + 2 / 4 + 0) / 3, "OA": 2 / 4})


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("metric", "column"), [("mIoU", 0), ("mF1", 1), ("OA", 2)])
def test_loops_over_pixels_find_the_same(seed, metric, column):
    prediction, truth = drawn(seed)
    found, right = by_loops(prediction, truth)
    scores = scored(MaskScores(NAMES, metric), (prediction, truth))
    means = {name: sum(row[index] for row in found.values()) / len(found) for index, name in enumerate(("mIoU", "mF1"))}
    means["OA"] = right
    assert scores.value == pytest.approx(means.pop(metric)) and scores.others == pytest.approx(means)
    in_truth = [NAMES[one] for one in found if (truth["mask"] == one).any()]
    assert "tree" not in in_truth
    assert scores.per_class == pytest.approx({name: found[NAMES.index(name)][column] for name in in_truth})


def test_a_class_never_predicted_counts_as_zero_and_an_absent_one_not_at_all():
    scores = scored(MaskScores(NAMES, "mF1"), of([[0, 0, 0]], [[0, 0, 1]]))
    assert scores.value == pytest.approx((4 / 5 + 0) / 2)
    assert scores.per_class == pytest.approx({"building": 4 / 5, "road": 0})


def test_one_confusion_is_not_a_mean_of_images():
    easy, hard = of([[0] * 9 + [1]], [[0] * 9 + [1]]), of([[0] * 10], [[1] * 10])
    scores = scored(MaskScores(NAMES), easy, hard)
    assert scores.value == pytest.approx((9 / 19 + 1 / 11) / 2)


def test_a_class_left_out_of_the_mean_still_makes_errors_of_the_others():
    batch = of([[0, 4, 1, 0]], [[0, 0, 1, 4]])
    whole, without = (scored(MaskScores(NAMES, left_out=names), batch) for names in ([], ["clutter"]))
    assert whole.value == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert without.value == pytest.approx((1 / 3 + 1) / 2)
    assert without.others["OA"] == whole.others["OA"] == 1 / 2
    ignored = scored(MaskScores(NAMES, ignored=4), batch)
    assert ignored.others["OA"] == pytest.approx(2 / 3) and ignored.per_class["building"] == 1 / 2


def test_what_was_said_of_ignored_pixels_does_not_matter():
    prediction, truth = drawn()
    other = {"mask": torch.where(truth["mask"] == 255, 4, prediction["mask"])}
    assert scored(MaskScores(NAMES), (prediction, truth)) == scored(MaskScores(NAMES), (other, truth))


def test_all_ignored_is_not_a_number():
    scores = scored(MaskScores(NAMES), of([[0, 1]], [[255, 255]]))
    assert math.isnan(scores.value) and scores.per_class == {} and all(map(math.isnan, scores.others.values()))
    assert math.isnan(scored(MaskScores(NAMES, left_out=["road"]), of([[1]], [[1]])).value)


def test_one_class_is_enough_and_the_truth_itself_scores_one():
    assert scored(MaskScores(["sea"]), of([[0, 0]], [[0, 255]])).value == 1
    _, truth = drawn()
    perfect = {"mask": truth["mask"].where(truth["mask"] != 255, 0)}
    scores = scored(MaskScores(NAMES), (perfect, truth))
    assert {scores.value, *scores.per_class.values(), *scores.others.values()} == {1}


def test_two_updates_in_any_order_or_process_are_one():
    prediction, truth = drawn()
    parts = [({"mask": prediction["mask"][i : i + 1]}, {"mask": truth["mask"][i : i + 1]}) for i in range(3)]
    whole = scored(MaskScores(NAMES), (prediction, truth))
    assert scored(MaskScores(NAMES), *parts) == whole == scored(MaskScores(NAMES), *reversed(parts))
    one, other = MaskScores(NAMES), MaskScores(NAMES)
    one.update(*parts[0])
    other.update(*parts[1])
    other.update(*parts[2])
    one.merge_state(other)
    assert one.compute() == whole


def test_what_does_not_fit_is_refused():
    with pytest.raises(SampleError, match="ids in the predicted mask from 0 to 4, got 0 to 255"):
        MaskScores(NAMES).update(*of([[0, 255]], [[0, 0]]))
    with pytest.raises(SampleError, match="ids in the true mask from 0 to 4, got 5 to 5"):
        MaskScores(NAMES).update(*of([[0, 0]], [[5, 255]]))
    with pytest.raises(SampleError, match=r"predicted mask of shape \(1, 1, 3\), got \(1, 1, 2\)"):
        MaskScores(NAMES).update(*of([[0, 1]], [[0, 1, 1]]))
    with pytest.raises(SampleError, match="whole numbers"):
        MaskScores(NAMES).update(*of([[0.0, 1.0]], [[0, 1]]))
    with pytest.raises(ParameterError, match="a metric among mIoU, mF1, OA, got 'IoU'"):
        MaskScores(NAMES, "IoU")
    with pytest.raises(ParameterError, match="left_out among .*, got void"):
        MaskScores(NAMES, left_out=["void"])


def test_the_toy_cube_of_dynamic_earth_net_scores_as_its_publishers_say():
    truth = [[[0, 0, 1, 1], [2, 2, 5, 5]], [[0, 4, 1, 1], [2, 1, 5, 255]], [[0, 4, 4, 1], [2, 1, 5, 5]]]
    said = [[[0, 0, 1, 1], [2, 2, 5, 1]], [[0, 4, 1, 0], [2, 2, 5, 5]], [[0, 4, 4, 0], [2, 1, 5, 5]]]
    metric = metric_for(benchmark("dyna_pla"))
    for month in range(3):
        metric.update(*of(said[month], truth[month]))
    assert metric.compute().value == pytest.approx(0.753333, abs=1e-6)


EXPECTED = {
    "aid": (Accuracy, {"top": (1,)}),
    "resisc45": (Accuracy, {"top": (1,)}),
    "fmow_s2": (Accuracy, {"top": (1, 5)}),
    "ben_s2": (MeanAveragePrecision, {"average": "micro"}),
    "ben_mm": (MeanAveragePrecision, {"average": "micro"}),
    "dyna_pla": (MaskScores, {"metric": "mIoU"}),
    "dyna_s2": (MaskScores, {"metric": "mIoU"}),
    "dyna_mm": (MaskScores, {"metric": "mIoU"}),
    "isaid": (MaskScores, {"metric": "mIoU"}),
    "potsdam": (MaskScores, {"metric": "mF1"}),
    "pastis": (MaskScores, {"metric": "OA"}),
    "levir_cd": (ChangeF1, {}),
    "oscd": (ChangeF1, {}),
}
BOXES = {
    "dior": {"form": "xyxy", "points": "coco"},
    "dior_r": {"form": "corners", "points": "voc07"},
    "fair1m": {"form": "corners", "points": "voc07"},
}


def test_every_benchmark_is_known_here():
    assert {*EXPECTED, *BOXES} == set(entries())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_benchmark_gets_the_metric_of_its_papers(name):
    entry, (kind, settings) = benchmark(name), EXPECTED[name]
    metric = metric_for(entry)
    assert type(metric) is kind
    assert {key: getattr(metric, key) for key in settings} == settings
    assert getattr(metric, "classes", entry.class_names) == entry.class_names
    assert metric.ignore_index == 255 if isinstance(metric, MaskScores | ChangeF1) else True
    if isinstance(metric, MaskScores):
        assert metric.in_mean.all(), "as in the published configurations, background counts and clutter is no class"


@pytest.mark.parametrize("name", BOXES)
def test_a_benchmark_of_boxes_gets_the_definition_of_its_papers(name):
    from skysense_nb.tasks.metrics.boxes import AveragePrecision

    metric = metric_for(benchmark(name))
    assert type(metric) is AveragePrecision
    assert {key: getattr(metric, key) for key in BOXES[name]} == BOXES[name]
    assert metric.classes == benchmark(name).class_names


def test_classes_and_second_tasks_can_be_asked_for():
    assert metric_for(benchmark("isaid"), ["sea", "ship"]).classes == ("sea", "ship")
    assert type(metric_for(benchmark("dyna_s2"), task="semantic change")) is SemanticChangeMetric
    with pytest.raises(ParameterError, match="Expected segmentation or semantic change as the task of"):
        metric_for(benchmark("dyna_s2"), task="change")
    with pytest.raises(ParameterError, match="a metric of change among F1 of change, got kappa"):
        metric_for(benchmark("oscd").model_copy(update={"metric": "kappa"}))
