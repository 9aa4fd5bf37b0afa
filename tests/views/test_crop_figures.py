"""Crops are drawn where they were cut."""

import numpy as np

from skysense_nb.views import crops_figure, describe


def test_a_crop_from_the_top_left_stands_at_the_top_left():
    figure = crops_figure(np.ones((64, 64, 3)), {"first": (0, 0, 2), "second": (1, 2, 2)}, cells=4)
    ax = figure.axes[0]
    corners = [(patch.get_x(), patch.get_y(), patch.get_width()) for patch in ax.patches]
    assert corners[::2] == [(0, 2, 2), (2, 1, 2)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first", "second"]
    assert describe(figure).endswith("first from row 0, column 0, 2 cells; second from row 1, column 2, 2 cells.")
