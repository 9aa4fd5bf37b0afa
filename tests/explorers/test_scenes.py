"""Each sensor shows its nearest date; what is said of a pixel stands in the arrays; every control answers."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pyproj import Transformer
from small_scenes import CORNER, make_image, place_of

from skysense_nb.errors import SceneError
from skysense_nb.explorers import SceneExplorer
from skysense_nb.explorers.application import family
from skysense_nb.explorers.scenes import date_texts
from skysense_nb.explorers.sensor_layer import shown_bands
from skysense_nb.views import describe


def lat_lon(x, y):
    return Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)[::-1]


def test_each_sensor_shows_its_nearest_date_and_says_which(place):
    explorer = SceneExplorer(place)
    assert explorer.show_date("2021-06-02") == {"hr": "2021-04-01", "s2": "2021-05-31", "s1": "2021-05-11"}
    assert explorer.shown == {"hr": 0, "s2": 3, "s1": 2}
    assert explorer.sensors["s2"].told.value == "2021-05-31, 100% clear"
    explorer.show_date("2021-04-20")
    assert explorer.sensors["s2"].told.value == "2021-04-21, 50% clear"
    assert explorer.sensors["s1"].told.value == "2021-04-21"


def test_the_slider_stops_at_every_image_of_every_sensor_once(place):
    explorer = SceneExplorer(place)
    stops = [text for text, _ in explorer.date.options]
    wanted = {f"{pd.Timestamp(one):%Y-%m-%d}" for name in place.children for one in place[name]["time"].values}
    assert stops == sorted(wanted)
    for number, (_, stop) in enumerate(explorer.date.options):
        explorer.date.value = stop
        assert explorer.shown["s2"] == number


def test_two_images_of_one_day_are_told_apart():
    stops = np.array(["2021-04-01T10:00", "2021-04-01T18:30"], "datetime64[ns]")
    assert date_texts(stops) == ["2021-04-01 10:00", "2021-04-01 18:30"]
    assert date_texts(stops[:1]) == ["2021-04-01"]


def test_a_new_date_and_new_colours_redraw_the_sensor(place):
    explorer = SceneExplorer(place)
    layer = explorer.ground.layers["Sentinel-2 L2A"]
    seen = {layer.url}
    explorer.show_date("2021-05-31")
    seen.add(layer.url)
    explorer.sensors["s2"].recipe.value = "swir"
    seen.add(layer.url)
    assert len(seen) == 3


def test_sensors_and_clouds_are_switched_on_and_off(place):
    explorer = SceneExplorer(place)
    layers = explorer.ground.layers
    assert {name for name, one in layers.items() if one.visible} == {"Sentinel-2 L2A", "Clouds of Sentinel-2 L2A"}
    explorer.clouds.value = False
    assert not layers["Clouds of Sentinel-2 L2A"].visible
    before = layers["High-resolution optical"].url
    explorer.sensors["hr"].on.value, explorer.sensors["hr"].opacity.value = True, 0.5
    assert layers["High-resolution optical"].visible and layers["High-resolution optical"].opacity == 0.5
    assert layers["High-resolution optical"].url != before
    explorer.clouds.value, explorer.sensors["s2"].on.value = True, False
    assert not layers["Sentinel-2 L2A"].visible and not layers["Clouds of Sentinel-2 L2A"].visible


def test_a_click_reads_the_pixel_below_it_in_every_sensor(place):
    explorer = SceneExplorer(place)
    explorer.show_date("2021-04-21")
    x, y = CORNER[0] + 34.0, CORNER[1] - 58.0
    explorer.ground.map._interaction_callbacks(type="mousemove", coordinates=lat_lon(x, y))
    assert explorer.place is None
    explorer.ground.map._interaction_callbacks(type="click", coordinates=lat_lon(x, y))
    images = {name: place[name]["image"].values for name in ("hr", "s2", "s1")}
    np.testing.assert_allclose(explorer.pixels["hr"].values, images["hr"][:, :, int(58 / 1.25), int(34 / 1.25)])
    np.testing.assert_allclose(explorer.pixels["s2"].values, images["s2"][:, :, 5, 3])
    np.testing.assert_allclose(explorer.pixels["s1"].values, images["s1"][:, :, 5, 3])
    assert explorer.pixels["s2"].clear.tolist() == [True, False, True, True, True, True]
    message = explorer.message.value
    lat, lon = lat_lon(x, y)
    assert f"Row 5, column 3 at {lat:.5f}°, {lon:.5f}°" in message
    assert f"Sentinel-2 L2A (2021-04-21, hidden by cloud): B2 {images['s2'][1, 0, 5, 3]:.4g}, B3" in message
    assert f"VV {images['s1'][1, 0, 5, 3]:.4g}" in message and "(backscatter in dB)" in message
    assert "(surface reflectance × 10,000)" in message and "<img" in explorer.picture.value


def test_rows_and_columns_do_the_same_without_a_mouse(place):
    explorer = SceneExplorer(place)
    explorer.row.value, explorer.column.value = 4, 12
    explorer.button.click()
    np.testing.assert_allclose(explorer.pixels["s2"].values, place["s2"]["image"].values[:, :, 4, 12])
    lat, lon = np.mean(explorer.ground.marker.locations, axis=0)
    assert explorer.on_click(lat, lon)["s2"].values.tolist() == explorer.pixels["s2"].values.tolist()
    assert (explorer.row.value, explorer.column.value) == (4, 12)


def test_the_chosen_place_stays_when_the_date_moves(place):
    explorer = SceneExplorer(place)
    explorer.choose(2, 2)
    before = explorer.picture.value
    explorer.show_date("2021-06-20")
    assert explorer.pixels["s2"].date == 4 and explorer.picture.value != before
    assert "Sentinel-2 L2A (2021-06-20)" in explorer.message.value


def test_static_picture_follows_date_and_place(place):
    explorer = SceneExplorer(place)
    explorer.show_date("2021-05-31")
    assert "2021-05-31, 100% clear" in describe(explorer.figure()) and "B2" not in describe(explorer.figure())
    explorer.choose(1, 15)
    figure = explorer.figure()
    assert explorer.pixels["s2"].words() in describe(figure)
    star = figure.axes[0].lines[0]
    np.testing.assert_allclose([star.get_xdata()[0], star.get_ydata()[0]], [15.5 / 16, 1 - 1.5 / 12])
    assert len(figure.axes) == 3 + 2 * 3


def test_pixels_without_a_measurement_are_said(place):
    place["s1"]["image"][2, 1, 0, 0] = np.nan
    explorer = SceneExplorer(place)
    explorer.show_date("2021-05-31")
    explorer.choose(0, 0)
    assert "VH not measured (backscatter in dB)" in explorer.message.value


def test_composites_are_offered_where_their_bands_are(place):
    explorer = SceneExplorer(place)
    offered = {name: [recipe for _, recipe in one.recipe.options] for name, one in explorer.sensors.items()}
    assert offered == {"hr": ["true"], "s2": ["true", "false", "swir"], "s1": ["sar"]}
    assert shown_bands("sar", ["VV", "VH"]) == ["VV", "VH"] and shown_bands("sar", ["R", "G", "B"]) == []


def test_one_sensor_is_enough():
    explorer = SceneExplorer(xr.DataTree.from_dict({"s1": make_image("s1", dates=2).to_dataset(name="image")}))
    assert len(explorer.choose(0, 0)["s1"].times) == 2


def test_refusals_in_words(place):
    explorer = SceneExplorer(place)
    explorer.ground.map._interaction_callbacks(type="click", coordinates=(0.0, 0.0))
    assert "<b>Expected a click inside the outline" in explorer.message.value and explorer.place is None
    with pytest.raises(SceneError, match="rows 0–11, columns 0–15"):
        explorer.choose(12, 0)
    with pytest.raises(SceneError, match="a date such as"):
        explorer.show_date("summer")
    with pytest.raises(SceneError, match="a scene as DataTree, got DataArray"):
        SceneExplorer(place["s2"]["image"])
    with pytest.raises(SceneError, match="hr with a CRS, got none"):
        place["hr"] = place["hr"].to_dataset().drop_vars("spatial_ref")
        SceneExplorer(place)


def test_close_frees_all_widgets(place):
    explorer = SceneExplorer(place)
    explorer.on_click(*place_of(1, 1))
    held = list(family(explorer.box))
    assert len(held) > 30
    explorer.close()
    assert [one for one in held if one.comm is not None] == []
