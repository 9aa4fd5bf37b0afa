"""Predictions beside the truth: what is wrong is black, boxes lie where they are and say which kind they are."""

import numpy as np
from matplotlib.collections import PolyCollection

from skysense_nb.views import PredictedBoxes, PredictedMask, boxes_figure, describe, masks_figure


def test_wrong_pixels_are_black_and_unknown_ones_grey():
    truth = np.array([[0, 1], [255, 1]])
    prediction = np.array([[0, 0], [1, 1]])
    one = PredictedMask(np.zeros((4, 4, 3)), truth, prediction)
    assert one.right == 2 / 3
    figure = masks_figure({"tile": one}, ["water", "road"], ["#0000FF", "#FF0000"])
    pictures = [ax.images[0].get_array() for ax in figure.axes]
    assert pictures[3].tolist() == [[1.0, 0.0], [0.6, 1.0]]
    assert pictures[1][0].tolist() == [[0, 0, 1], [1, 0, 0]]
    assert pictures[1][1, 0].tolist() != pictures[2][1, 0].tolist()
    assert pictures[2][1, 0].tolist() == [1, 0, 0]
    assert [text.get_text() for text in figure.axes[3].get_legend().get_texts()] == ["water", "road"]
    assert "67% of the pixels right" in describe(figure)


def test_a_place_of_which_nothing_is_known_has_no_share():
    one = PredictedMask(np.zeros((2, 2, 3)), np.full((2, 2), 255), np.zeros((2, 2), int))
    assert np.isnan(one.right)
    masks_figure({"tile": one}, ["water"])


def test_boxes_lie_around_their_pixels_and_are_counted():
    def square(left, top):
        return np.array([[[left, top], [left + 4, top], [left + 4, top + 2], [left, top + 2]]], float)

    one = PredictedBoxes(np.zeros((20, 40, 3)), square(2, 3), np.zeros((0, 4, 2)), square(30, 10), ["ship", "car"])
    figure = boxes_figure({"harbour": one})
    figure.canvas.draw()
    found, missed, made_up = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    assert found.get_paths()[0].vertices[:4].tolist() == [[2, 17], [6, 17], [6, 15], [2, 15]]
    assert len(missed.get_paths()) == 0
    assert made_up.get_paths()[0].vertices[0].tolist() == [30, 10]
    assert found.get_linestyle() != made_up.get_linestyle()
    assert [text.get_text() for text in figure.axes[0].texts] == ["ship", "car"]
    assert "1 found, 0 missed, 1 made up" in describe(figure)
