"""Files in, images out: bands by name, dates, conversions, and one sentence for every way a file can be wrong."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from skysense_nb.data import rasters, real
from skysense_nb.data.doctor import diagnose_image
from skysense_nb.data.scene import build
from skysense_nb.errors import ParameterError, SceneError
from skysense_nb.sensors import S2

NORTH_WEST = (600_000.0, 5_300_000.0)


def write(path, values, *, pixel=10.0, crs="EPSG:32633", names=None, nodata=None):
    """A GeoTIFF of `values` (band, y, x)."""
    values = np.asarray(values)
    profile = {
        "driver": "GTiff", "count": values.shape[0], "height": values.shape[1], "width": values.shape[2],
        "dtype": values.dtype, "crs": crs, "nodata": nodata, "transform": from_origin(*NORTH_WEST, pixel, pixel),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
        if names:
            file.descriptions = names
    return path


def s2_values(size=8, count=10, start=100):
    """Every pixel its own value: band × 1,000 + running number."""
    running = np.arange(size * size).reshape(size, size)
    return (np.arange(count)[:, None, None] * 1000 + running + start).astype("uint16")


def test_reads_lazily_in_model_order(tmp_path):
    path = write(tmp_path / "tile_20210612.tif", s2_values())
    image = rasters.read(path, "s2")
    assert image.chunks is not None and image.dtype == "float32"
    assert image.dims == ("time", "band", "y", "x")
    assert str(image.time.values[0])[:10] == "2021-06-12"
    np.testing.assert_array_equal(image.values[0], s2_values())
    assert build(s2=image)["s2"].sizes["band"] == 10


def test_band_names_decide_not_positions(tmp_path):
    stored = ("B12", "B02", "B04", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B01")
    path = write(tmp_path / "a.tif", s2_values(count=11))
    image = rasters.read(path, "s2", bands=stored, time="2021-06-12")
    assert image["band"].values.tolist() == list(S2.bands)
    for band in S2.bands:
        position = [rasters.canonical(name) for name in stored].index(band)
        np.testing.assert_array_equal(image.sel(band=band).values[0], s2_values(count=11)[position])
    written = write(tmp_path / "b.tif", s2_values(count=11), names=stored)
    np.testing.assert_array_equal(rasters.read(written, "s2", time="2021-06-12").values, image.values)


def test_one_file_per_band_with_coarse_bands(tmp_path):
    """A 20 m band on the 10 m grid: every value repeated 2 × 2, nothing interpolated, nothing shifted."""
    files = {}
    for index, band in enumerate(S2.bands):
        coarse = band in ("B5", "B6", "B7", "B8A", "B11", "B12")
        values = s2_values(4 if coarse else 8, 1, start=1000 * index)
        files[band] = write(tmp_path / f"T33_20170613T101031_{band}.tif", values, pixel=20.0 if coarse else 10.0)
    image = rasters.read(files, "s2")
    assert image.shape == (1, 10, 8, 8)
    coarse = s2_values(4, 1, start=1000 * S2.bands.index("B11"))[0]
    np.testing.assert_array_equal(image.sel(band="B11").values[0], coarse.repeat(2, 0).repeat(2, 1))


def test_series_is_sorted_by_date(tmp_path):
    paths = [
        write(tmp_path / f"{day}.tif", s2_values(start=start)) for day, start in (("2021-07-02", 7), ("2021-05-02", 5))
    ]
    image = rasters.read(paths, "s2")
    assert image.time.dt.month.values.tolist() == [5, 7]
    assert image.values[:, 0, 0, 0].tolist() == [5, 7]
    given = rasters.read(paths, "s2", time=["2020-01-02", "2020-01-03"])
    assert given.values[:, 0, 0, 0].tolist() == [7, 5]


def test_nodata_hides_only_pixels_empty_in_every_band(tmp_path):
    values = np.full((3, 4, 4), 90, "uint8")
    values[:, 0, 0] = 0
    values[0, 1, 1] = 0
    image = rasters.read(write(tmp_path / "x.tif", values, nodata=0), "hr", time="2021-06-12")
    assert np.isnan(image.values[0, :, 0, 0]).all()
    assert image.values[0, :, 1, 1].tolist() == [0, 90, 90]
    assert int(np.isnan(image).sum()) == 3


def test_conversions(tmp_path):
    late, early = (write(tmp_path / f"{day}.tif", s2_values(start=950)) for day in ("2022-06-01", "2021-06-01"))
    image = rasters.read([early, late], "s2", convert="undo_offset")
    assert image.values[0, 0, 0, :2].tolist() == [950, 951]
    assert image.values[1, 0, 0, :2].tolist() == [0, 0]
    np.testing.assert_array_equal(image.values[1, 1], s2_values(start=950)[1] - 1000.0)
    reflectance = write(tmp_path / "r.tif", np.full((10, 4, 4), 0.25, "float32"))
    assert (rasters.read(reflectance, "s2", time="2021-06-01", convert="from_reflectance") == 2500).all()
    power = write(tmp_path / "p.tif", np.array([[[0.1, 0.0]] * 2, [[0.01, 1.0]] * 2], "float32"))
    db = rasters.read(power, "s1", time="2021-06-01", convert="to_db").values
    np.testing.assert_allclose(db[0, :, 0], [[-10, np.nan], [-20, 0]], atol=1e-5)


def test_dates_in_names(tmp_path):
    names = {
        "S2A_MSIL2A_20170613T101031_N0205.tif": "2017-06-13",
        "place_2019-02-28_v2.tif": "2019-02-28",
        "scene 20200105.tif": "2020-01-05",
    }
    for name, day in names.items():
        assert str(rasters.date_in_name(tmp_path / name))[:10] == day
    assert str(rasters.date_in_name(tmp_path / "20180101" / "B2.tif"))[:10] == "2018-01-01"
    with pytest.raises(SceneError, match=r"Expected an acquisition date for tile_123456789\.tif, got none\."):
        rasters.date_in_name("tile_123456789.tif")


def test_refusals_in_words(tmp_path):
    good = write(tmp_path / "20210612.tif", s2_values())
    with pytest.raises(
        SceneError, match=r"^Expected a raster file at .*gone\.tif, got no such file\. Check the path\.$"
    ):
        rasters.read(tmp_path / "gone.tif", "s2")
    three = write(tmp_path / "three.tif", s2_values(count=3))
    with pytest.raises(
        SceneError, match=r"^Expected 10 bands \(B2 .* B12\) in three\.tif, got 3 bands without these names\."
    ):
        rasters.read(three, "s2", time="2021-06-12")
    with pytest.raises(SceneError, match=r"^Expected 2 bands \(B2 B3\) in three\.tif, got 3 bands\. Name every band"):
        rasters.read(three, "s2", bands=("B2", "B3"), time="2021-06-12")
    with pytest.raises(SceneError, match=r"got no B5 B6 B7 B8 B8A B11 B12\."):
        rasters.read(three, "s2", bands=("B2", "B3", "B4"), time="2021-06-12")
    nowhere = write(tmp_path / "nowhere.tif", s2_values(), crs=None)
    with pytest.raises(SceneError, match=r"^Expected nowhere\.tif with a CRS, got none\."):
        rasters.read(nowhere, "s2", time="2021-06-12")
    other = write(tmp_path / "20210613.tif", s2_values(), pixel=20.0)
    with pytest.raises(SceneError, match="^Expected every date on the grid of the first"):
        rasters.read([good, other], "s2")
    with pytest.raises(SceneError, match="^Expected 1 dates, one per entry, got 2"):
        rasters.read(good, "s2", time=["2021-06-12", "2021-06-13"])
    with pytest.raises(SceneError, match="^Expected dates such as '2024-06-12', got 'yesterdayish'"):
        rasters.read(good, "s2", time="yesterdayish")
    with pytest.raises(SceneError, match="^Expected at least one file, got an empty list"):
        rasters.read([], "s2")
    with pytest.raises(ParameterError, match="^Expected a modality among hr, s2, s1, got 'sar'"):
        rasters.read(good, "sar")
    with pytest.raises(
        ParameterError, match="^Expected a conversion among undo_offset, from_reflectance, to_db, got 'dB'"
    ):
        rasters.read(good, "s2", convert="dB")


def test_damaged_files_are_refused_at_once(tmp_path):
    whole = write(tmp_path / "20210612.tif", np.tile(s2_values(64), (1, 4, 4)))
    cut = tmp_path / "20210613.tif"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    noise = tmp_path / "20210614.tif"
    noise.write_bytes(b"not a raster at all")
    for damaged in (cut, noise):
        with pytest.raises(SceneError, match=r"It may be cut short; copy it again\.$"):
            rasters.read(damaged, "s2")


def test_bundled_real_images_are_ready_and_honest():
    rgb, tile = real.localtileserver_rgb(), real.spyndex_sentinel2()
    assert build(hr=rgb) and build(s2=tile)
    assert not rgb.isnull().any() and rgb.rio.crs.to_epsg() == 32618
    red, near = tile.sel(band="B4"), tile.sel(band="B8")
    assert float(((near - red) / (near + red)).mean()) > 0.3
    assert tile.attrs["filled_bands"] == "B5 B6 B7 B8A B11 B12"
    measured = {finding.check: finding for finding in diagnose_image("s2", tile).findings}["measured"]
    assert tile.attrs["filled_bands"] in measured.seen
