"""Galleries show every picture and map, on one scale."""

import numpy as np
import pytest

from skysense_nb.errors import SceneError
from skysense_nb.views import describe, pictures_figure, quantity_maps_figure


def test_every_picture_is_shown_under_its_title():
    pictures = {f"place {number}": np.full((4, 4, 3), number / 8) for number in range(8)}
    figure = pictures_figure(pictures)
    assert [ax.get_title() for ax in figure.axes] == list(pictures)
    for ax, picture in zip(figure.axes, pictures.values(), strict=True):
        assert np.array_equal(ax.images[0].get_array(), picture)
    assert "place 7" in describe(figure)


def test_maps_share_one_scale_and_ignore_gaps():
    maps = {"low": np.array([[0.0, 1.0]]), "high": np.array([[np.nan, 5.0]])}
    figure = quantity_maps_figure(maps, "cosine", picture=np.ones((2, 2, 3)))
    picture, *shown, bar = figure.axes
    assert picture.get_title() == "Image"
    assert [ax.images[0].get_clim() for ax in shown] == [(0.0, 5.0)] * 2
    assert bar.get_ylabel() == "cosine"
    assert "high 5" in describe(figure)


def test_nothing_to_show_is_refused():
    with pytest.raises(SceneError, match="Expected something to draw"):
        pictures_figure({})
