"""What a user can get wrong on the way from files to features: each one sentence, nothing lost."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import Affine, from_origin

from skysense_nb import data
from skysense_nb.data.doctor import diagnose
from skysense_nb.data.rasters import read
from skysense_nb.data.scene import DIMS
from skysense_nb.data.storage import open_scene, save
from skysense_nb.errors import ParameterError, SampleError, SceneError
from skysense_nb.sensors import SENSORS


def image(name="s2", dates=("2023-06-01",), value=2000.0, size=8):
    bands = list(SENSORS[name].bands)
    coords = {
        "time": np.array(dates, "datetime64[ns]"),
        "band": bands,
        "y": 5_000_000 - 10 * (np.arange(size) + 0.5),
        "x": 500_000 + 10 * (np.arange(size) + 0.5),
    }
    values = np.full((len(dates), len(bands), size, size), value, "float32")
    return xr.DataArray(values, dims=DIMS, coords=coords).rio.write_crs("EPSG:32633")


def tiff(path, bands=3, transform=None, names=None, value=100.0):
    transform = transform or from_origin(500_000, 5_000_000, 10, 10)
    profile = {"driver": "GTiff", "width": 8, "height": 8, "count": bands, "dtype": "float32", "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=transform, **profile) as file:
        file.write(np.full((bands, 8, 8), value, "float32") + np.arange(bands, dtype="float32")[:, None, None])
        if names:
            file.descriptions = names
    return path


def refused(error, call, *arguments, **options):
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_saving_never_replaces_what_is_not_a_scene(ending, tmp_path):
    target = tmp_path / f"project{ending}"
    target.mkdir()
    (target / "precious").write_text("work")
    message = refused(SceneError, save, data.build(s2=image()), target)
    assert (
        message
        == f"Expected a scene or nothing at {target}, got something else. Choose another name; nothing was touched."
    )
    assert (target / "precious").read_text() == "work"


def test_saving_a_scene_over_a_scene_works(tmp_path):
    for value in (100.0, 200.0):
        save(data.build(s2=image(value=value)), tmp_path / "place.zarr")
    assert float(open_scene(tmp_path / "place.zarr")["s2"]["image"].max()) == 200.0


@pytest.mark.parametrize("ending", [".zarr", ".nc"])
def test_attributes_no_file_can_hold_leave_nothing_behind(ending, tmp_path):
    scene = data.build(s2=image())
    scene.attrs["note"] = {"a": object()}
    refused(SceneError, save, scene, tmp_path / f"place{ending}")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_lacks_a_piece_is_refused(tmp_path):
    path = save(data.build(s2=image(value=0.0), s1=image("s1", value=-10.0)), tmp_path / "place.zarr")
    open_scene(path)  # zeros are written, so all pieces are there
    next(path.glob("s2/image/0*")).unlink()
    assert (
        refused(SceneError, open_scene, path) == "Expected all of s2 in place.zarr, got 0 of 1 pieces. Copy it again."
    )


def test_damaged_pixels_are_said_in_words(tmp_path):
    path = save(data.build(s2=image(value=7.0)), tmp_path / "place.zarr")
    piece = next(path.glob("s2/image/0*"))
    piece.write_bytes(piece.read_bytes()[:20])
    message = refused(SampleError, open_scene(path).sky.to_sample)
    assert message.startswith("Expected readable pixels of s2, got ")


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda i: i.values, "Expected s2 as a DataArray, got ndarray."),
        (lambda i: i.astype(complex), "Expected s2 as whole or real numbers, got complex128."),
        (lambda i: i.drop_vars("x"), "Expected s2 with x coordinates, got none."),
        (lambda i: i.assign_coords(y=i.y + np.arange(8) ** 2), "Expected s2 with evenly spaced y, got steps -9 to 3."),
    ],
)
def test_images_that_lie_nowhere(change, message):
    assert refused(SceneError, data.build, s2=change(image())).startswith(message)


def test_a_mask_for_nothing():
    mask = xr.ones_like(image().isel(band=0, drop=True), dtype=bool)
    assert refused(SceneError, data.build, s2=image(), clear={"S2": mask}) == (
        "Expected clear for s2, got S2. Name it as its image."
    )


def test_sensor_counts_are_no_colours():
    message = refused(SampleError, data.build(hr=image("hr", value=3000.0)).sky.to_sample)
    assert message.startswith("Expected hr in display values 0–255, got values up to 3000.")


def test_names_written_in_a_file_count(tmp_path):
    colours = read(tiff(tmp_path / "bgr_20230601.tif", names=("Blue", "Green", "Red")), "hr")
    assert colours.isel(time=0, y=0, x=0).values.tolist() == [102, 101, 100]
    names = ("Sigma0_VH_db", "Sigma0_VV_db")
    radar = read(tiff(tmp_path / "snap_20230601.tif", 2, names=names, value=-20), "s1")
    assert radar.isel(time=0, y=0, x=0).values.tolist() == [-19, -20]
    message = refused(SceneError, read, tiff(tmp_path / "odd_20230601.tif", 2, names=("HH", "HV")), "s1")
    assert "got bands that call themselves HH HV." in message


def test_rotated_rasters_are_refused(tmp_path):
    turned = from_origin(500_000, 5_000_000, 10, 10) * Affine.rotation(20)
    message = refused(SceneError, read, tiff(tmp_path / "turned_20230601.tif", transform=turned), "hr")
    assert message.startswith("Expected turned_20230601.tif with north up, got a rotated grid. Warp it first")


def test_a_band_beside_the_others_is_refused(tmp_path):
    far = from_origin(505_000, 5_000_000, 10, 10)
    files = {"VV": tiff(tmp_path / "vv_20230601.tif", 1), "VH": tiff(tmp_path / "vh_20230601.tif", 1, far)}
    assert refused(SceneError, read, files, "s1").startswith("Expected the file of V")


@pytest.mark.parametrize("time", [20230701, "01/07/2023", "July"])
def test_dates_must_be_dates(time, tmp_path):
    message = refused(SceneError, read, tiff(tmp_path / "a.tif"), "hr", time=time)
    assert message == f"Expected dates such as '2024-06-12', got {time!r}. Write them year-month-day."


def test_conversions_belong_to_a_sensor(tmp_path):
    path = tiff(tmp_path / "a.tif", 2)
    message = refused(ParameterError, read, path, "s1", time="2023-07-01", convert="undo_offset")
    assert message == "Expected a conversion of s1, got 'undo_offset', for s2. Leave it out."


def test_the_doctor_examines_a_geotiff(tmp_path):
    report = diagnose(tiff(tmp_path / "power.tif", 2, value=0.05))
    assert not report.ok
    assert {finding.modality for finding in report.findings} == {"s1"}
    assert any("linear power" in finding.seen for finding in report.findings)
