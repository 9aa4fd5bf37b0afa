"""One matching, read at any score, says the same as a matching of its own for each score."""

import numpy as np
import pytest
import torch

from skysense_nb.errors import SampleError
from skysense_nb.tasks.judged import joined, judge
from skysense_nb.tasks.oriented_boxes import to_corners
from skysense_nb.tasks.outcomes import outcome


def crowd(count, seed, form):
    rng = torch.Generator().manual_seed(seed)
    corner, side = torch.rand(count, 2, generator=rng) * 30, torch.rand(count, 2, generator=rng) * 15 + 5
    if form == "bbox_xyxy":
        return torch.cat([corner, corner + side], 1)
    return to_corners(torch.cat([corner, side, torch.rand(count, 1, generator=rng)], 1))


@pytest.mark.parametrize("form", ["bbox_xyxy", "bbox_corners"])
@pytest.mark.parametrize("iou", [0.3, 0.5])
def test_hits_at_any_score_are_those_of_a_matching_at_that_score(form, iou):
    truth = {form: [crowd(12, 1, form)], "bbox_label": [torch.arange(12) % 2]}
    told = torch.cat([truth[form][0] + 1.0, crowd(30, 2, form)])
    scores = torch.rand(42, generator=torch.Generator().manual_seed(3))
    prediction = {form: [told], "bbox_label": [torch.arange(42) % 2], "bbox_score": [scores]}
    judged = judge(prediction, truth, 0)
    hits = judged.hits(iou)
    assert (np.diff(judged.score) <= 0).all()
    for least in (0.0, 0.2, 0.5, 0.9):
        kept = judged.score >= least
        one = outcome(prediction, truth, 0, least, iou)
        found = np.isin(np.arange(12), hits[kept])
        assert least != 0.5 or 0 < found.sum() < 12
        np.testing.assert_array_equal(judged.wanted[found], one.found)
        np.testing.assert_array_equal(judged.wanted[~found], one.missed)
        np.testing.assert_array_equal(judged.told[kept & (hits < 0)], one.made_up)


def test_images_without_boxes_have_no_hits():
    none = {"bbox_xyxy": [torch.zeros(0, 4)], "bbox_label": [torch.zeros(0, dtype=torch.long)]}
    assert judge({**none, "bbox_score": [torch.zeros(0)]}, none, 0).hits(0.5).shape == (0,)


def test_batches_are_put_behind_each_other():
    one, other = {"bbox_label": [1], "mask": 0}, {"bbox_label": [2, 3], "mask": 0}
    assert joined([one, other]) == {"bbox_label": [1, 2, 3]} == joined({"bbox_label": [1, 2, 3]})
    assert joined([]) == {}


def test_boxes_of_different_kinds_are_refused():
    upright, corners = {"bbox_xyxy": [], "bbox_score": []}, {"bbox_corners": []}
    with pytest.raises(SampleError, match="bbox_xyxy or bbox_corners in predictions and truth"):
        judge(upright, corners, 0)
