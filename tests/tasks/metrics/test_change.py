"""Change: counted by hand, over all pixels together; cubes that come in any order score as the whole ones."""

import math
import pickle

import pytest
import torch

from skysense_nb.errors import SampleError
from skysense_nb.tasks.metrics.change import ChangeF1, SemanticChangeMetric, decode, encode
from skysense_nb.tasks.semantic_change import semantic_change_scores

NAMES = ["impervious", "agriculture", "forest", "wetlands", "soil", "water"]


def of(said, true):
    return {"mask": torch.tensor([said])}, {"mask": torch.tensor([true])}


def scored(metric, *batches):
    for prediction, truth in batches:
        metric.update(prediction, truth)
    return metric.compute()


def cubes(seed=0, months=(4, 2, 3)):
    """Cubes of different sizes with truth and prediction, T H W."""
    g = torch.Generator().manual_seed(seed)
    drawn = {}
    for number, count in enumerate(months):
        true = torch.randint(0, 4, (count, 3, 4 + number), generator=g)
        said = torch.where(
            torch.rand(true.shape, generator=g) < 0.6, true, torch.randint(0, 5, true.shape, generator=g)
        )
        true[torch.rand(true.shape, generator=g) < 0.1] = 255
        drawn[f"{number}_12_13"] = (said, true)
    return drawn


def monthly(drawn):
    """One batch for each month of each cube."""
    return [
        ({"mask": said[month][None]}, {"mask": true[month][None], "id": [f"{cube}_2018-{month + 1:02d}"]})
        for cube, (said, true) in drawn.items()
        for month in range(len(true))
    ]


def expected(drawn):
    return semantic_change_scores(
        {cube: true for cube, (_, true) in drawn.items()}, {cube: said for cube, (said, _) in drawn.items()}
    )


def agrees(scores, wanted, drawn):
    assert (scores.metric, scores.value) == ("SCS", pytest.approx(wanted.scs))
    assert scores.others == pytest.approx({"BC": wanted.bc, "SC": wanted.sc, "mIoU": wanted.miou})
    seen = torch.cat([true.flatten() for _, true in drawn.values()]).unique().tolist()
    assert scores.per_class == pytest.approx({NAMES[one]: wanted.iou[one] for one in seen if one != 255})


def test_change_of_a_case_counted_by_hand():
    scores = scored(ChangeF1(), of([[1, 1, 1, 0, 0]], [[1, 0, 1, 1, 0]]), of([[1, 0]], [[255, 255]]))
    assert (scores.metric, scores.value) == ("F1", pytest.approx(2 * 2 / (3 + 3)))
    assert scores.others == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "IoU": 2 / 4})
    assert scores.per_class == {"change": scores.value}


def test_f1_of_change_is_pooled_and_of_change_alone():
    still, moving = of([[1, 0, 0, 0]], [[0, 0, 0, 0]]), of([[1, 1, 1, 0]], [[1, 1, 1, 1]])
    scores = scored(ChangeF1(), still, moving)
    assert scores.value == pytest.approx(6 / 8)
    assert scored(ChangeF1(), moving, still) == scores
    one, other = ChangeF1(), ChangeF1()
    one.update(*still)
    other.update(*moving)
    one.merge_state(other)
    assert one.compute() == scores


def test_change_that_is_never_said_has_no_precision_and_f1_of_zero():
    scores = scored(ChangeF1(), of([[0, 0]], [[1, 0]]))
    assert (scores.value, scores.others["recall"]) == (0, 0) and math.isnan(scores.others["precision"])


def test_without_any_change_f1_is_not_defined_until_a_false_alarm():
    scores = scored(ChangeF1(), of([[0, 0]], [[0, 255]]))
    assert math.isnan(scores.value) and scores.per_class == {}
    alarmed = scored(ChangeF1(), of([[1, 0]], [[0, 0]]))
    assert alarmed.value == 0 and alarmed.per_class == {}


def test_change_is_two_classes():
    with pytest.raises(SampleError, match="ids in the true mask from 0 to 1, got 0 to 2"):
        ChangeF1().update(*of([[0, 1]], [[0, 2]]))


@pytest.mark.parametrize("seed", range(3))
def test_months_in_any_order_score_as_whole_cubes(seed):
    drawn = cubes(seed)
    wanted, batches = expected(drawn), monthly(drawn)
    agrees(scored(SemanticChangeMetric(NAMES), *batches), wanted, drawn)
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed)).tolist()
    mixed = [batches[index] for index in order]
    assert order != sorted(order)
    agrees(scored(SemanticChangeMetric(NAMES), *mixed), wanted, drawn)


def test_cubes_may_come_whole():
    drawn = cubes()
    batches = [({"mask": said[None]}, {"mask": true[None], "id": [cube]}) for cube, (said, true) in drawn.items()]
    agrees(scored(SemanticChangeMetric(NAMES), *batches), expected(drawn), drawn)


def test_two_months_in_a_batch_are_two_batches():
    drawn = {"1_2_3": cubes()["0_12_13"]}
    said, true = drawn["1_2_3"]
    names = [f"1_2_3_2018-{month:02d}" for month in (1, 2, 3, 4)]
    scores = scored(SemanticChangeMetric(NAMES), ({"mask": said}, {"mask": true, "id": names}))
    agrees(scores, expected(drawn), drawn)


def test_months_of_a_cube_may_lie_in_two_processes_and_repeat():
    drawn = cubes()
    batches = monthly(drawn)
    one, other = SemanticChangeMetric(NAMES), SemanticChangeMetric(NAMES)
    for number, batch in enumerate(batches):
        (one, other)[number % 2].update(*batch)
    other.update(*batches[0])  # a sampler fills up the last batch
    one.merge_state(other)
    agrees(one.compute(), expected(drawn), drawn)
    agrees(pickle.loads(pickle.dumps(one)).compute(), expected(drawn), drawn)


def test_months_follow_each_other_over_the_new_year():
    masks = torch.tensor([[[0]], [[1]], [[1]]])
    names = ["1_2_3_2018-12", "1_2_3_2019-01", "1_2_3_2018-02"]
    said = torch.tensor([[[0]], [[1]], [[0]]])
    scores = scored(SemanticChangeMetric(NAMES), ({"mask": said}, {"mask": masks, "id": names}))
    assert scores.others["BC"] == 1 / 2, "1 0 1 in the order of months, of which 0 0 1 was said"


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_a_month_alone_has_no_change_to_score():
    assert math.isnan(SemanticChangeMetric(NAMES).compute().value)
    drawn = cubes()
    batches = monthly(drawn)
    alone = ({"mask": torch.zeros(1, 2, 2).long()}, {"mask": torch.ones(1, 2, 2).long(), "id": ["9_9_9_2018-01"]})
    with pytest.warns(UserWarning, match="1 cubes with one month are left out, 9_9_9 among them"):
        agrees(scored(SemanticChangeMetric(NAMES), alone, *batches), expected(drawn), drawn)
    with pytest.warns(UserWarning, match="left out"):
        assert math.isnan(SemanticChangeMetric(NAMES)(*alone).value)


def test_cubes_that_do_not_fit_are_refused():
    prediction, truth = {"mask": torch.zeros(1, 2, 2).long()}, {"mask": torch.zeros(1, 2, 2).long()}
    metric = SemanticChangeMetric(NAMES)
    with pytest.raises(SampleError, match="an id of cube and month, such as 1_2_3_2018-01, got '1_2_3'"):
        metric.update(prediction, {**truth, "id": ["1_2_3"]})
    with pytest.raises(SampleError, match="1 names in id, got 2"):
        metric.update(prediction, {**truth, "id": ["1_2_3_2018-01", "1_2_3_2018-02"]})
    with pytest.raises(SampleError, match="names of at most 64 bytes"):
        metric.update(prediction, {**truth, "id": ["9" * 60 + "_2018-01"]})
    with pytest.raises(SampleError, match="ids in the predicted mask"):
        metric.update({"mask": truth["mask"] + 6}, {**truth, "id": ["1_2_3_2018-01"]})
    metric.update(prediction, {**truth, "id": ["1_2_3_2018-01"]})
    metric.update({"mask": torch.zeros(1, 3, 3).long()}, {"mask": torch.zeros(1, 3, 3).long(), "id": ["1_2_3_2018-02"]})
    with pytest.raises(SampleError, match=r"maps of one size in cube 1_2_3, got \[4, 9\] pixels"):
        metric.compute()
    crops = SemanticChangeMetric(NAMES)
    crops.update(prediction, {**truth, "id": ["1_2_3_2018-01"]})
    crops.update(prediction, {"mask": torch.ones(1, 2, 2).long(), "id": ["1_2_3_2018-01"]})
    with pytest.raises(SampleError, match="one map of cube 1_2_3, 2018-01, got two, with different truths"):
        crops.compute()


def test_a_name_survives_its_journey():
    assert decode(encode("6475_3361_13\n2018-02")) == "6475_3361_13\n2018-02"
    assert decode(encode("Zürich\n2018-02")) == "Zürich\n2018-02"
