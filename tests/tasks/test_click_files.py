"""Clicks and maps on disk: read back by other software, right to the cell."""

import geopandas
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from rio_cogeo import cog_validate

from skysense_nb.errors import DatasetError
from skysense_nb.tasks.click_files import read_clicks, save_map, write_clicks
from skysense_nb.tasks.few_clicks import Click

CLICKS = [Click(0, 0, 2), Click(5, 7, 0, True), Click(2, 3, 2)]
NAMES = ["water", "beach", "field"]
COLOURS = np.array([[0, 0, 1], [1, 0.5, 0], [0, 1, 0]])


@pytest.fixture
def grid():
    """Six rows, eight columns of 20 m."""
    return raster(6, 8, 20.0)


def raster(rows, columns, pixel) -> xr.DataArray:
    coords = {"y": 5_300_000 - pixel * (np.arange(rows) + 0.5), "x": 600_000 + pixel * (np.arange(columns) + 0.5)}
    return xr.DataArray(np.zeros((rows, columns)), dims=("y", "x"), coords=coords).rio.write_crs("EPSG:32633")


@pytest.fixture
def belief():
    found = np.random.default_rng(0).dirichlet([1, 1, 1], (6, 8)).transpose(2, 0, 1).astype("float32")
    found[:, 1, 1] = np.nan
    return found


def test_points_lie_in_the_middle_of_their_cells(tmp_path, grid):
    write_clicks(tmp_path / "a.gpkg", CLICKS, NAMES, grid)
    table = geopandas.read_file(tmp_path / "a.gpkg")
    assert table.crs.to_epsg() == 32633 and table["class"].tolist() == ["field", "water", "field"]
    assert table.held_out.tolist() == [False, True, False] and table.column.tolist() == [0, 7, 3]
    assert [(p.x, p.y) for p in table.geometry][:2] == [(600_010, 5_299_990), (600_150, 5_299_890)]


def test_clicks_come_back_as_they_were(tmp_path, grid):
    write_clicks(tmp_path / "a.gpkg", CLICKS, NAMES, grid)
    assert read_clicks(tmp_path / "a.gpkg", grid, NAMES) == (CLICKS, NAMES)
    clicks, names = read_clicks(tmp_path / "a.gpkg")
    assert clicks == CLICKS and names == ["water", "class 1", "field"]
    turned, _ = read_clicks(tmp_path / "a.gpkg", grid, NAMES[::-1])
    assert [click.label for click in turned] == [0, 2, 0]


def test_clicks_are_found_on_another_grid_and_projection(tmp_path, grid):
    write_clicks(tmp_path / "a.gpkg", CLICKS, NAMES, grid)
    finer, _ = read_clicks(tmp_path / "a.gpkg", raster(24, 32, 5.0), NAMES)
    assert [(click.row, click.column) for click in finer] == [(2, 2), (22, 30), (10, 14)]
    degrees = grid.rio.reproject("EPSG:4326")
    turned, _ = read_clicks(tmp_path / "a.gpkg", degrees, NAMES)
    for click, there in zip(CLICKS, turned, strict=True):
        x, y = rasterio.warp.transform("EPSG:4326", "EPSG:32633", *([float(v)] for v in
            (degrees.x[there.column], degrees.y[there.row])))  # fmt: skip
        assert abs(x[0] - (600_010 + 20 * click.column)) < 20 and abs(y[0] - (5_299_990 - 20 * click.row)) < 20


def test_a_map_is_written_whole_and_read_back_right(tmp_path, grid, belief):
    written = save_map(tmp_path / "new" / "map", CLICKS, belief, NAMES, COLOURS, grid)
    assert [path.name for path in written] == ["classes.tif", "clicks.gpkg", "confidence.tif"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["map"]  # nothing left beside it
    with rasterio.open(written[0]) as file:
        classes = file.read(1)
        assert file.crs.to_epsg() == 32633 and file.transform == grid.rio.transform() and file.nodata == 255
        assert [file.tags(1)[f"class_{number}"] for number in range(3)] == NAMES
        assert [file.colormap(1)[number] for number in range(3)] == [
            (0, 0, 255, 255),
            (255, 128, 0, 255),
            (0, 255, 0, 255),
        ]
    for row, column in np.ndindex(6, 8):
        found = belief[:, row, column]
        assert classes[row, column] == (255 if np.isnan(found[0]) else max(range(3), key=lambda one: found[one]))
    with rasterio.open(written[2]) as file:
        np.testing.assert_array_equal(file.read(1), belief.max(0))
    assert all(cog_validate(path)[0] for path in (written[0], written[2]))
    assert read_clicks(tmp_path / "new" / "map", grid, NAMES)[0] == CLICKS


def test_nothing_is_overwritten_and_nothing_is_half_written(tmp_path, grid, belief):
    save_map(tmp_path / "map", CLICKS, belief, NAMES, COLOURS, grid)
    before = (tmp_path / "map" / "classes.tif").read_bytes()
    with pytest.raises(DatasetError, match="got one that exists"):
        save_map(tmp_path / "map", CLICKS[:1], 1 - belief, NAMES, COLOURS, grid)
    assert (tmp_path / "map" / "classes.tif").read_bytes() == before
    with pytest.raises(DatasetError, match="got one that exists"):
        write_clicks(tmp_path / "map" / "clicks.gpkg", CLICKS, NAMES, grid)
    with pytest.raises(DatasetError, match="clicks to write, got none"):
        save_map(tmp_path / "other", [], belief, NAMES, COLOURS, grid)
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="a writable folder at .*file, got a file"):
        save_map(tmp_path / "file" / "map", CLICKS, belief, NAMES, COLOURS, grid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "map"]


def test_other_files_are_refused_in_words(tmp_path, grid):
    with pytest.raises(DatasetError, match="clicks in a GeoPackage"):
        read_clicks(tmp_path / "none.gpkg")
    write_clicks(tmp_path / "a.gpkg", CLICKS, NAMES, grid)
    with pytest.raises(DatasetError, match="classes among water, beach, got field"):
        read_clicks(tmp_path / "a.gpkg", grid, NAMES[:2])
    with pytest.raises(DatasetError, match="clicks on this place, got 1 outside"):
        read_clicks(tmp_path / "a.gpkg", grid[:, :7], NAMES)
    table = geopandas.read_file(tmp_path / "a.gpkg")
    table.drop(columns="held_out").to_file(tmp_path / "b.gpkg", layer="clicks")
    with pytest.raises(DatasetError, match="got no held_out"):
        read_clicks(tmp_path / "b.gpkg")
    table[:0].to_file(tmp_path / "c.gpkg", layer="clicks")
    with pytest.raises(DatasetError, match="got an empty table"):
        read_clicks(tmp_path / "c.gpkg")
