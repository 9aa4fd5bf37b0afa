"""A scene written as dated GeoTIFFs and read by the names of the files is the same scene."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from skysense_nb import World
from skysense_nb.data.folders import expression, find_files, scene_from_folder
from skysense_nb.data.scene import geobox
from skysense_nb.errors import ParameterError, SceneError
from skysense_nb.sensors import SENSORS

DAYS = ["2023-05-14", "2023-07-23"]


@pytest.fixture(scope="module")
def scene():
    world = World(seed=0)
    return world.scene(*world.find("fields"), size_m=160, s2_dates=DAYS, s1_dates=DAYS, hr_dates=[DAYS[0]])


def write(path, values, grid, names=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": len(values), "dtype": values.dtype, "crs": str(grid.crs)}
    height, width = values.shape[1:]
    with rasterio.open(path, "w", height=height, width=width, transform=grid.transform, **profile) as file:
        file.write(values)
        if names:
            file.descriptions = names
    return path


@pytest.fixture
def folder(scene, tmp_path):
    """hr and s1 as one file a date, s2 as a file a band in a folder a date, classes on 20 m."""
    write(tmp_path / "flight_20230514.tif", scene["hr"]["image"].values[0], geobox(scene["hr"]))
    for index, day in enumerate(DAYS):
        grid = geobox(scene["s2"])
        power = 10 ** (scene["s1"]["image"].values[index] / 10)
        write(tmp_path / "radar" / f"S1_{day}_gamma0.tif", power.astype("float32"), grid, ("VV", "VH"))
        for name, values in zip(SENSORS["s2"].bands, scene["s2"]["image"].values[index], strict=True):
            padded = f"B{int(name[1:]):02}" if name[1:].isdigit() else name
            write(tmp_path / "s2" / day.replace("-", "") / f"T34_{padded}.tif", values[None], grid)
        write(tmp_path / "s2" / day.replace("-", "") / "T34_B01.tif", values[None], grid)
        clear = scene["s2"]["clear"].values[index][::2, ::2]
        coarse = np.where(clear, 5, 8).astype("uint8")[None]
        write(tmp_path / "s2" / day.replace("-", "") / "classes.tif", coarse, grid.zoom_out(2))
    return tmp_path


PATTERNS = {
    "hr": "flight_{date}.tif",
    "s2": "s2/{date}/*_{band}.tif",
    "s1": "radar/S1_{date}_*.tif",
    "scl": "s2/{date}/classes.tif",
}


def test_a_scene_comes_back_the_same_and_lazily(scene, folder):
    got = scene_from_folder(folder, PATTERNS, convert={"s1": "to_db"})
    assert all(got[name]["image"].chunks for name in SENSORS) and got["s2"]["clear"].chunks
    for name in SENSORS:
        one, other = got[name]["image"], scene[name]["image"]
        assert one["band"].values.tolist() == other["band"].values.tolist() and geobox(got[name]) == geobox(scene[name])
        days = [str(day)[:10] for day in one["time"].values]
        assert days == [str(day)[:10] for day in other["time"].values] and days[0] == DAYS[0]
        assert np.abs(one.values - other.values).max() <= {"hr": 0, "s2": 0, "s1": 1e-4}[name]
    clear = scene["s2"]["clear"].values
    assert (got["s2"]["clear"].values == clear[:, ::2, ::2].repeat(2, 1).repeat(2, 2)).all() and not clear.all()


def test_missing_bands_are_named_by_date(folder, scene):
    (folder / "s2/20230514/T34_B05.tif").unlink()
    (folder / "s2/20230514/T34_B8A.tif").unlink()
    with pytest.raises(SceneError, match=r"Expected every s2 band on every date .*, got 2023-05-14 without B5 B8A\."):
        scene_from_folder(folder, {"s2": PATTERNS["s2"]})
    got = scene_from_folder(folder, {"s2": PATTERNS["s2"]}, incomplete="skip")
    assert got["s2"]["image"].attrs["incomplete_dates"] == ["2023-05-14"]
    assert (got["s2"]["image"].values == scene["s2"]["image"].values[1:]).all()
    (folder / "s2/20230723/T34_B02.tif").unlink()
    with pytest.raises(SceneError, match=r"got 2023-05-14 without B5 B8A; 2023-07-23 without B2\."):
        scene_from_folder(folder, {"s2": PATTERNS["s2"]}, incomplete="skip")


def test_two_files_of_one_band_and_date_are_refused(folder):
    (folder / "s2/20230514/T35_B02.tif").write_bytes((folder / "s2/20230514/T34_B02.tif").read_bytes())
    with pytest.raises(SceneError, match=r"Expected one file for B2 on 2023-05-14, got .*T34_B02.tif and .*T35"):
        scene_from_folder(folder, {"s2": PATTERNS["s2"]})


def test_files_on_other_grids_are_refused(folder, scene):
    moved = from_origin(0, 0, 10, 10)
    with rasterio.open(folder / "radar/S1_2023-07-23_gamma0.tif", "r+") as file:
        file.transform = moved
    with pytest.raises(SceneError, match="Expected every date on the grid of the first"):
        scene_from_folder(folder, {"s1": PATTERNS["s1"]})


def test_classes_must_be_there_for_every_date(folder):
    (folder / "s2/20230723/classes.tif").unlink()
    with pytest.raises(SceneError, match="Expected a scene classification for every date, got none for 2023-07-23"):
        scene_from_folder(folder, {key: PATTERNS[key] for key in ("s2", "scl")})
    with pytest.raises(ParameterError, match="Expected patterns with s2 beside scl, got s1, scl"):
        scene_from_folder(folder, {key: PATTERNS[key] for key in ("s1", "scl")})


def test_ground_outside_the_classes_is_not_clear(folder, scene):
    for day in ("20230514", "20230723"):
        half = np.full((1, 8, 4), 5, "uint8")
        write(folder / "s2" / day / "classes.tif", half, geobox(scene["s2"]).zoom_out(2)[:, :4])
    got = scene_from_folder(folder, {key: PATTERNS[key] for key in ("s2", "scl")})["s2"]["clear"]
    assert isinstance(got, xr.DataArray) and got.values[..., :8].all() and not got.values[..., 8:].any()


@pytest.mark.parametrize(
    "pattern,name,date,band",
    [
        ("{date}_{band}.tif", "20230613_B8A.tif", "20230613", "B8A"),
        ("S2_{date}.tif", "S2_2023-06-13.tif", "2023-06-13", None),
        ("{band}/{date}.tif", "B02/20230613.tif", "20230613", "B02"),
        ("{date}/x_{date}_{band}.tif", "20230613/x_20230613_VV.tif", "20230613", "VV"),
        ("*{date}T*_{band}_10m.tif", "T31UFQ_20230613T105031_B04_10m.tif", "20230613", "B04"),
    ],
)
def test_patterns_read_names(pattern, name, date, band):
    found = expression(pattern).fullmatch(name).groupdict()
    assert found == {"date": date} | ({"band": band} if band else {})


@pytest.mark.parametrize(
    "pattern,name",
    [
        ("{date}_{band}.tif", "a/20230613_B8A.tif"),
        ("{date}.tif", "20230613xtif"),
        ("{date}/{date}_{band}.tif", "20230613/20230614_VV.tif"),
        ("*_{date}.tif", "a/b_20230613.tif"),
        ("{date}.tif", "120230613.tif"),
    ],
)
def test_patterns_leave_other_names_alone(pattern, name):
    assert expression(pattern).fullmatch(name) is None


def test_what_cannot_be_read_is_said_in_words(folder, tmp_path):
    with pytest.raises(ParameterError, match="Expected a pattern with {date}"):
        scene_from_folder(folder, {"s2": "s2/*.tif"})
    with pytest.raises(ParameterError, match="Expected a pattern with {date}"):
        scene_from_folder(folder, {"s2": "{date}_{channel}.tif"})
    with pytest.raises(ParameterError, match="Expected patterns for some of hr, s2, s1, scl, got S2"):
        scene_from_folder(folder, {"S2": "{date}.tif"})
    with pytest.raises(ParameterError, match="Expected patterns for some of"):
        scene_from_folder(folder, {})
    with pytest.raises(ParameterError, match="Expected incomplete as refuse or skip, got 'ignore'"):
        scene_from_folder(folder, PATTERNS, incomplete="ignore")
    with pytest.raises(SceneError, match="Expected a folder at .*nowhere, got none"):
        scene_from_folder(folder / "nowhere", PATTERNS)
    with pytest.raises(SceneError, match=r"Expected files S3_{date}\.tif in .*, got flight_20230514\.tif"):
        scene_from_folder(folder, {"s2": "S3_{date}.tif"})
    (folder / "S2_20231399.tif").write_text("x")
    with pytest.raises(SceneError, match=r"Expected a date in the name of S2_20231399\.tif, got 20231399"):
        find_files(folder, "S2_{date}.tif")
