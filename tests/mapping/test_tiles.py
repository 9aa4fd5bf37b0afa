"""Tiles cover every cell, are of one size, and count a little everywhere."""

import numpy as np
import pytest

from skysense_nb.errors import ParameterError
from skysense_nb.mapping.tiles import BLENDS, Tiling

CUTS = [(5, 0, 0), (8, 1, 2), (8, 2, 3), (7, 3, 0), (64, 8, 8)]


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize(("side", "margin", "overlap"), CUTS)
@pytest.mark.parametrize("length", [1, 4, 5, 8, 9, 23, 64, 65, 200])
def test_every_cell_is_kept_by_a_tile_that_saw_its_margin(length, side, margin, overlap, blend):
    tiling = Tiling((length, 1), side, margin, overlap, blend)
    spans, counts, total = tiling.spans(0), np.zeros(length, int), np.zeros(length)
    for span in spans:
        assert 0 <= span.start <= span.first < span.last <= span.stop <= length
        assert span.stop - span.start == min(side, length)
        assert span.first == 0 or span.first - span.start >= margin
        assert span.last == length or span.stop - span.last >= margin
        weights = tiling.weights(span, length)
        assert weights.min() > 0 and len(weights) == span.last - span.first
        counts[span.first : span.last] += 1
        total[span.first : span.last] += weights
    assert counts.min() == 1 and total.min() > 0
    assert blend != "none" or counts.max() == 1


@pytest.mark.parametrize("blend", ["linear", "cosine"])
def test_where_two_tiles_overlap_as_planned_their_weights_add_up_to_one(blend):
    tiling = Tiling((22, 1), side=10, overlap=4, blend=blend)
    total = np.zeros(22 * 3)
    for span in tiling.spans(0):
        total[span.first * 3 : span.last * 3] += tiling.weights(span, 22, 3)
    assert np.allclose(total, 1, atol=1e-6)


def test_tiles_go_row_by_row():
    corners = [(tile.rows.first, tile.columns.first) for tile in Tiling((6, 9), 5, blend="none").tiles()]
    assert corners == sorted(corners) and corners[0] == (0, 0) and len(corners) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"side": 8, "margin": 4}, "larger than twice the margin"),
        ({"side": 8, "overlap": 8}, "Take larger tiles"),
        ({"side": 8, "margin": -1}, "a margin of -1"),
        ({"side": 8, "blend": "hann"}, "a blend among none, mean, linear, cosine"),
    ],
)
def test_cuts_that_keep_nothing_are_refused(options, words):
    with pytest.raises(ParameterError, match=words):
        Tiling((9, 9), **options)
