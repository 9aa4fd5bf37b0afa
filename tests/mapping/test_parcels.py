"""Means of parcels are those of the cells whose middle lies in them, and tables are read by others."""

import json

import geopandas
import numpy as np
import pyarrow.parquet
import pyogrio
import pytest
import shapely
from shapely import MultiPolygon, Polygon, box
from small_scenes import CORNER, CRS
from small_stores import make_store

from skysense_nb.errors import DatasetError
from skysense_nb.mapping import geoparquet

NAMES = [f"f{number}" for number in range(6)]


def at(*corners) -> Polygon:
    """A polygon of corners given in cells (column, row)."""
    return Polygon([(CORNER[0] + 10 * column, CORNER[1] - 10 * row) for column, row in corners])


def scattered(count=60, seed=0) -> geopandas.GeoDataFrame:
    """Triangles to hexagons of all sizes, with holes and in parts, overlapping, some beyond the store."""
    rng = np.random.default_rng(seed)
    shapes = []
    for number in range(count):
        angles, (column, row) = np.sort(rng.uniform(0, 2 * np.pi, 3 + number % 4)), rng.uniform([-5, -5], [58, 45])
        radius = rng.choice([0.3, 3, 12])
        ring = list(zip(column + radius * np.cos(angles), row + radius * np.sin(angles), strict=True))
        shapes.append(at(*ring))
    shapes[1] = shapes[1].union(shapes[5])
    shapes[2] = at((20.3, 20.3), (33.1, 20.7), (33.7, 33.3), (20.1, 33.9)).difference(
        at((24.1, 24), (29, 25.2), (27, 31))
    )
    return geopandas.GeoDataFrame({"owner": [f"no {n}" for n in range(count)]}, geometry=shapes, crs=CRS)


def by_hand(values, shape) -> tuple[int, int, np.ndarray]:
    """Cells whose middle is in a polygon, by shapely: all on an endless grid, those with features, their mean."""
    columns, rows = np.meshgrid(np.arange(-30, 90), np.arange(-30, 80))
    inside = shapely.contains_xy(shape, CORNER[0] + 10 * (columns + 0.5), CORNER[1] - 10 * (rows + 0.5))
    here = inside & (columns >= 0) & (columns < values.shape[2]) & (rows >= 0) & (rows < values.shape[1])
    found = values[:, rows[here], columns[here]].astype("float64")
    found = found[:, np.isfinite(found).all(0)]
    return inside.sum(), found.shape[1], found.mean(1) if found.size else np.full(len(values), np.nan)


def test_means_are_those_of_the_cells_whose_middle_shapely_finds_inside(kept, values):
    parcels = scattered()
    table = kept.parcels(parcels)
    told = [by_hand(values, shape) for shape in parcels.geometry]
    assert table.cells.tolist() == [there for _, there, _ in told]
    assert np.allclose(table[NAMES], [mean for _, _, mean in told], atol=1e-5, equal_nan=True)
    assert table.owner.tolist() == parcels.owner.tolist() and table.geometry.equals(parcels.geometry)
    assert (table.cells == 0).any() and (table.cells > 200).any() and (table.dtypes[NAMES] == "float32").all()


def test_the_share_seen_is_less_in_gaps_and_beyond_the_edge(kept):
    shapes = {
        "whole": at((2, 2), (9, 2), (9, 9), (2, 9)),
        "half in the gap": at((28, 15), (32, 15), (32, 19), (28, 19)),
        "a quarter inside": at((-4, -4), (4, -4), (4, 4), (-4, 4)),
        "outside": at((60, 2), (65, 2), (65, 5)),
        "between middles": at((3.6, 3.6), (4.4, 3.6), (4.4, 4.4), (3.6, 4.4)),
    }
    table = kept.parcels(geopandas.GeoDataFrame(index=list(shapes), geometry=list(shapes.values()), crs=CRS))
    assert table.seen.to_dict() == pytest.approx(dict(zip(shapes, [1, 0.5, 0.25, 0, 0], strict=True)))
    assert table.cells.tolist() == [49, 8, 16, 0, 0] and table[NAMES].isna().all(axis=1).tolist() == [0, 0, 0, 1, 1]


def test_a_parcel_across_chunks_is_counted_once(kept, values):
    whole = geopandas.GeoDataFrame(geometry=[box(*kept.grid.boundingbox.bbox)], crs=CRS)
    table = kept.parcels(whole)
    assert table.cells[0] == 40 * 53 - 36 and table.seen[0] == pytest.approx((40 * 53 - 36) / (40 * 53))
    assert np.allclose(table[NAMES], np.nanmean(values, (1, 2)), atol=1e-5)


def test_parcels_come_in_any_crs_and_with_any_index(kept):
    parcels = scattered(20)
    plain = kept.parcels(parcels)
    moved = kept.parcels(parcels.to_crs(4326).set_axis([7] * 20))
    assert moved.crs == 4326 and moved.index.tolist() == [7] * 20
    close = np.abs(moved.cells.to_numpy() - plain.cells.to_numpy())
    assert close.max() <= 1 and close.mean() < 0.2
    assert kept.parcels(parcels.iloc[:0]).columns.tolist() == plain.columns.tolist()


def test_no_more_than_one_chunk_is_read_at_a_time_and_none_without_parcels(kept, monkeypatch):
    read, blocks = kept.read, []
    monkeypatch.setattr(kept, "read", lambda *block: blocks.append(block) or read(*block))
    shape = at((10, 2), (20, 2), (20, 9))
    kept.parcels(geopandas.GeoDataFrame(geometry=[shape, MultiPolygon([shape])], crs=CRS))
    assert blocks == [(slice(0, 16), slice(0, 16)), (slice(0, 16), slice(16, 32))]


WRONG = {
    "a CRS": lambda: geopandas.GeoDataFrame(geometry=[at((0, 0), (1, 0), (1, 1))]),
    "polygons, got Point": lambda: geopandas.GeoDataFrame(geometry=geopandas.points_from_xy([0], [0]), crs=CRS),
    "rows without geometry": lambda: geopandas.GeoDataFrame(geometry=[None], crs=CRS),
    "do not cross themselves": lambda: geopandas.GeoDataFrame(geometry=[at((0, 0), (1, 1), (1, 0), (0, 1))], crs=CRS),
    "columns for features, got cells, f0": lambda: scattered(6).assign(f0=1, cells=2),
}


@pytest.mark.parametrize("words", WRONG)
def test_tables_without_a_meaning_are_refused(kept, words):
    with pytest.raises(DatasetError, match=words):
        kept.parcels(WRONG[words]())


def test_parcels_as_geoparquet_come_back_with_crs_and_provenance(kept, tmp_path):
    path = kept.to_geoparquet(tmp_path / "deep" / "parcels.parquet", scattered())
    again, expected = geopandas.read_parquet(path), kept.parcels(scattered())
    assert again.crs == expected.crs and again.attrs == kept.provenance
    assert again.drop(columns="geometry").equals(expected.drop(columns="geometry"))
    assert again.geometry.geom_equals_exact(expected.geometry, 0).all()


def test_cells_as_geoparquet_come_back_where_they_were(tmp_path, values):
    kept = make_store(tmp_path / "kept", values, "int8")
    again = geopandas.read_parquet(kept.to_geoparquet(tmp_path / "cells.parquet"))
    assert len(again) == 40 * 53 - 36 and again.crs == kept.crs and again.attrs == kept.provenance
    every = kept.read(slice(0, 40), slice(0, 53))
    assert np.array_equal(again[NAMES].to_numpy().T, every[:, again.row, again.column])
    x, y = kept.grid.affine @ (again.column + 0.5, again.row + 0.5)
    assert np.array_equal(again.geometry.x, x) and np.array_equal(again.geometry.y, y)
    assert not again.duplicated(["row", "column"]).any()


def test_cells_are_written_chunk_by_chunk(kept, tmp_path):
    file = pyarrow.parquet.ParquetFile(kept.to_geoparquet(tmp_path / "cells.parquet"))
    assert file.num_row_groups == 12 and max(file.metadata.row_group(n).num_rows for n in range(12)) <= 16 * 16
    told = json.loads(file.schema_arrow.metadata[b"geo"])
    assert told["version"] == "1.1.0" and told["columns"]["geometry"]["geometry_types"] == ["Point"]


@pytest.mark.skipif("Parquet" not in pyogrio.list_drivers(), reason="this GDAL has no Parquet")
def test_gdal_reads_plain_number_columns(kept, tmp_path):
    told = pyogrio.read_info(kept.to_geoparquet(tmp_path / "cells.parquet"))
    assert set(told["dtypes"][2:]) == {"float32"} and told["geometry_type"] == "Point"


def test_a_file_that_exists_is_left_alone(kept, tmp_path):
    (tmp_path / "mine.parquet").write_text("mine")
    with pytest.raises(DatasetError, match="Choose another name"):
        kept.to_geoparquet(tmp_path / "mine.parquet")
    assert (tmp_path / "mine.parquet").read_text() == "mine"
    with pytest.raises(DatasetError, match="ends in .parquet"):
        kept.to_geoparquet(tmp_path / "cells.csv")


def test_a_table_that_cannot_be_written_leaves_nothing(kept, tmp_path, monkeypatch):
    def full(store, path):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr("skysense_nb.mapping.store.write_cells", full)
    with pytest.raises(DatasetError, match="No space left on device. Choose another one, or make room"):
        kept.to_geoparquet(tmp_path / "out" / "cells.parquet")
    assert list((tmp_path / "out").iterdir()) == []
    assert geoparquet.write_cells is not full
