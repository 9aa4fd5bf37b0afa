"""Outlines lie where they should, truth dashed; the threshold stands in the scale."""

import numpy as np

from skysense_nb.views import change_figure, describe


def test_outlines_are_drawn_in_metres_on_the_second_date_and_the_score():
    ring = np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 0]])
    white = np.ones((8, 8, 3))
    figure = change_figure(white, white, np.eye(8), 0.3, [ring], [ring, ring], (200, 100))
    for ax in figure.axes[1:3]:
        found, true = ax.collections
        np.testing.assert_allclose(found.get_segments()[0], ring * (200, 100))
        assert len(true.get_segments()) == 2 and found.get_linestyle() != true.get_linestyle()
    assert figure.axes[3].lines[0].get_ydata()[0] == 0.3
    assert "Threshold 0.30: 1 outlines of found, 2 outlines of truth." in describe(figure)


def test_without_truth_there_is_one_kind_of_line():
    white = np.ones((8, 8, 3))
    figure = change_figure(white, white, np.eye(8), 0.5, [])
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["found"]
