"""Masks veil what they cover, boxes lie where their pixels are."""

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from skysense_nb.views import Annotated, annotated_figure, describe, picture_of
from skysense_nb.views.annotation_figures import VEIL, veil


def test_a_box_is_drawn_around_its_pixels():
    picture = np.zeros((100, 200, 3))
    picture[10:30, 50:90] = 1
    boxes = np.array([[[50, 10], [90, 10], [90, 30], [50, 30]]], float)
    figure = annotated_figure({"ships": Annotated(picture, boxes=boxes, classes=[1], names=["a", "ship"])})
    figure.canvas.draw()
    (ax,) = figure.axes
    (drawn,) = [one for one in ax.collections if isinstance(one, PolyCollection)]
    image = ax.images[0]
    left, right, bottom, top = image.get_extent()
    x, y = drawn.get_paths()[0].vertices[:4].T
    columns = (x - left) / (right - left) * 200
    rows = (top - y) / (top - bottom) * 100
    assert columns.tolist() == [50, 90, 90, 50] and rows.tolist() == [10, 10, 30, 30]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ship"]


def test_a_mask_veils_named_classes_and_leaves_ignored_pixels_clear():
    mask = np.array([[0, 1], [255, 1]])
    one = Annotated(np.ones((4, 4, 3)), mask=mask, names=["no", "yes"], colours=["#FF0000", "#0000FF"])
    colours = veil(one)
    assert colours[0, 0].tolist() == [1, 0, 0, VEIL] and colours[0, 1].tolist() == [0, 0, 1, VEIL]
    assert colours[1, 0].tolist() == [0, 0, 0, 0]
    assert "no, yes" in describe(annotated_figure({"both": one}))


def test_pictures_take_bands_by_name_in_any_order():
    values = np.stack([np.full((4, 4), level) for level in (10.0, 20, 30, 40)])[None]
    values[..., 0, 0] = 0
    by_name = picture_of(values, ["B", "G", "R", "NIR"])[2, 2]
    assert by_name[0] > by_name[1] > by_name[2]
    values[0, :, 1, 1] = np.nan
    assert picture_of(values, ["B", "G", "R", "NIR"])[1, 1] == pytest.approx([0.8] * 3)


def test_classes_that_occur_have_different_colours_however_far_apart_their_ids():
    one = Annotated(
        np.ones((4, 4, 3)), boxes=np.zeros((3, 4, 2)), classes=[1, 18, 35], names=[str(i) for i in range(36)]
    )
    assert len({one.colour(number) for number in one.present()}) == 3
