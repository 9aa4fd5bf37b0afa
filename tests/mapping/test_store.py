"""A store gives back what was mapped, finds what a full search finds, and reads one chunk at a time."""

import tracemalloc

import numpy as np
import pytest
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from small_maps import Identity, region
from small_scenes import CRS
from small_stores import SIDE, features, grid_of, make_store

from skysense_nb.errors import ParameterError, SampleError, SceneError
from skysense_nb.mapping import EmbeddingStore, embedding, map_scene, store
from skysense_nb.models.digest import weights_digest
from skysense_nb.models.features import Features


class Coloured(Identity):
    """Features of a cell: its Sentinel-2 bands on the first date."""

    def features(self, sample, maps=True):
        bands = sample["s2"][:, 0]
        return Features(fused=bands, pooled=bands.mean((2, 3)), valid=torch.ones(len(bands), 1), maps={})


def full_search(values, like, count, apart_m=0.0, step=10.0):
    """All cells at once, in double precision: rows and columns of the best, one after the other."""
    cells = np.moveaxis(values, 0, -1).reshape(-1, len(values)).astype("float64")
    score = cells @ like / np.linalg.norm(cells, axis=1) / np.linalg.norm(like)
    taken = []
    for number in np.argsort(-score, kind="stable"):
        row, column = divmod(int(number), values.shape[2])
        if np.isnan(score[number]) or len(taken) == count:
            break
        if all(step * np.hypot(row - one[0], column - one[1]) >= apart_m for one in taken):
            taken.append((row, column, score[number]))
    return np.array(taken)


def cells_of(found, grid):
    columns, rows = ~grid.affine @ (found.x.to_numpy(), found.y.to_numpy())
    return np.stack([np.floor(rows), np.floor(columns)], axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_map_comes_back_as_it_was_within_what_its_dtype_can_tell(tmp_path, dtype):
    scene, model = region(sensors=("s2",)), Coloured()
    done = map_scene(scene, model, embedding(10, dtype), tmp_path, tile=8, form="zarr", blend="none", progress=False)
    again = EmbeddingStore(done.files["embedding"])
    expected = model.embed(scene)
    found = again.read(slice(0, 20), slice(0, 35))
    exact = {"float32": 1e-6, "float16": np.abs(expected.values).max() * 2**-11, "int8": 0}[dtype]
    if dtype == "int8":
        exact = np.abs(expected.values).max((1, 2), keepdims=True) / 127 * 0.54  # half a step, and float16 on the way
    assert found.dtype == np.float32 and (np.abs(found - expected.values) <= exact).all()
    assert again.grid == scene["s2"].to_dataset().odc.geobox and again.width == 10
    assert again.provenance == {
        "model": "identity, weights random",
        "weights": weights_digest(model)[:16],
        "product": "embedding",
        "dates": "s2 2: 2021-04-01 to 2021-04-21",
    }


def test_the_folder_may_be_renamed(kept, values):
    moved = kept.path.rename(kept.path.with_name("valley 2021.zarr"))
    assert np.array_equal(EmbeddingStore(moved).read(slice(3, 5), slice(0, 9)), values[:, 3:5, :9])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_the_vector_of_a_place_is_that_of_the_cell_below(tmp_path, values, dtype):
    kept = make_store(tmp_path, values, dtype)
    largest = np.nanmax(np.abs(values), (1, 2))
    exact = {"float32": 0, "float16": largest * 2**-11, "int8": largest / 127 * 0.5001}[dtype]
    for row, column in [(0, 0), (39, 52), (21, 7)]:
        x, y = kept.grid.affine @ (column + 0.9, row + 0.1)
        lon, lat = Transformer.from_crs(kept.crs, 4326, always_xy=True).transform(x, y)
        by_metres, by_degrees = kept.vector(x=x, y=y), kept.vector(lon, lat)
        assert by_metres.identical(by_degrees) and by_metres.dtype == np.float32
        assert (np.abs(by_metres.values - values[:, row, column]) <= exact).all()
        assert (by_metres.x, by_metres.y) == kept.grid.affine @ (column + 0.5, row + 0.5)
        assert by_metres.attrs == kept.provenance


def test_a_place_outside_or_in_a_gap_is_refused(kept):
    x, y = kept.grid.affine @ (53.01, 5)
    with pytest.raises(SceneError, match="Choose a place inside"):
        kept.vector(x=x, y=y)
    with pytest.raises(SceneError, match="none at row 15, column 31"):
        kept.vector(*[None] * 2, **dict(zip("xy", kept.grid.affine @ (31.5, 15.5), strict=True)))


@pytest.mark.parametrize("given", [{}, {"lon": 1}, {"x": 1}, {"lon": 1, "y": 1}, {"lon": 1, "lat": 1, "x": 1, "y": 1}])
def test_half_a_place_is_refused(kept, given):
    with pytest.raises(ParameterError, match="lon and lat, or x and y"):
        kept.vector(**given)


def test_an_int8_gap_is_a_gap_in_every_feature(tmp_path, values):
    found = make_store(tmp_path, values, "int8").read(slice(0, 40), slice(0, 53))
    assert np.array_equal(np.isnan(found), np.isnan(values))


@pytest.mark.parametrize("count", [1, 25, 5000])
def test_searching_finds_what_a_full_search_finds(kept, values, count):
    like = values[:, 21, 7]
    found, expected = kept.search(like, count=count), full_search(values, like, count)
    assert np.array_equal(cells_of(found, kept.grid), expected[:, :2])
    assert np.allclose(found.similarity, expected[:, 2], atol=1e-6)
    assert len(found) == min(count, 40 * 53 - 36)


@pytest.mark.parametrize("pool", [5, 64, 65_536])
@pytest.mark.parametrize("apart_m", [10, 45, 130])
def test_cells_apart_are_those_of_a_full_search_however_few_are_held(kept, values, monkeypatch, apart_m, pool):
    monkeypatch.setattr(store, "POOL", pool)
    found, expected = (
        kept.search(values[:, 2, 50], count=12, apart_m=apart_m),
        full_search(values, values[:, 2, 50], 12, apart_m),
    )
    assert np.array_equal(cells_of(found, kept.grid), expected[:, :2])


def test_where_no_more_cells_lie_apart_fewer_come(kept, monkeypatch):
    monkeypatch.setattr(store, "POOL", 100)
    found = kept.search(np.ones(6), count=10, apart_m=400)
    expected = full_search(kept.read(slice(0, 40), slice(0, 53)), np.ones(6), 10, 400)
    assert 1 < len(found) < 10 and np.array_equal(cells_of(found, kept.grid), expected[:, :2])


def test_of_equal_cells_the_first_in_reading_order_comes_first(tmp_path):
    kept = make_store(tmp_path, np.ones((2, 40, 40), "float32"))
    assert cells_of(kept.search(np.ones(2), count=45), kept.grid).tolist() == [[n // 40, n % 40] for n in range(45)]


def test_points_lie_in_the_middle_of_their_cells_in_metres_and_degrees(kept, values):
    found = kept.search(kept.vector(x=600_075, y=5_299_785), count=3)
    assert found.iloc[0][["x", "y"]].tolist() == [600_075, 5_299_785] and found.similarity[0] == pytest.approx(1)
    assert found.crs == kept.crs and found.attrs == kept.provenance
    assert np.array_equal(np.stack([found.geometry.x, found.geometry.y]), np.stack([found.x, found.y]))
    degrees = found.to_crs(4326).geometry
    assert np.allclose(degrees.x, found.lon) and np.allclose(degrees.y, found.lat)


def test_metres_apart_are_metres_in_degrees_too(tmp_path, values):
    grid = GeoBox((40, 53), Affine(1e-4, 0, 15.0, 0, -1e-4, 48.0), "EPSG:4326")
    found = make_store(tmp_path, values, grid=grid).search(values[:, 21, 7], count=8, apart_m=60)
    pairs = [(a, b) for a in range(8) for b in range(a)]
    apart = [Geod(ellps="WGS84").inv(*found.loc[a, ["x", "y"]], *found.loc[b, ["x", "y"]])[2] for a, b in pairs]
    assert 59.9 < min(apart) < 75


def test_similarity_is_lazy_and_that_of_every_cell(kept, values):
    found = kept.similarity(values[:, 21, 7])
    assert found.dims == ("y", "x") and found.chunks == ((16, 16, 8), (16, 16, 16, 5))
    assert found.rio.crs.to_string() == CRS and found.odc.geobox == kept.grid and found.dtype == np.float32
    cells = values.astype("float64")
    expected = np.einsum("dhw,d->hw", cells, cells[:, 21, 7]) / np.linalg.norm(cells, axis=0)
    assert np.allclose(found, expected / np.linalg.norm(cells[:, 21, 7]), atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_all_features_are_lazy_and_those_of_the_blocks(tmp_path, values, dtype):
    kept = make_store(tmp_path, values, dtype)
    found = kept.features()
    assert found.chunks is not None and found.odc.geobox == kept.grid and found.rio.crs.to_string() == CRS
    assert {name: found.attrs[name] for name in kept.provenance} == kept.provenance
    every = kept.read(slice(None), slice(None))
    assert found.dtype == np.float32 and np.array_equal(found.values, every, equal_nan=True)


def test_vectors_from_other_weights_are_refused_with_the_reason(kept, tmp_path, values):
    other = make_store(tmp_path / "other", values, weights="cd34")
    vector = other.vector(x=600_075, y=5_299_785)
    for ask in (kept.search, kept.similarity):
        with pytest.raises(SampleError, match=r"toy, weights none \(ab12\), got .*\(cd34\).*other weights point else"):
            ask(vector)
    same = make_store(tmp_path / "same", values, "int8").vector(x=600_075, y=5_299_785)
    assert kept.search(same, count=1).similarity[0] > 0.99


@pytest.mark.parametrize(
    ("vector", "words"),
    [(np.ones(5), "6 features, got shape"), (np.zeros(6), "length 0.0"), (np.full(6, np.nan), "length nan")],
)
def test_vectors_that_point_nowhere_are_refused(kept, vector, words):
    with pytest.raises(SampleError, match=words):
        kept.search(vector)


@pytest.mark.parametrize("options", [{"count": 0}, {"apart_m": -1}, {"apart_m": np.nan}])
def test_searches_for_nothing_are_refused(kept, options):
    with pytest.raises(ParameterError, match="a count from 1"):
        kept.search(np.ones(6), **options)


def test_a_cell_without_direction_is_like_nothing(tmp_path, values):
    values[:, 3, 4] = 0
    kept = make_store(tmp_path, values)
    assert np.isnan(kept.similarity(np.ones(6)).values[3, 4]) and len(kept.search(np.ones(6), count=9999)) == 2083


def test_each_chunk_is_read_once_and_alone(kept, monkeypatch):
    read, blocks = kept.read, []
    monkeypatch.setattr(kept, "read", lambda *block: blocks.append(block) or read(*block))
    kept.search(np.ones(6), count=3, apart_m=50)
    assert len(blocks) == 12 and len(set(map(str, blocks))) == 12
    assert max((edge.stop - edge.start) for block in blocks for edge in block) == SIDE


def test_memory_does_not_grow_with_the_store(tmp_path):
    def peak(rows):
        kept = make_store(tmp_path / str(rows), features(64, rows, 64, seed=1))
        kept.search(np.ones(64), count=5)
        tracemalloc.start()
        kept.search(np.ones(64), count=5)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    more = 4 * 64 * 64 * (512 - 64)  # bytes that a search holding the whole store would need more
    assert peak(512) - peak(64) < 0.1 * more


@pytest.mark.parametrize("name", ["nothing.zarr", "map.tif"])
def test_what_is_no_zarr_folder_is_refused(tmp_path, name):
    with pytest.raises(SceneError, match="an embedding as a Zarr folder"):
        EmbeddingStore(tmp_path / name)


def test_a_map_that_says_nothing_of_its_model_is_refused(tmp_path):
    stored = make_store(tmp_path, features()).stored.drop_attrs()
    stored.to_dataset().to_zarr(tmp_path / "bare.zarr", zarr_format=2)
    with pytest.raises(SceneError, match="model, weights, product, dates"):
        EmbeddingStore(tmp_path / "bare.zarr")


def test_it_says_what_it_is(kept):
    assert repr(kept) == "EmbeddingStore(40 × 53 cells, 6 features as float32, toy, weights none)"
    assert kept.grid == grid_of(np.zeros((6, 40, 53)))
