"""Lengths on the ground and words for figures."""

import pickle

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats

from skysense_nb.errors import SceneError
from skysense_nb.views.furniture import (
    PALETTE,
    class_colours,
    describe,
    ground_size_m,
    panels,
    round_length,
    scale_bar,
    set_description,
    show,
)


def test_ground_size_in_any_projection(image):
    """UTM metres are true to 0.1 %; Web Mercator metres shrink with the cosine of the latitude; degrees too."""
    utm = image("s2")[0, 0]
    assert ground_size_m(utm) == pytest.approx((160, 120), rel=1e-3)
    latitude = np.radians(47.85)
    mercator = utm.rio.reproject("EPSG:3857", shape=(40, 40))
    left, bottom, right, top = mercator.rio.bounds()
    expected = (right - left) * np.cos(latitude), (top - bottom) * np.cos(latitude)
    assert ground_size_m(mercator) == pytest.approx(expected, rel=5e-3)
    degrees = utm.rio.reproject("EPSG:4326", shape=(40, 40))
    left, bottom, right, top = degrees.rio.bounds()
    expected = (right - left) * 111_320 * np.cos(latitude), (top - bottom) * 111_195
    assert ground_size_m(degrees) == pytest.approx(expected, rel=5e-3)
    assert ground_size_m(utm.drop_vars("spatial_ref")) == (16, 12)


@pytest.mark.parametrize(("about", "length"), [(40, 20), (50, 50), (99, 50), (100, 100), (0.7, 0.5), (2300, 2000)])
def test_round_lengths(about, length):
    assert round_length(about) == pytest.approx(length)


def test_scale_bar_has_the_length_it_names():
    figure, (ax,) = panels(1)
    show(ax, np.zeros((10, 20, 3)), (2000.0, 1000.0), "x")
    assert scale_bar(ax, 2000.0) == 500
    drawn = np.ptp(ax.lines[-1].get_xdata())
    assert drawn == 500 and ax.texts[0].get_text() == "500 m"


def test_north_is_up_and_one_unit_is_one_metre():
    _, (ax,) = panels(1)
    picture = np.zeros((2, 4, 3))
    picture[0] = 1
    show(ax, picture, (400.0, 200.0), "x")
    assert ax.images[0].get_extent() == [0, 400, 0, 200] and ax.images[0].origin == "upper"


def test_palette_stays_apart_and_refuses_to_run_out():
    colours = class_colours(len(PALETTE))
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + np.eye(len(colours))
    assert gaps.min() > 0.1
    with pytest.raises(SceneError, match=r"^Expected 18 colours, one per class, got 17\."):
        class_colours(18)


def test_description_falls_back_to_titles():
    figure, axes = panels(2)
    axes[0].set_title("Left\nhere")
    axes[1].set_title("Right")
    assert describe(figure) == "2 panels: Left, here; Right."


def test_a_description_goes_with_the_figure_into_a_notebook():
    figure, _ = panels(1)
    set_description(figure, "Water on the left.")
    assert describe(figure) == "Water on the left."
    shell = InteractiveShell()
    select_figure_formats(shell, {"png"})
    data, metadata = shell.display_formatter.format(pickle.loads(pickle.dumps(figure)))
    assert metadata["image/png"] == {"alt": "Water on the left."} and "image/png" in data
