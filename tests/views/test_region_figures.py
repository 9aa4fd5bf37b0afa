"""Regions on the outline of the continents."""

import numpy as np

from skysense_nb.views import describe, regions_figure
from skysense_nb.views.region_figures import rings

ROME, CAIRO = (12.0, 41.5, 13.0, 42.5), (30.5, 29.5, 31.5, 30.5)


def test_marks_lie_in_the_middle_of_their_regions_on_one_scale():
    figure = regions_figure({"a": {ROME: 0.2, CAIRO: 0.8}, "b": {ROME: 0.5}}, "likeness", {ROME: "Rome"})
    first, second = (ax.collections[1] for ax in figure.axes[:2])
    np.testing.assert_allclose(first.get_offsets(), [[12.5, 42.0], [31.0, 30.0]])
    assert first.get_clim() == second.get_clim() == (0.2, 0.8)
    assert [text.get_text() for text in figure.axes[0].texts] == ["Rome"]
    assert describe(figure) == "likeness of regions on a map. a: 0.20 to 0.80; b: 0.50 to 0.50."


def test_the_outline_is_that_of_the_earth():
    points = np.concatenate(rings())
    assert len(rings()) > 50 and points[:, 0].min() < -170 and points[:, 0].max() > 170
