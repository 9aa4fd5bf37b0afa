"""What may be one scene, what may not, and in which words it is refused."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pyproj import Transformer

from skysense_nb.data import scene as scenes
from skysense_nb.data.scene import build
from skysense_nb.errors import SceneError
from skysense_nb.sensors import SENSORS


def image(name, size=8, pixel=10.0, dates=("2021-06-01",), left=600_000.0, top=5_300_000.0, crs="EPSG:32633"):
    """Random image of `size` pixels whose upper left corner is (left, top)."""
    bands = list(SENSORS[name].bands)
    values = np.random.default_rng(0).random((len(dates), len(bands), size, size), dtype="float32")
    coords = {
        "time": pd.DatetimeIndex(dates),
        "band": bands,
        "y": top - pixel * (np.arange(size) + 0.5),
        "x": left + pixel * (np.arange(size) + 0.5),
    }
    return xr.DataArray(values, dims=scenes.DIMS, coords=coords).rio.write_crs(crs)


def test_any_subset_makes_a_scene_with_sorted_axes():
    s2 = image("s2", dates=("2021-07-01", "2021-06-01"))
    upside_down = s2.isel(y=slice(None, None, -1))
    place = build(s2=upside_down, hr=image("hr", size=80, pixel=1.0))
    assert scenes.modalities(place) == ["hr", "s2"]
    assert place["s2"].indexes["time"].is_monotonic_increasing
    assert place["s2"].indexes["y"].is_monotonic_decreasing
    np.testing.assert_array_equal(place["s2"]["image"].values[0], s2.values[1])
    assert scenes.pixel_size(place["hr"]) == 1.0


def test_clear_mask_follows_its_dates():
    s2 = image("s2", dates=("2021-07-01", "2021-06-01"))
    clear = xr.zeros_like(s2.isel(band=0, drop=True)).astype(int)
    clear[0] = 1
    place = build(s2=s2, clear={"s2": clear})
    assert place["s2"]["clear"].dtype == bool
    assert place["s2"]["clear"].mean(("y", "x")).values.tolist() == [0, 1]


def test_centre_is_where_pyproj_puts_it():
    place = build(s1=image("s1", size=10))
    lon, lat = Transformer.from_crs(32633, 4326, always_xy=True).transform(600_050, 5_299_950)
    assert scenes.center_lonlat(place) == pytest.approx((lon, lat), abs=1e-9)


def test_description_is_short_and_complete():
    text = scenes.describe(build(s2=image("s2", dates=("2021-06-01", "2021-07-01")), s1=image("s1")))
    assert len(text.splitlines()) == 3
    assert "s2: 10 bands · 8 × 8 px of 10 m · 2 dates 2021-06-01 to 2021-07-01" in text
    assert "s1: 2 bands · 8 × 8 px of 10 m · 1 date 2021-06-01" in text


def test_clip_keeps_whole_coarse_pixels():
    """The cut lies on edges of coarse pixels and pixel values stay where they were."""
    s2 = image("s2", size=8)
    hr = image("hr", size=70, pixel=1.0, left=600_003.0, top=5_300_000.0 - 4)
    place = build(hr=hr, s2=s2, clip=True)
    boxes = {name: scenes.bounds(place[name]).bbox for name in ("hr", "s2")}
    assert boxes["hr"] == boxes["s2"] == (600_010.0, 5_299_930.0, 600_070.0, 5_299_990.0)
    kept = s2.sel(x=place["s2"].x, y=place["s2"].y)
    np.testing.assert_array_equal(place["s2"]["image"].values, kept.values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict, r"^Expected at least one of hr, s2, s1, got none\."),
        (lambda: {"s2": image("s2")[0]}, r"^Expected s2 with dimensions \('time', 'band', 'y', 'x'\), got"),
        (
            lambda: {"s2": image("s2").isel(band=slice(None, None, -1))},
            r"^Expected s2 bands B2 .* in this order, got 10 bands B12 .*\. Reorder them: image\.sel\(band=",
        ),
        (lambda: {"s2": image("s2")[:, :9]}, r"got 9 bands .*\. Missing: B12\.$"),
        (lambda: {"s2": image("s2").drop_vars("band")}, r"^Expected s2 bands named .*, got 10 unnamed bands\."),
        (
            lambda: {"s2": image("s2").drop_vars("time")},
            r"^Expected an acquisition date for every image of s2, got none",
        ),
        (lambda: {"s2": image("s2").assign_coords(time=[3])}, r"got int64 values \[3\]"),
        (lambda: {"s2": image("s2").drop_vars("spatial_ref")}, r"^Expected s2 with a CRS, got none\. Write it:"),
        (lambda: {"s1": image("s1")[..., :1]}, r"^Expected s1 of at least 2 × 2 pixels"),
        (
            lambda: {"s2": image("s2"), "s1": image("s1", crs="EPSG:32634")},
            r"^Expected one CRS for all modalities, got s2 in EPSG:32633, s1 in EPSG:32634\.",
        ),
        (
            lambda: {"s2": image("s2"), "s1": image("s1", left=700_000.0)},
            r"^Expected modalities that overlap, got s2 x 600000–600080, .*; s1 x 700000–700080",
        ),
        (
            lambda: {"s2": image("s2"), "s1": image("s1", left=600_010.0)},
            r"^Expected modalities over the same ground, got s2 reaching 10\.0 beyond .*\. Pass clip=True",
        ),
    ],
)
def test_refusals_in_words(arguments, message):
    with pytest.raises(SceneError, match=message):
        build(**arguments())


@pytest.mark.parametrize("change", ["coarser", "fewer dates", "elsewhere"])
def test_a_mask_that_is_not_the_images_is_refused(change):
    series = image("s2", 8)
    series = xr.concat([series, series.assign_coords(time=series.time + np.timedelta64(9, "D"))], dim="time")
    clear = xr.ones_like(series.isel(band=0, drop=True), dtype=bool)
    wrong = {
        "coarser": clear.isel(y=slice(0, None, 2), x=slice(0, None, 2)),
        "fewer dates": clear.isel(time=[0]),
        "elsewhere": clear.assign_coords(x=clear.x + 5),
    }[change]
    with pytest.raises(SceneError, match="Expected clear of s2"):
        build(s2=series, clear={"s2": wrong})
    assert build(s2=series, clear={"s2": clear})["s2"]["clear"].dtype == bool
