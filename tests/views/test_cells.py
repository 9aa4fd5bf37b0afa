"""The cell below a click, and the edges of a cell."""

import pytest
from small_scenes import place_of

from skysense_nb.errors import SceneError
from skysense_nb.views import cell_at, cell_bounds


def test_every_cell_is_found_at_its_place(embedding):
    for row in range(6):
        for column in range(8):
            assert cell_at(embedding, *place_of(row, column)) == (row, column)
    for row, column in ((-0.6, 2), (5.6, 2), (2, -0.6), (2, 7.6)):
        with pytest.raises(SceneError, match="^Expected a click inside the outline, got latitude"):
            cell_at(embedding, *place_of(row, column))


def test_the_edges_of_a_cell_lie_half_a_cell_around_its_middle(embedding):
    left, bottom, right, top = cell_bounds(embedding, 2, 5)
    assert (left, right) == (600_100, 600_120) and (bottom, top) == (5_299_940, 5_299_960)
