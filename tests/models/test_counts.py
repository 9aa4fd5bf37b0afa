"""Counts against the papers' tables and against arithmetic by hand."""

import pytest

from skysense_nb.models import preset
from skysense_nb.models.counts import parts_in_millions, published_table


def test_encoders_reproduce_the_published_total_exactly():
    rows = {row.part: row for row in published_table()}
    assert round(rows["encoders without tokenisers"].ours, 2) == 1260.31
    assert rows["fusion, heads and dates"].gap == pytest.approx(0.39, abs=0.01)
    assert rows["prototypes"].ours == pytest.approx(4096 * 100 * 512 / 1e6)
    assert rows["fusion transformer"].gap is None


def test_parts_by_hand():
    parts = parts_in_millions(preset("skysense"))
    layer = 4 * 1024**2 + 4 * 1024 + 8 * 1024**2 + 5 * 1024 + 4 * 1024  # attention, feed-forward, two norms
    parts = {name: round(millions * 1e6) for name, millions in parts.items()}
    assert parts["fusion"] == 24 * layer + 2816 * 1024 + 1024 + 1024
    assert parts["head_s2"] == (1024 + 1) * 2816 * 16
    assert parts["dates"] == 365 * 2816
