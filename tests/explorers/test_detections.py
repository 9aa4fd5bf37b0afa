"""Counts are those of a matching at that score; the controls change picture, table and words."""

import numpy as np
import pytest
import torch

from skysense_nb.errors import SampleError
from skysense_nb.explorers import DetectionExplorer
from skysense_nb.explorers.application import family
from skysense_nb.tasks.outcomes import outcome
from skysense_nb.views import describe

CLASSES = ("ship", "plane", "dam")


def boxes(*corners):
    return torch.tensor([[left, top, left + 10.0, top + 10.0] for left, top in corners]).reshape(-1, 4)


@pytest.fixture
def images():
    return {"harbour": np.zeros((40, 60, 3)), "airport": np.ones((30, 30, 3))}


@pytest.fixture
def truths():
    return {
        "bbox_xyxy": [boxes((0, 0), (20, 0), (40, 20)), boxes((5, 5))],
        "bbox_label": [torch.tensor([0, 0, 1]), torch.tensor([1])],
    }


@pytest.fixture
def predictions():
    """A sure ship, an unsure one a little aside, an invented one; nothing at the airport."""
    return {
        "bbox_xyxy": [boxes((21, 1), (0, 0), (30, 28)), boxes()],
        "bbox_label": [torch.tensor([0, 0, 0]), torch.zeros(0, dtype=torch.long)],
        "bbox_score": [torch.tensor([0.4, 0.9, 0.6]), torch.zeros(0)],
        "mask": "not of boxes",
    }


@pytest.fixture
def explorer(images, predictions, truths):
    return DetectionExplorer(images, predictions, truths, CLASSES)


def counts(explorer, name="ship"):
    return explorer.table().loc[name, ["found", "missed", "made up"]].astype(int).tolist()


def test_table_follows_the_score(explorer):
    assert counts(explorer) == [1, 1, 1] and counts(explorer, "plane") == [0, 2, 0]
    explorer.score.value = 0.3
    assert counts(explorer) == [2, 0, 1]
    explorer.score.value = 0.95
    assert counts(explorer) == [0, 2, 0]
    assert "score at least 0.95, IoU at least 0.5: 0 found, 4 missed, 0 made up" in explorer.message.value


def test_precision_and_recall_are_shares_and_missing_where_nothing_is_told(explorer):
    explorer.score.value = 0.3
    table = explorer.table()
    assert table.loc["ship", "precision"] == pytest.approx(2 / 3) and table.loc["ship", "recall"] == 1
    assert np.isnan(table.loc["plane", "precision"]) and table.loc["plane", "recall"] == 0
    assert "dam" not in table.index


def test_a_greater_overlap_is_harder_to_reach(explorer):
    explorer.score.value = 0.3
    explorer.overlap.value = 0.75
    assert counts(explorer) == [1, 1, 2]  # 9 × 9 of two boxes of 10 × 10: IoU 0.68


def test_classes_are_left_out_of_picture_and_table(explorer):
    explorer.chosen.value = (1,)
    assert list(explorer.table().index) == ["plane"]
    drawn = explorer.boxes_of(0)
    assert (len(drawn.found), len(drawn.missed), len(drawn.made_up)) == (0, 1, 0)
    before = explorer.list.value
    explorer.chosen.value = ()
    assert "<b>Expected at least one class" in explorer.message.value and explorer.list.value == before


def test_the_chosen_image_is_drawn(explorer):
    before = explorer.picture.value
    explorer.image.value = 1
    assert explorer.picture.value != before and "airport: 0 found, 1 missed, 0 made up" in explorer.picture.value


def test_boxes_are_those_of_a_matching_at_that_score(explorer, predictions, truths):
    for least in (0.2, 0.5, 0.7):
        explorer.score.value = least
        for image in (0, 1):
            drawn, one = explorer.boxes_of(image), outcome(predictions, truths, image, least)
            np.testing.assert_array_equal(drawn.found, one.found)
            np.testing.assert_array_equal(drawn.missed, one.missed)
            np.testing.assert_array_equal(drawn.made_up, one.made_up)
    explorer.score.value = 0.5
    assert explorer.boxes_of(0).labels == ["ship", "ship"]


def test_batches_and_unnamed_images_do_too(explorer, images, predictions, truths):
    split = [
        [{key: [values[n]] for key, values in one.items() if key != "mask"} for n in (0, 1)]
        for one in (predictions, truths)
    ]
    other = DetectionExplorer(list(images.values()), *split, CLASSES)
    assert other.table().equals(explorer.table()) and other.image.options[1] == ("image 1", 1)


def test_oriented_boxes_do_too(images, predictions, truths):
    slanted = torch.tensor([[[5.0, 0], [10, 5], [5, 10], [0, 5]]])
    one = {"bbox_corners": [slanted], "bbox_label": [torch.tensor([2])]}
    explorer = DetectionExplorer(
        {"lake": np.zeros((9, 9, 3))}, {**one, "bbox_score": [torch.tensor([0.8])]}, one, CLASSES
    )
    assert counts(explorer, "dam") == [1, 0, 0]


def test_static_picture_follows_the_controls(explorer):
    assert describe(explorer.figure()).startswith("harbour: 1 found, 2 missed, 1 made up. Over all images: ship: ")
    explorer.score.value, explorer.image.value = 0.3, 1
    words = describe(explorer.figure())
    assert words.startswith("airport: 0 found, 1 missed") and "ship: precision 0.67, recall 1.00" in words
    assert "plane: precision none, recall 0.00" in words


def test_a_benchmark_without_any_box_is_shown(images):
    none = {"bbox_xyxy": [boxes()] * 2, "bbox_label": [torch.zeros(0, dtype=torch.long)] * 2}
    explorer = DetectionExplorer(images, {**none, "bbox_score": [torch.zeros(0)] * 2}, none, CLASSES)
    assert "0 found, 0 missed, 0 made up" in explorer.message.value


def test_refusals_in_words(images, predictions, truths):
    with pytest.raises(SampleError, match="1 images, 2 predictions, 2 truths"):
        DetectionExplorer([np.zeros((9, 9, 3))], predictions, truths, CLASSES)
    with pytest.raises(SampleError, match="class ids below 1, got 1"):
        DetectionExplorer(images, predictions, truths, CLASSES[:1])
    with pytest.raises(SampleError, match="predictions with bbox_score"):
        DetectionExplorer(images, truths, truths, CLASSES)
    with pytest.raises(SampleError, match=r"an image \(y, x, 3\), got shape \(3, 40, 60\)"):
        DetectionExplorer({name: one.transpose(2, 0, 1) for name, one in images.items()}, predictions, truths, CLASSES)


def test_close_frees_all_widgets(explorer):
    held = list(family(explorer.box))
    explorer.close()
    assert len(held) > 15 and [one for one in held if one.comm is not None] == []
