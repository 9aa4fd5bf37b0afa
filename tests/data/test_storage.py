"""Scenes come back from disk as they went, lazily, and never by halves."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from skysense_nb.data.scene import build
from skysense_nb.data.storage import open_scene, save
from skysense_nb.errors import SceneError


@pytest.fixture
def place():
    dates = pd.DatetimeIndex(["2021-06-01", "2021-07-01"])
    coords = {
        "time": dates,
        "band": ["VV", "VH"],
        "y": 5_300_000 - 10 * (np.arange(6) + 0.5),
        "x": 600_000 + 10 * (np.arange(5) + 0.5),
    }
    values = np.random.default_rng(0).normal(-12, 3, (2, 2, 6, 5)).astype("float32")
    s1 = xr.DataArray(values, dims=("time", "band", "y", "x"), coords=coords).rio.write_crs("EPSG:32633")
    clear = xr.DataArray(values[:, 0] > -12, dims=("time", "y", "x"), coords={k: coords[k] for k in ("time", "y", "x")})
    return build(s1=s1, clear={"s1": clear})


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_round_trip_is_exact_and_lazy(place, tmp_path, ending):
    path = save(place, tmp_path / f"place.{ending}")
    back = open_scene(path)
    assert back["s1"]["image"].chunks is not None
    xr.testing.assert_identical(back["s1"]["image"].drop_attrs().compute(), place["s1"]["image"].drop_attrs())
    assert back["s1"]["clear"].dtype == bool
    np.testing.assert_array_equal(back["s1"]["clear"].values, place["s1"]["clear"].values)
    assert back["s1"]["image"].rio.crs.to_epsg() == 32633
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_saving_again_replaces(place, tmp_path, ending):
    path = save(place, tmp_path / f"place.{ending}")
    first = place.copy(deep=True)
    first["s1"] = place["s1"].to_dataset().isel(time=[0])
    save(first, path)
    assert open_scene(path)["s1"].sizes["time"] == 1


def test_refusals_in_words(place, tmp_path):
    with pytest.raises(SceneError, match=r"^Expected a path that ends in \.zarr or \.nc, got 'place\.tif'\."):
        save(place, tmp_path / "place.tif")
    occupied = tmp_path / "file"
    occupied.write_text("in the way")
    with pytest.raises(SceneError, match=r"^Expected a writable folder at "):
        save(place, occupied / "place.zarr")
    with pytest.raises(SceneError, match=r"got no such file\."):
        open_scene(tmp_path / "gone.zarr")
    with pytest.raises(
        SceneError, match=r"^Expected a scene in Zarr or NetCDF at .* If it is one, it may be cut short"
    ):
        open_scene(occupied)
    xr.DataTree.from_dict({"other": place["s1"].to_dataset()}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(SceneError, match=r"^Expected a child node among hr, s2, s1, got \['other'\]"):
        open_scene(tmp_path / "other.nc")


def test_a_cut_file_is_refused(place, tmp_path):
    path = save(place, tmp_path / "place.nc")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SceneError, match="cut short"):
        open_scene(path)
