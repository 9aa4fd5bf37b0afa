"""Semantic change: the published scorer's numbers, a slow second opinion, edges."""

import math
import random

import numpy as np
import pytest
import torch

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.tasks import semantic_change_scores

TRUTH = [
    [[0, 0, 1, 1], [2, 2, 5, 5]],
    [[0, 4, 1, 1], [2, 1, 5, 255]],
    [[0, 4, 4, 1], [2, 1, 5, 5]],
]
PREDICTION = [
    [[0, 0, 1, 1], [2, 2, 5, 1]],
    [[0, 4, 1, 0], [2, 2, 5, 5]],
    [[0, 4, 4, 0], [2, 1, 5, 5]],
]


def by_loops(truth, prediction, classes=6, ignored=255):
    """SCS, BC, SC, mIoU and IoU with sets of pixels, following the words of the definition."""
    true_change, said_change, truly, said = set(), set(), {}, {}
    for cube, (maps, guesses) in enumerate(zip(truth, prediction, strict=True)):
        for t, (month, guess) in enumerate(zip(maps, guesses, strict=True)):
            for y, row in enumerate(month):
                for x, label in enumerate(row):
                    pixel = (cube, t, y, x)
                    truly[pixel], said[pixel] = label, guess[y][x]
                    if t and maps[t - 1][y][x] != label:
                        true_change.add(pixel)
                    if t and guesses[t - 1][y][x] != guess[y][x]:
                        said_change.add(pixel)

    def per_class(pixels):
        known = [pixel for pixel in pixels if truly[pixel] != ignored]
        for one in range(classes):
            of_truth = {pixel for pixel in known if truly[pixel] == one}
            of_guess = {pixel for pixel in known if said[pixel] == one}
            union = of_truth | of_guess
            yield len(of_truth & of_guess) / len(union) if union else 0.0, bool(of_truth), bool(union)

    bc = len(true_change & said_change) / max(1, len(true_change | said_change))
    changed, everything = list(per_class(true_change)), list(per_class(truly))
    sc = sum(iou for iou, _, _ in changed) / sum(present for _, present, _ in changed)
    miou = sum(iou for iou, _, _ in everything) / sum(union for _, _, union in everything)
    return (bc + sc) / 2, bc, sc, miou, [iou for iou, _, _ in everything]


def random_cubes(seed, months=(4, 2, 3)):
    dice = random.Random(seed)
    draw = lambda ids, t: [[[dice.choice(ids) for _ in range(5)] for _ in range(3)] for _ in range(t)]  # noqa: E731
    truth = [draw([0, 1, 2, 2, 4, 255], t) for t in months]
    return truth, [draw([0, 1, 2, 3, 4], t) for t in months]


def test_numbers_are_those_of_the_published_scorer():
    scores = semantic_change_scores([TRUTH], [PREDICTION])
    assert scores.scs == pytest.approx(0.547619, abs=1e-6)
    assert scores.bc == pytest.approx(0.428571, abs=1e-6)
    assert scores.sc == pytest.approx(0.666667, abs=1e-6)
    assert scores.miou == pytest.approx(0.753333, abs=1e-6)
    assert scores.iou == pytest.approx([0.666667, 0.5, 0.8, 0.0, 1.0, 0.8], abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_loops_find_the_same(seed):
    truth, prediction = random_cubes(seed)
    scores = semantic_change_scores(truth, prediction)
    scs, bc, sc, miou, iou = by_loops(truth, prediction)
    assert (scores.scs, scores.bc, scores.sc, scores.miou) == pytest.approx((scs, bc, sc, miou))
    assert scores.iou == pytest.approx(iou)


def test_cubes_may_have_names_and_be_tensors_of_any_integer_type():
    truth, prediction = random_cubes(7)
    named = {f"cube {number}": torch.tensor(maps, dtype=torch.uint8) for number, maps in enumerate(truth)}
    others = {f"cube {number}": np.array(maps, np.int32) for number, maps in reversed(list(enumerate(prediction)))}
    assert semantic_change_scores(named, others) == semantic_change_scores(truth, prediction)


def test_months_of_different_cubes_are_no_pair():
    one, other = [[[0]], [[0]]], [[[1]], [[1]]]
    apart, joined = [one, other], [[*one, *other]]
    assert math.isnan(semantic_change_scores(apart, apart).sc) and semantic_change_scores(apart, apart).bc == 0
    assert semantic_change_scores(joined, joined).bc == 1


def test_the_same_map_every_month_gets_nothing_for_change():
    still = [PREDICTION[0]] * 3
    scores = semantic_change_scores([TRUTH], [still])
    assert scores.bc == 0 and scores.scs == scores.sc / 2


def test_the_truth_itself_scores_one():
    truth, prediction = random_cubes(3)
    perfect = [np.where(np.array(maps) == 255, 0, maps) for maps in truth]
    assert semantic_change_scores(perfect, perfect).scs == 1 == semantic_change_scores(perfect, perfect).miou
    assert semantic_change_scores(perfect, prediction).scs < 1


def test_becoming_unknown_is_change_but_of_no_class():
    unknown, guess = [[[0, 0]], [[255, 1]]], [[[0, 0]], [[1, 1]]]
    scores = semantic_change_scores([unknown], [guess])
    assert (scores.bc, scores.sc) == (1, 1)
    assert scores.iou[1] == 1, "a guess where the truth is unknown is no error"


def test_classes_seen_only_in_the_prediction_weigh_on_the_miou_but_not_on_sc():
    truth, guess = [[[0, 0]], [[1, 1]]], [[[0, 0]], [[1, 2]]]
    scores = semantic_change_scores([truth], [guess])
    assert scores.sc == pytest.approx(1 / 2) and scores.miou == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_every_month_is_compared_with_the_one_before():
    there_and_back, guess = [[[0]], [[1]], [[0]], [[0]]], [[[0]], [[1]], [[1]], [[0]]]
    scores = semantic_change_scores([there_and_back], [guess])
    assert scores.bc == pytest.approx(1 / 3) and scores.sc == pytest.approx((0 + 1 / 2) / 2)


def test_what_does_not_fit_is_refused():
    with pytest.raises(SampleError, match="Expected the same cubes in truth and prediction, got 1 and 2"):
        semantic_change_scores([TRUTH], [PREDICTION, PREDICTION])
    with pytest.raises(SampleError, match="the same cubes"):
        semantic_change_scores({"a": TRUTH}, {"b": PREDICTION})
    with pytest.raises(SampleError, match="the same cubes"):
        semantic_change_scores([], [])
    with pytest.raises(SampleError, match=r"for cube 0, got \(3, 2, 4\) and \(2, 2, 4\)"):
        semantic_change_scores([TRUTH], [PREDICTION[:2]])
    with pytest.raises(SampleError, match="two or more months"):
        semantic_change_scores([TRUTH[:1]], [PREDICTION[:1]])
    with pytest.raises(SampleError, match=r"Expected ids from 0 to 5 in the prediction of cube 0, got \[255\]"):
        semantic_change_scores([TRUTH], [TRUTH])
    with pytest.raises(SampleError, match=r"Expected ids from 0 to 5 in the truth of cube 0, got \[6\]"):
        semantic_change_scores([[[[6]], [[255]]]], [[[[1]], [[1]]]])
    with pytest.raises(SampleError, match="Expected whole numbers as ids in cube 0, got float"):
        semantic_change_scores([np.zeros((2, 1, 1))], [np.zeros((2, 1, 1))])
    with pytest.raises(ParameterError, match="Expected an ignored id outside of 0 to 5, got 3"):
        semantic_change_scores([TRUTH], [PREDICTION], ignored=3)
