"""Hidden dates are hollow, dates and units are said, the star lies where the place is."""

import numpy as np
import pytest

from skysense_nb.errors import SceneError
from skysense_nb.views import PixelSeries, describe, pixel_figure

DAYS = np.array(["2021-04-01", "2021-05-01", "2021-06-01"], "datetime64[ns]")


def series(date=0, clear=(True, False, True), wavelengths=(800.0, 600.0)):
    values = np.array([[3.0, 1.0], [9.0, 8.0], [5.0, 2.0]])
    return PixelSeries("optical", "reflectance", ["B8", "B4"], DAYS, values, np.array(clear), date, ["B4"], wavelengths)


def test_the_spectrum_runs_from_short_to_long_waves():
    (line,) = pixel_figure([series()]).subfigs[0].axes[0].lines
    assert line.get_linestyle() == "-"
    assert line.get_xdata().tolist() == [600, 800] and line.get_ydata().tolist() == [1, 3]


def test_hidden_dates_are_hollow_and_apart_from_the_course():
    course, hidden, chosen = pixel_figure([series(date=1)]).subfigs[0].axes[1].lines
    assert course.get_ydata().tolist() == [1, 2] and course.get_linestyle() == "-"
    assert hidden.get_ydata().tolist() == [8] and hidden.get_markerfacecolor() == "none"
    assert np.datetime64(chosen.get_xdata()[0]) == DAYS[1]


def test_the_spectrum_of_a_hidden_date_is_hollow_and_said():
    figure = pixel_figure([series(date=1)])
    assert figure.subfigs[0].axes[0].lines[0].get_markerfacecolor() == "none"
    assert describe(figure) == "optical (2021-05-01, hidden by cloud): B8 9, B4 8 (reflectance)."


def test_bands_without_wavelengths_have_their_names():
    ax = pixel_figure([series(wavelengths=())]).subfigs[0].axes[0]
    assert ax.lines[0].get_linestyle() == "None"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["B8", "B4"]


def test_pictures_carry_a_star_at_the_place():
    figure = pixel_figure([series()], {"one": np.ones((4, 4, 3)), "two": np.zeros((2, 2, 3))}, (0.25, 0.1))
    stars = [ax.lines[0] for ax in figure.subfigs[0].axes]
    assert [(star.get_xdata()[0], star.get_ydata()[0]) for star in stars] == [(0.25, 0.9)] * 2


def test_nothing_to_draw_is_refused():
    with pytest.raises(SceneError, match="a pixel or a picture"):
        pixel_figure([])
