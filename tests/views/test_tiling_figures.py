"""Every tile is drawn, and the chosen one where it lies."""

import numpy as np
import pytest

from skysense_nb.views import describe, tiling_figure

ROWS = [(0, 4, 0, 3), (2, 6, 3, 6)]
COLUMNS = [(0, 5, 0, 4), (3, 8, 4, 8)]


@pytest.mark.parametrize("chosen", [(0, 0), (1, 1)])
def test_tiles_lie_where_their_cells_are(chosen):
    figure = tiling_figure(np.ones((6, 8, 3)), ROWS, COLUMNS, np.full((3, 4), 0.5), chosen)
    found = [(one.get_x(), one.get_y(), one.get_width(), one.get_height()) for one in figure.axes[0].patches]
    top, bottom, first_row, last_row = ROWS[chosen[0]]
    left, right, first_column, last_column = COLUMNS[chosen[1]]
    assert len(found) == 4 + 2
    assert found[-2] == (left, 6 - bottom, right - left, bottom - top)
    assert found[-1] == (first_column, 6 - last_row, last_column - first_column, last_row - first_row)
    share = figure.axes[1].images[0].get_array()
    assert share.shape == (4, 5) and share.sum() == 0.5 * 12
    assert f"cells {top} to {bottom} by {left} to {right} are read" in describe(figure)
