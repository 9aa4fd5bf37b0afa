"""`skysense-nb doctor` examines, mends into a new file, draws, and never overwrites."""

import json

import pytest
import xarray as xr
from sound_images import sentinel1, sentinel2
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.data.storage import open_scene, save
from skysense_nb.errors import SkySenseError


@pytest.fixture
def broken(tmp_path):
    images = {"s2": sentinel2() / 10_000, "s1": sentinel1().isel(time=[1, 0])}
    tree = xr.DataTree.from_dict({name: image.to_dataset(name="image") for name, image in images.items()})
    return save(tree, tmp_path / "broken.zarr")


def call(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_a_scene_is_mended_into_a_new_file_and_drawn(broken, tmp_path):
    assert call(broken).exit_code == 1
    done = call(broken, "--mend", tmp_path / "new" / "mended.nc", "--figure", tmp_path / "seen.png")
    assert done.exit_code == 0, done.output
    assert "  mended   s2 · unit: reflectance × 10,000\n  mended   s1 · dates: sorted" in done.output
    assert "Fit for the encoders" in done.output
    xr.testing.assert_allclose(open_scene(tmp_path / "new" / "mended.nc")["s2"]["image"], sentinel2().rename("image"))
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_json_carries_what_was_mended(broken, tmp_path):
    told = json.loads(call(broken, "--mend", tmp_path / "mended.zarr", "--json").stdout)[str(broken)]
    assert told["ok"] and len(told["mended"]) == 2
    assert json.loads(call(broken, "--json").stdout)[str(broken)]["mended"] == []


def test_nothing_is_overwritten(broken, tmp_path):
    before = open_scene(broken).load()
    (tmp_path / "kept.png").write_text("mine")
    for arguments in (("--mend", broken), ("--figure", tmp_path / "kept.png")):
        error = call(broken, *arguments).exception
        assert isinstance(error, SkySenseError) and "nothing was touched" in str(error)
    assert open_scene(broken).load().identical(before) and (tmp_path / "kept.png").read_text() == "mine"


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (2, ("--mend", "new.zarr"), "Expected one scene to mend or draw, got 2."),
        (0, ("--figure", "new.png"), "Expected one scene to mend or draw, got 0."),
        (1, ("--figure", "new.xyz"), "Expected a .png in a folder that exists"),
        (1, ("--figure", "nowhere/new.png"), "Expected a .png in a folder that exists"),
        (1, ("--mend", "new.tif"), "Expected a path that ends in .zarr or .nc"),
    ],
)
def test_mistakes_are_one_sentence(broken, count, options, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    error = call(*[broken] * count, *options).exception
    assert isinstance(error, SkySenseError) and message in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.zarr"]
