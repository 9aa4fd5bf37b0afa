"""Polygons enclose the cells above the threshold; areas are those of the ground; files are whole."""

import geopandas
import numpy as np
import pytest
import xarray as xr
from pyproj import Geod
from rasterio.features import rasterize

from skysense_nb.errors import DatasetError, SceneError
from skysense_nb.tasks.change_polygons import cell_areas_m2, change_polygons, changed_areas, save_polygons


def score_of(values, crs="EPSG:32633", left=600_000.0, top=5_300_000.0, pixel=10.0) -> xr.DataArray:
    values = np.asarray(values, "float64")
    rows, columns = values.shape
    coords = {"y": top - pixel * (np.arange(rows) + 0.5), "x": left + pixel * (np.arange(columns) + 0.5)}
    return xr.DataArray(values, coords, ("y", "x")).rio.write_crs(crs)


@pytest.fixture
def random():
    return score_of(np.random.default_rng(0).random((40, 50)))


def test_polygons_enclose_exactly_the_cells_above_the_threshold(random):
    polygons = change_polygons(random, 0.6)
    drawn = rasterize(polygons.geometry, random.shape, transform=random.rio.transform())
    np.testing.assert_array_equal(drawn == 1, random.values >= 0.6)
    assert polygons.is_valid.all() and polygons.crs == random.rio.crs


def test_each_has_the_mean_score_of_its_cells_and_the_largest_comes_first(random):
    polygons = change_polygons(random, 0.6)
    for polygon in polygons.head(20).itertuples():
        inside = rasterize([polygon.geometry], random.shape, transform=random.rio.transform()) == 1
        assert polygon.score == pytest.approx(random.values[inside].mean())
    assert (np.diff(polygons.area_m2) <= 0).all()


def test_a_hole_stays_a_hole():
    values = np.ones((5, 5))
    values[2, 2] = 0
    (polygon,) = change_polygons(score_of(values), 0.5).geometry
    assert len(polygon.interiors) == 1 and polygon.area == 2400


def test_cells_that_touch_at_a_corner_are_two():
    assert changed_areas(score_of(np.eye(2)), 0.5).max() == 2


@pytest.mark.parametrize(
    ("crs", "left", "top", "pixel"),
    [("EPSG:32633", 6e5, 5.3e6, 10), ("EPSG:4326", 16, 48, 1e-4), ("EPSG:3857", 1.8e6, 6.1e6, 10)],
)
def test_areas_are_those_of_the_ground_in_every_projection(crs, left, top, pixel):
    values = np.zeros((60, 60))
    values[5:15, 5:25] = 1
    polygons = change_polygons(score_of(values, crs, left, top, pixel), 0.5)
    on_globe = polygons.geometry.segmentize(pixel).to_crs(4326)[0]
    area = abs(Geod(ellps="WGS84").geometry_area_perimeter(on_globe)[0])
    assert polygons.area_m2[0] == pytest.approx(area, rel=1e-4)


def test_cells_of_a_geographic_raster_shrink_towards_the_pole():
    areas = cell_areas_m2(score_of(np.zeros((30, 4)), "EPSG:4326", 16, 60, 0.1))
    assert (np.diff(areas) > 0).all() and areas[-1] / areas[0] == pytest.approx(
        np.cos(np.radians(57.05)) / np.cos(np.radians(59.95)), rel=0.01
    )


def test_areas_of_the_least_size_stay_and_smaller_ones_go():
    values = np.zeros((9, 9))
    values[:2, :2] = values[5, 5:8] = 1
    assert len(change_polygons(score_of(values), 0.5, 400)) == 1
    assert len(change_polygons(score_of(values), 0.5, 300)) == 2
    assert len(change_polygons(score_of(values), 0.5, 410)) == 0


def test_no_change_and_no_measurement_make_no_polygons():
    empty = change_polygons(score_of(np.full((3, 3), np.nan)).fillna(0), 0.5)
    assert len(empty) == 0 and list(empty.columns) == ["score", "area_m2", "geometry"]
    values = np.ones((3, 3))
    values[0] = np.nan
    assert change_polygons(score_of(values), 0.5).geometry[0].area == 600


def test_files_come_back_as_they_were(random, tmp_path):
    polygons = change_polygons(random, 0.6, 500)
    path = save_polygons(polygons, tmp_path / "new" / "change.gpkg")
    back = geopandas.read_file(path)
    assert back.crs == polygons.crs and back.geom_equals(polygons).all()
    np.testing.assert_allclose(back[["score", "area_m2"]], polygons[["score", "area_m2"]])
    assert [one.name for one in path.parent.iterdir()] == ["change.gpkg"]
    assert len(geopandas.read_file(save_polygons(polygons[:0], tmp_path / "none.gpkg"))) == 0


def test_files_are_never_overwritten(random, tmp_path):
    (tmp_path / "change.gpkg").write_text("precious")
    with pytest.raises(DatasetError, match="one that exists"):
        save_polygons(change_polygons(random, 0.6), tmp_path / "change.gpkg")
    assert (tmp_path / "change.gpkg").read_text() == "precious"
    with pytest.raises(DatasetError, match=r"ends in \.gpkg"):
        save_polygons(change_polygons(random, 0.6), tmp_path / "change.tif")


def test_refusals_in_words(random):
    with pytest.raises(SceneError, match=r"DataArray \(y, x\), got ndarray"):
        change_polygons(random.values, 0.5)
    with pytest.raises(SceneError, match="with a CRS, got none"):
        change_polygons(random.drop_vars("spatial_ref"), 0.5)
    with pytest.raises(SceneError, match="scores 0–1, got"):
        change_polygons(random * 3, 0.5)
