"""Marks where the cells are, colours that say the class and fade where it is unsure."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from skysense_nb.errors import SceneError
from skysense_nb.views import clicks_figure, confidence_colours, describe, marks_picture

COLOURS = ["#ff0000", "#0000ff", "#008000"]


def test_opacity_grows_with_confidence_and_stops_below_the_least():
    belief = np.array([[1.0, 0.6, 1 / 3, np.nan], [0.0, 0.3, 1 / 3, np.nan], [0.0, 0.1, 1 / 3, np.nan]])[:, None]
    shown = confidence_colours(belief, COLOURS)[0]
    assert shown[0].tolist() == [1, 0, 0, 1] and shown[3, 3] == 0
    assert 1 > shown[1, 3] > shown[2, 3] == pytest.approx(0.35)
    assert confidence_colours(belief, COLOURS, least=0.6)[0, :, 3].round(3).tolist() == [1, 0.61, 0, 0]


def test_marks_lie_on_their_cells_and_say_their_kind():
    picture = marks_picture((6, 8), [(1, 6, 0, False), (4, 2, 1, True)], COLOURS)
    side = picture.shape[1] / 8
    assert picture.shape[0] / 6 == side
    for (row, column), name in {(1, 6): "trained", (4, 2): "held"}.items():
        opaque = np.zeros(picture.shape[:2], bool)
        top, left = round(row * side), round(column * side)
        opaque[top : top + round(side), left : left + round(side)] = True
        cell = picture[top : top + round(side), left : left + round(side)]
        down, across = np.nonzero(cell[..., 3])
        assert abs(down.mean() - side / 2) < 1 and abs(across.mean() - side / 2) < 1, name
    assert picture[round(1.5 * side), round(6.5 * side) - 10].tolist() == [255, 0, 0, 255]
    assert picture[round(4.5 * side), round(2.5 * side) - 11].tolist() == [0, 0, 255, 255]
    assert picture[round(4.5 * side) - 8, round(2.5 * side) - 8].tolist() == [255, 255, 255, 255]
    covered = (picture[..., 3] > 0).sum()
    assert covered < 2 * 30**2


def test_without_marks_the_layer_is_transparent():
    assert not marks_picture((4, 4), [], COLOURS).any()


def test_the_figure_shows_marks_and_classes_in_place():
    belief = np.zeros((3, 6, 8))
    belief[0, :, :4], belief[2, :, 4:] = 1, 1
    figure = clicks_figure([(0, 7, 2, True), (5, 0, 0, False)], ["a", "b", "c"], COLOURS, (160, 120), (6, 8),
                           probabilities=belief, picture=np.ones((6, 8, 3)))  # fmt: skip
    assert describe(figure) == "2 labelled cells, 1 of them held out; classes: a 50%, b 0%, c 50%."
    first, second = figure.axes[:2]
    (held,), (trained,) = ([line for line in first.lines if line.get_marker() == form] for form in "so")
    assert (held.get_xdata()[0], held.get_ydata()[0]) == pytest.approx((150, 110))
    assert (trained.get_xdata()[0], trained.get_ydata()[0]) == pytest.approx((10, 10))
    assert tuple(second.images[0].get_array()[3, 1]) == to_rgb(COLOURS[0])
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["1 a", "2 b", "3 c"]
    figure.canvas.draw()
    plt.close(figure)


def test_before_a_map_only_the_marks_are_drawn():
    figure = clicks_figure([], ["a", "b", "c"], COLOURS, (160, 120), (6, 8))
    assert len(figure.axes) == 1 and describe(figure) == "0 labelled cells, 0 of them held out."


def test_too_few_colours_are_refused():
    with pytest.raises(SceneError, match="4 colours, one per class, got 3"):
        confidence_colours(np.zeros((4, 1, 1)), COLOURS)
