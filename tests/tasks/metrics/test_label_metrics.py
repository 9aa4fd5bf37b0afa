"""Labels: counted by hand, by loops and by scikit-learn, and what happens at the edges."""

import math
import pickle

import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, recall_score, top_k_accuracy_score

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks.metrics import Accuracy, MeanAveragePrecision

NAMES = ["airport", "beach", "desert", "farmland", "port", "viaduct"]


def guesses(images=40, seed=0, classes=6):
    g = torch.Generator().manual_seed(seed)
    score = torch.rand(images, classes, generator=g).softmax(1)
    label = torch.randint(0, classes - 1, (images,), generator=g)  # the last class has no truth
    return {"label": score.argmax(1), "label_score": score}, {"label": label}


def several(images=30, seed=0, classes=6, ties=True):
    g = torch.Generator().manual_seed(seed)
    score = torch.rand(images, classes, generator=g)
    label = torch.rand(images, classes, generator=g) < torch.linspace(0.6, 0, classes)  # the last one never
    return {"label_score": (score * 8).round() / 8 if ties else score}, {"label": label}


def rows(batch, index):
    return {key: value[index] for key, value in batch.items()}


def scored(metric, *batches):
    for prediction, truth in batches:
        metric.update(prediction, truth)
    return metric.compute()


def same(one, other):
    assert (one.metric, one.per_class.keys()) == (other.metric, other.per_class.keys())
    assert one.value == pytest.approx(other.value, nan_ok=True)
    assert one.per_class == pytest.approx(other.per_class)
    assert one.others == pytest.approx(other.others, nan_ok=True)


KINDS = {
    "accuracy": (lambda: Accuracy(NAMES, top=(1, 3)), guesses),
    "average precision": (lambda: MeanAveragePrecision(NAMES), several),
}
kinds = pytest.mark.parametrize(("make", "draw"), KINDS.values(), ids=KINDS)


def test_accuracy_of_a_case_counted_by_hand():
    said, true = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 1, 2, 0])
    scores = scored(Accuracy(NAMES), ({"label": said}, {"label": true}))
    assert (scores.metric, scores.value) == ("OA", pytest.approx(3 / 5))
    assert scores.per_class == pytest.approx({"airport": 1 / 2, "beach": 1 / 2, "desert": 1})
    assert scores.others == pytest.approx({"mean class accuracy": 2 / 3})


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_is_that_of_scikit_learn(seed):
    prediction, truth = guesses(seed=seed)
    scores = scored(Accuracy(NAMES, top=(1, 2, 5)), (prediction, truth))
    assert scores.metric == "top-1"
    for places, value in ((1, scores.value), (2, scores.others["top-2"]), (5, scores.others["top-5"])):
        expected = top_k_accuracy_score(truth["label"], prediction["label_score"], k=places, labels=range(6))
        assert value == pytest.approx(expected)
    recalls = recall_score(truth["label"], prediction["label"], average=None, labels=range(5))
    assert list(scores.per_class.values()) == pytest.approx(recalls.tolist())


def test_a_class_only_predicted_is_no_class_of_the_truth_but_costs_accuracy():
    scores = scored(Accuracy(NAMES), ({"label": torch.tensor([0, 5])}, {"label": torch.tensor([0, 0])}))
    assert scores.value == 1 / 2 and scores.per_class == {"airport": 1 / 2}


def test_of_equal_scores_the_lower_id_is_better():
    tied = {"label": torch.zeros(3).long(), "label_score": torch.full((3, 6), 1 / 6)}
    scores = scored(Accuracy(NAMES, top=(1, 2)), (tied, {"label": torch.tensor([0, 1, 2])}))
    assert scores.value == pytest.approx(1 / 3) and scores.others["top-2"] == pytest.approx(2 / 3)


def test_among_as_many_places_as_there_are_classes_every_image_is_right():
    scores = scored(Accuracy(NAMES, top=(6, 1, 9)), guesses())
    assert (scores.metric, scores.value, scores.others["top-9"]) == ("top-6", 1, 1)
    assert scores.others["top-1"] < 1


def test_one_class_and_one_image_are_enough():
    only = {"label": torch.tensor([0]), "label_score": torch.tensor([[0.3]])}
    assert scored(Accuracy(["sea"]), (only, only)).value == 1
    assert scored(MeanAveragePrecision(["sea"]), (only, {"label": torch.tensor([[True]])})).value == 1


def test_average_precision_of_a_case_counted_by_hand():
    score = torch.tensor([[0.9, 0.1], [0.8, 0.7], [0.6, 0.4]])
    label = torch.tensor([[1, 0], [0, 1], [1, 1]]).bool()
    scores = scored(MeanAveragePrecision(["wood", "water"]), ({"label_score": score}, {"label": label}))
    wood = 1 / 2 * 1 + 1 / 2 * 2 / 3  # true, false, true
    micro = 1 / 4 * (1 + 2 / 3 + 3 / 4 + 4 / 5)  # true, false, true, true, true, false
    assert scores.value == pytest.approx(micro) and scores.metric == "mAP micro"
    assert scores.per_class == pytest.approx({"wood": wood, "water": 1})
    assert scores.others["mAP macro"] == pytest.approx((wood + 1) / 2)
    assert scores.others["F1 micro"] == pytest.approx(2 * 3 / (4 + 4))
    assert scores.others["F1 macro"] == pytest.approx((2 * 2 / 5 + 2 / 3) / 2)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("average", ["micro", "macro"])
def test_average_precision_is_that_of_scikit_learn(average, ties):
    prediction, truth = several(ties=ties)
    score, label = prediction["label_score"].numpy(), truth["label"].numpy()
    scores = scored(MeanAveragePrecision(NAMES, average), (prediction, truth))
    assert NAMES[5] not in scores.per_class and len(scores.per_class) == 5
    each = [average_precision_score(label[:, index], score[:, index]) for index in range(5)]
    assert list(scores.per_class.values()) == pytest.approx(each)
    both = {"micro": average_precision_score(label, score, average="micro"), "macro": sum(each) / 5}
    assert scores.value == pytest.approx(both.pop(average))
    assert [scores.others[f"mAP {name}"] for name in both] == pytest.approx(list(both.values()))
    assert scores.others["F1 micro"] == pytest.approx(f1_score(label, score >= 0.5, average="micro"))
    assert scores.others["F1 macro"] == pytest.approx(f1_score(label[:, :5], score[:, :5] >= 0.5, average="macro"))


def test_false_alarms_of_a_class_without_truth_count_in_micro_alone():
    score, label = torch.tensor([[0.4, 0.9]]), torch.tensor([[True, False]])
    scores = scored(MeanAveragePrecision(["wood", "water"]), ({"label_score": score}, {"label": label}))
    assert scores.value == pytest.approx(1 / 2) and scores.others["mAP macro"] == 1


def test_equal_scores_share_one_precision():
    score, label = torch.full((4, 1), 0.5), torch.tensor([[True], [False], [False], [True]])
    assert scored(MeanAveragePrecision(["wood"]), ({"label_score": score}, {"label": label})).value == 1 / 2


@kinds
def test_two_updates_in_any_order_are_one(make, draw):
    prediction, truth = draw()
    parts = [(rows(prediction, part), rows(truth, part)) for part in (slice(0, 7), slice(7, 8), slice(8, None))]
    whole = scored(make(), (prediction, truth))
    same(whole, scored(make(), *parts))
    same(whole, scored(make(), *reversed(parts)))


@kinds
def test_states_of_two_processes_merge(make, draw):
    prediction, truth = draw()
    one, other = make(), make()
    one.update(rows(prediction, slice(0, 9)), rows(truth, slice(0, 9)))
    other.update(rows(prediction, slice(9, None)), rows(truth, slice(9, None)))
    one.merge_state(other)
    same(one.compute(), scored(make(), (prediction, truth)))


@kinds
def test_a_metric_can_be_called_copied_stored_and_reset(make, draw):
    prediction, truth = draw()
    metric = make()
    whole = scored(make(), (prediction, truth))
    same(metric(prediction, truth), whole)
    same(pickle.loads(pickle.dumps(metric)).compute(), whole)
    same(metric.clone().compute(), whole)
    metric.reset()
    metric.update(rows(prediction, slice(0, 3)), rows(truth, slice(0, 3)))
    same(metric.compute(), scored(make(), (rows(prediction, slice(0, 3)), rows(truth, slice(0, 3)))))


@kinds
@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_seen_is_not_a_number(make, draw):
    scores = make().compute()
    assert math.isnan(scores.value) and scores.per_class == {}


def test_images_without_any_label_have_no_average_precision():
    prediction, truth = several()
    scores = scored(MeanAveragePrecision(NAMES), (prediction, {"label": torch.zeros_like(truth["label"])}))
    assert math.isnan(scores.value) and scores.per_class == {}


def test_what_does_not_fit_is_refused():
    prediction, truth = guesses()
    with pytest.raises(SampleError, match="Expected label of the truth from 0 to 2, got 0 to 4"):
        Accuracy(NAMES[:3]).update(prediction, truth)
    with pytest.raises(SampleError, match="Expected predicted label from 0 to 5, got 0 to 9"):
        Accuracy(NAMES).update({"label": torch.tensor([0, 9])}, {"label": torch.tensor([0, 1])})
    with pytest.raises(SampleError, match=r"predicted label of shape \(40,\), got \(2,\)"):
        Accuracy(NAMES).update({"label": torch.tensor([0, 1])}, truth)
    with pytest.raises(SampleError, match=r"label_score of shape \(40, 9\), got \(40, 6\)"):
        Accuracy([*NAMES, "a", "b", "c"], top=(2,)).update(prediction, truth)
    with pytest.raises(SampleError, match="whole numbers as predicted label"):
        Accuracy(NAMES).update({"label": torch.zeros(40)}, truth)
    with pytest.raises(SampleError, match="label_score from 0 to 1, got -1 to 2"):
        MeanAveragePrecision(["a"]).update(
            {"label_score": torch.tensor([[-1.0], [2.0]])}, {"label": torch.eye(2)[:1].T}
        )
    with pytest.raises(SampleError, match="label_score from 0 to 1, got nan"):
        MeanAveragePrecision(["a"]).update({"label_score": torch.tensor([[math.nan]])}, {"label": torch.ones(1, 1)})
    with pytest.raises(SampleError, match=r"label of the truth of shape \(1, 6\), got \(1, 1\)"):
        MeanAveragePrecision(NAMES).update({"label_score": torch.rand(1, 6)}, {"label": torch.ones(1, 1)})
    with pytest.raises(ParameterError, match="numbers from 1 up in top"):
        Accuracy(NAMES, top=(0,))
    with pytest.raises(ParameterError, match="micro or macro"):
        MeanAveragePrecision(NAMES, average="weighted")
