"""What the figures of a scene show, read back from the figure itself."""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from skysense_nb.errors import SceneError
from skysense_nb.views.composites import composite
from skysense_nb.views.furniture import describe
from skysense_nb.views.scene_figures import scene_figure, series_figure, spectra_figure


def test_scene_figure_shows_every_sensor_on_one_date(place):
    figure = scene_figure(place, date="2021-05-09")
    titles = [ax.get_title() for ax in figure.axes]
    assert [title.split(" · ")[0] for title in titles] == [
        "High-resolution optical", "Sentinel-2 L2A", "Sentinel-2 L2A", "Sentinel-1 GRD",
    ]  # fmt: skip
    assert titles[1] == "Sentinel-2 L2A · 2021-05-11\ntrue colour · 10 m"
    shown = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(shown, composite(place["s2"]["image"], date=2, clear=place["s2"]["clear"]))
    assert "North is up" in describe(figure)
    assert plt.get_fignums() == []


def test_default_date_is_the_clearest(place):
    clear = place["s2"]["clear"].values
    clear[:] = False
    clear[4] = True
    assert "2021-06-20" in scene_figure(place).axes[1].get_title()


def test_a_scene_of_one_sensor_and_no_mask(image):
    only = xr.DataTree.from_dict({"s1": image("s1", dates=3).to_dataset(name="image")})
    figure = scene_figure(only)
    assert len(figure.axes) == 1 and "2021-04-21" in figure.axes[0].get_title()


def test_clouds_are_outlined_where_they_are(place):
    ax = scene_figure(place, date="2021-04-21").axes[1]
    assert (ax.images[1].get_array()[..., 3] > 0).mean() == 0.5
    (outline,) = ax.collections[0].get_paths()
    assert outline.vertices[:, 0] == pytest.approx(80, abs=5)


def test_series_figure_shows_dates_and_calendar(place):
    figure = series_figure(place, "s2", most=4)
    *pictures, calendar = figure.axes
    assert [ax.get_title().split(" · ")[0] for ax in pictures] == [
        "2021-04-01",
        "2021-05-11",
        "2021-05-31",
        "2021-07-10",
    ]
    assert calendar.get_title().endswith("(hollow: more than half hidden by cloud)")
    ticks = [label.get_text() for label in calendar.get_yticklabels()]
    assert ticks == ["Sentinel-1 GRD", "Sentinel-2 L2A", "High-resolution optical"]
    filled, hollow = calendar.lines[2:4]
    assert len(filled.get_xdata()) == 5
    assert mdates.num2date(mdates.date2num(hollow.get_xdata()[0])).strftime("%Y-%m-%d") == "2021-04-21"
    assert series_figure(place, "s1").axes[0].get_title() == "2021-04-01"


def test_spectra_figure_leaves_out_hidden_dates(place):
    figure = spectra_figure(place, row=2, column=3)
    left, right = figure.axes[:2]
    assert len(left.lines) == 5
    np.testing.assert_array_equal(left.lines[1].get_ydata(), place["s2"]["image"][2, :, 2, 3])
    red, near = place["s2"]["image"][0].sel(band=["B4", "B8"])[:, 2, 3].values
    assert right.lines[0].get_ydata()[0] == pytest.approx((near - red) / (near + red))
    radar = figure.axes[-1].lines
    np.testing.assert_array_equal(radar[1].get_ydata(), place["s1"]["image"].sel(band="VH")[:, 2, 3])
    assert len(spectra_figure(place, row=2, column=12).axes[0].lines) == 6


def test_refusals_in_words(place):
    with pytest.raises(SceneError, match=r"^Expected a sensor among hr, s2, s1, got 's3'\."):
        series_figure(place, "s3")
    with pytest.raises(SceneError, match=r"^Expected a scene with a child among hr, s2, s1"):
        scene_figure(xr.DataTree())
    with pytest.raises(SceneError, match=r"^Expected a pixel in rows 0–11, columns 0–15, got row 12, column 0\."):
        spectra_figure(place, 12, 0)
    place["s2"]["clear"].values[:, 0, 0] = False
    with pytest.raises(SceneError, match=r"^Expected a pixel that is clear on some date, got one that never is\."):
        spectra_figure(place, 0, 0)
    with pytest.raises(SceneError, match=r"^Expected a scene with s2, got hr\."):
        spectra_figure(xr.DataTree.from_dict({"hr": place["hr"].to_dataset()}), 0, 0)
