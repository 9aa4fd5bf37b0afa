"""What became of each object: every true box is found or missed, every sure prediction a hit or made up."""

import pytest
import torch

from skysense_nb.tasks.metrics import AveragePrecision
from skysense_nb.tasks.outcomes import corners_of, outcome

BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
TRUTH = {"bbox_xyxy": [BOXES], "bbox_label": [torch.tensor([0, 1, 0])]}
TOLD = {
    "bbox_xyxy": [torch.cat([BOXES[:2], BOXES[:1] + 1, BOXES[2:] + 6])],
    "bbox_label": [torch.tensor([0, 0, 0, 0])],
    "bbox_score": [torch.tensor([0.9, 0.8, 0.7, 0.6])],
}


@pytest.mark.parametrize("form", ["xyxy", "corners"])
def test_a_box_is_found_once_by_its_class_and_enough_overlap(form):
    told, truth = TOLD, TRUTH
    if form == "corners":
        told, truth = (
            {"bbox_corners": [corners_of(one["bbox_xyxy"][0])]} | {k: v for k, v in one.items() if k != "bbox_xyxy"}
            for one in (told, truth)
        )
    one = outcome(told, truth, 0)
    assert torch.equal(one.found, corners_of(BOXES[:1])) and one.found_label.tolist() == [0]
    assert torch.equal(one.missed, corners_of(BOXES[1:])) and one.missed_label.tolist() == [1, 0]
    assert len(one.made_up) == 3  # another class, the same object again, too far away
    metric = AveragePrecision(["a", "b"], form=form)
    metric.update(told, truth)
    assert sum(int(hits.sum()) for hits in metric.hits) == len(one.found)


def test_unsure_predictions_do_not_count():
    one = outcome(TOLD, TRUTH, 0, least_score=0.95)
    assert (len(one.found), len(one.missed), len(one.made_up)) == (0, 3, 0)


def test_images_without_objects_or_predictions_have_empty_boxes():
    none = {"bbox_xyxy": [torch.zeros(0, 4)], "bbox_label": [torch.zeros(0, dtype=torch.int64)]}
    assert len(outcome({**none, "bbox_score": [torch.zeros(0)]}, TRUTH, 0).missed) == 3
    assert len(outcome(TOLD, none, 0).made_up) == 4
