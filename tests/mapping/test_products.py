"""Maps of the bundled model are what the model says of the same ground."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from small_maps import region

from skysense_nb.errors import ParameterError
from skysense_nb.mapping import assignments, change, class_map, embedding, map_scene, similarity
from skysense_nb.mapping.products import quantum
from skysense_nb.models.checkpoints import load


@pytest.fixture(scope="module")
def model():
    return load("skysense-tiny", weights="bundled")[0]


@pytest.fixture(scope="module")
def scene():
    return region(12, 20, dates=3, sensors=("s2", "s1"))


def mapped(scene, model, product, folder, **options):
    done = map_scene(scene, model, product, folder, progress=False, **({"tile": 64} | options))
    assert done.finished and not done.gaps
    return done


def test_one_tile_is_the_embedding_of_the_scene(tmp_path, model, scene):
    expected = model.embed(scene)
    for dtype, error in (("float32", 1e-6), ("float16", 2e-3)):
        found = mapped(scene, model, embedding(model.width, dtype), tmp_path / dtype, form="zarr").open()
        assert found.dtype == dtype and found.dims == ("feature", "y", "x")
        assert found.odc.geobox == expected.odc.geobox and found.rio.crs == expected.rio.crs
        assert found.attrs["model"] == expected.attrs["model"]
        assert np.abs(found.values - expected.values).max() <= error * np.abs(expected.values).max()


def test_tiles_in_batches_are_tiles_one_by_one(tmp_path, model, scene):
    one, many = (
        mapped(scene, model, embedding(model.width, "float32"), tmp_path / str(batch), tile=8, batch=batch, form="zarr")
        for batch in (1, 4)
    )
    assert np.allclose(one.open().values, many.open().values, atol=1e-4)


def test_an_int8_embedding_is_within_half_a_step(tmp_path, model, scene):
    found = mapped(scene, model, embedding(model.width, "int8"), tmp_path / "int8", form="zarr").open()
    exact = mapped(scene, model, embedding(model.width, "float32"), tmp_path / "exact", form="zarr").open().values
    step = np.array(json.loads(found.attrs["scale"]))[:, None, None]
    assert found.dtype == "int8" and np.allclose(step[:, 0, 0] * 127, np.abs(exact).max((1, 2)), rtol=2e-3)
    assert (np.abs(found.values * step - exact) <= 0.5 * step + 2e-3 * np.abs(exact).max()).all()
    assert (quantum(np.zeros(3)) > 0).all()


def test_similarity_is_the_cosine_with_the_example(tmp_path, model, scene):
    cells = model.embed(scene).values
    found = mapped(scene, model, similarity(cells[:, 4, 7], "a field"), tmp_path).open()
    expected = np.einsum("dhw,d->hw", cells, cells[:, 4, 7])
    expected /= np.linalg.norm(cells, axis=0) * np.linalg.norm(cells[:, 4, 7])
    assert np.allclose(found.values[0], expected, atol=1e-5) and found.values[0, 4, 7] == pytest.approx(1)
    assert found.attrs["about"] == "a field"


def test_change_is_nothing_where_both_periods_are_alike(tmp_path, model, scene):
    twice = xr.DataTree.from_dict({"s2": scene["s2"].to_dataset().isel(time=[0, 0]).copy(deep=True)})
    found = mapped(twice, model, change({"s2": 1}), tmp_path / "alike").open()
    assert np.abs(found.values).max() < 1e-5
    twice["s2"]["image"].values[1, :, :, 10:] = 9000
    found = mapped(twice, model, change({"s2": 1}), tmp_path / "other").open().values[0]
    assert found[:, 12:].min() > 5 * found[:, :6].max()


def test_tiles_without_one_of_the_periods_are_gaps(tmp_path, model):
    scene = region(8, 16, dates=2, sensors=("s2",))
    scene["s2"]["image"].values[1, :, :, 8:] = np.nan
    cut = {"tile": 8, "margin_m": 0, "overlap_m": 0, "progress": False}
    done = map_scene(scene, model, change({"s2": 1}), tmp_path, **cut)
    assert done.gaps == {(0, 8): "no usable date"}
    assert np.isnan(done.open().values[0]).tolist() == [[False] * 8 + [True] * 8] * 8


def probabilities(model, sample):
    """Two classes by the sign of one feature."""
    return torch.stack([torch.sigmoid(8 * sign * model.features(sample).richest[:, 3]) for sign in (1, -1)], 1)


def test_a_class_map_has_the_likeliest_class_and_how_likely_it_is(tmp_path, model, scene):
    done = mapped(scene, model, class_map(probabilities, ("up", "down"), "sign of feature 3"), tmp_path)
    feature = model.embed(scene).values[3]
    assert np.array_equal(done.open("classes").values[0], (feature < 0).astype("uint8"))
    assert np.allclose(done.open("confidence").values[0], 1 / (1 + np.exp(-8 * np.abs(feature))), atol=1e-5)
    assert done.open("classes").attrs["classes"] == "0 up, 1 down" and done.open("classes").rio.nodata == 255


def test_assignments_are_the_nearest_prototypes(tmp_path, model, scene):
    prototypes = torch.nn.functional.normalize(torch.randn(5, model.width, generator=torch.Generator().manual_seed(0)))

    def scores(model, sample):
        return torch.einsum("bdhw,kd->bkhw", torch.nn.functional.normalize(model.features(sample).richest), prototypes)

    done = mapped(scene, model, assignments(scores, 5, "five random directions"), tmp_path)
    cells = torch.from_numpy(model.embed(scene).values).flatten(1)
    expected = (prototypes @ torch.nn.functional.normalize(cells, dim=0)).argmax(0).view(12, 20).numpy()
    assert np.array_equal(done.open("prototype").values[0], expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: embedding(8, "int4"),
        lambda: class_map(probabilities, ("one",), "x"),
        lambda: assignments(probabilities, 70_000, "x"),
    ],
)
def test_what_cannot_be_stored_is_refused(make):
    with pytest.raises(ParameterError, match="^Expected "):
        make()


def test_half_precision_is_refused_where_files_lack_it(tmp_path, model, scene):
    with pytest.raises(ParameterError, match="float16 for embedding. Choose form='zarr'"):
        map_scene(scene, model, embedding(model.width), tmp_path, form="cog")
    assert not any(tmp_path.iterdir())
    assert mapped(scene, model, embedding(model.width), tmp_path).files["embedding"].suffix == ".zarr"
