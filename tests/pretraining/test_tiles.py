"""Tiles come back from disk as they were; scenes are cut without moving the ground."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch.utils.data import DataLoader

from skysense_nb import data
from skysense_nb.data.scene import DIMS
from skysense_nb.data.synthetic import World
from skysense_nb.errors import RunError, SampleError
from skysense_nb.pretraining.disturbances import statistics
from skysense_nb.pretraining.places import SyntheticPlaces
from skysense_nb.pretraining.tiles import SceneFolder, StoredPlaces, collate_tiles, write_tiles
from skysense_nb.sensors import SENSORS
from skysense_nb.training.sampler import EndlessSampler

SMALL = SyntheticPlaces(cells=4, s2_dates=2, s1_dates=1, labels=True)


@pytest.fixture(scope="module")
def wide():
    """A scene of 12 × 12 cells with a village in the middle."""
    return World(0).scene(*World(0).find("village"), size_m=120, s2_dates=2, s1_dates=2, clouds=False)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return write_tiles(tmp_path_factory.mktemp("stored"), SMALL, count=2)


def test_stored_tiles_come_back(stored):
    read = StoredPlaces(stored)
    assert len(read) == 2
    for index in range(2):
        back, live = read[index], SMALL[index]
        assert set(back) == set(live)
        assert {name: values.dtype for name, values in back.items()} == {n: v.dtype for n, v in live.items()}
        for name, values in live.items():
            if name not in SENSORS:
                assert torch.equal(back[name], values)
        for name, step in (("hr", 1e-3), ("s2", 0.51), ("s1", 0.02)):  # display values, reflectance, dB
            unit = statistics(name, live[name])[1] * SENSORS[name].divisor
            assert ((back[name] - live[name]).abs() * unit).max() < step


def test_writing_again_makes_only_what_is_missing(tmp_path):
    write_tiles(tmp_path, SMALL, count=2)
    one, two = sorted(tmp_path.iterdir())
    content = two.read_bytes()
    os.utime(one, (1, 1))
    two.unlink()
    write_tiles(tmp_path, SMALL, count=2)
    assert one.stat().st_mtime == 1
    assert two.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == [one, two]  # nothing unfinished is left


def test_tiles_of_different_places_are_not_mixed(stored):
    for other, cells in ((SyntheticPlaces(cells=4, seed=1), None), (SMALL, 2)):
        with pytest.raises(SampleError, match="Use another folder"):
            write_tiles(stored, other, count=1, cells=cells)
    with pytest.raises(SampleError, match="Expected places of at least 8 cells, got 4"):
        write_tiles(stored, SMALL, count=1, cells=8)


def test_a_place_cut_into_tiles_is_the_place(tmp_path):
    tiles = StoredPlaces(write_tiles(tmp_path, SMALL, count=1, cells=2))
    whole = SMALL[0]
    assert len(tiles) == 4
    for number, (row, column) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)]):
        cells = slice(row, row + 2), slice(column, column + 2)
        pixels = slice(32 * row, 32 * row + 64), slice(32 * column, 32 * column + 64)
        assert torch.allclose(tiles[number]["hr"], whole["hr"][:, :, :, *pixels], atol=1e-4)
        assert torch.allclose(tiles[number]["s1"], whole["s1"][:, :, :, *cells], atol=0.01)
        assert torch.equal(tiles[number]["land_cover"], whole["land_cover"][:, *cells])
        assert torch.equal(tiles[number]["tags"], whole["tags"][:, :, *cells])
        assert "scene_class" not in tiles[number]
    north_west, south_east = tiles[0]["lonlat"][0], tiles[3]["lonlat"][0]
    assert (south_east[0] > north_west[0]).item()
    assert (south_east[1] < north_west[1]).item()


def test_a_file_is_no_folder_for_tiles(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(RunError, match="Expected a writable folder at .*file, got a file"):
        write_tiles(tmp_path / "file", SyntheticPlaces(cells=4), 1)


def test_an_empty_folder_and_a_damaged_tile_are_named(tmp_path):
    with pytest.raises(SampleError, match="Make them with write_tiles"):
        StoredPlaces(tmp_path)
    (tmp_path / "00000000_000_000.safetensors").write_bytes(b"half a tile")
    with pytest.raises(SampleError, match="Expected a tile in .*00000000_000_000.safetensors"):
        StoredPlaces(tmp_path)[0]


@pytest.mark.parametrize("name", ["village.zarr", "village.nc"])
def test_scenes_are_cut_into_whole_tiles(wide, tmp_path, name):
    wide.sky.save(tmp_path / name)
    folder, whole = SceneFolder(tmp_path, cells=5), wide.sky.to_sample()
    assert len(folder) == 4
    for number, (row, column) in enumerate([(0, 0), (0, 5), (5, 0), (5, 5)]):
        tile = folder[number]
        for sensor, step in (("hr", 32), ("s2", 1), ("s1", 1)):
            rows, columns = (slice(step * start, step * (start + 5)) for start in (row, column))
            assert torch.equal(tile[sensor], whole[sensor][..., rows, columns])
            assert torch.equal(tile[f"{sensor}_day"], whole[f"{sensor}_day"])
        assert (tile["lonlat"] - whole["lonlat"]).abs().max() < 1e-3


def image(name, size, pixel, dates=1):
    """A made-up image whose values fall from west to east."""
    x, y = 500_000 + pixel * (np.arange(size) + 0.5), 5_000_000 - pixel * (np.arange(size) + 0.5)
    values = np.broadcast_to(-5 - (x - 500_000) / 10, (dates, len(SENSORS[name].bands), size, size))
    values = values + (200 if name == "hr" else 0)
    time = pd.date_range("2023-06-01", periods=dates, freq="10D")
    coords = {"time": time, "band": list(SENSORS[name].bands), "y": y, "x": x}
    return xr.DataArray(values.astype("float32"), dims=DIMS, coords=coords).rio.write_crs("EPSG:32633")


def test_pixels_that_do_not_nest_are_resampled_as_in_the_whole_scene(tmp_path):
    rough = image("hr", 200, 0.4)
    rough[:] = np.random.default_rng(0).uniform(0, 255, rough.shape)
    scene = data.build(hr=rough, s1=image("s1", 8, 10.0))
    scene.sky.save(tmp_path / "odd.nc")
    folder, whole = SceneFolder(tmp_path, cells=4), scene.sky.to_sample()["hr"]
    for number, (row, column) in enumerate([(0, 0), (0, 128), (128, 0), (128, 128)]):
        assert torch.allclose(folder[number]["hr"], whole[..., row : row + 128, column : column + 128], atol=1e-3)


def test_hr_alone_is_cut_on_blocks_of_32_pixels(tmp_path):
    scene = data.build(hr=image("hr", 170, 0.5))
    scene.sky.save(tmp_path / "hr.nc")
    folder = SceneFolder(tmp_path, cells=2)
    assert len(folder) == 4
    assert torch.equal(folder[1]["hr"], scene.sky.to_sample()["hr"][..., :64, 64:128])


def test_gaps_become_zeros_and_a_tile_of_gaps_alone_is_named(tmp_path):
    series = image("s1", 8, 10.0, dates=2)
    series[0, :, 0, 0] = np.nan
    series[:, :, 4:, 4:] = np.nan
    data.build(s1=series).sky.save(tmp_path / "holes.nc")
    folder = SceneFolder(tmp_path, cells=4)
    zeros = (folder[0]["s1"][0, :, 0] == 0).nonzero().tolist()
    assert zeros == [[0, 0, 0]]  # the one gap: first date, first cell
    assert folder[0]["s1_valid"].tolist() == [[True, True]]
    with pytest.raises(SampleError, match=r"Expected a valid date in .*holes.nc from row 4, column 4 on"):
        folder[3]


def test_scenes_that_cannot_serve_are_named(tmp_path):
    with pytest.raises(SampleError, match=r"Expected scenes \(.zarr, .nc\) in"):
        SceneFolder(tmp_path)
    data.build(s1=image("s1", 8, 10.0)).sky.save(tmp_path / "small.nc")
    with pytest.raises(SampleError, match=r"Expected at least 16 × 16 cells in .*small.nc, got 8 × 8"):
        SceneFolder(tmp_path)
    data.build(s1=image("s1", 16, 10.0) + 100).sky.save(tmp_path / "small.nc")
    with pytest.raises(SampleError, match=r"small.nc: Expected s1 in backscatter in dB"):
        SceneFolder(tmp_path)[0]


def test_labels_are_collated_where_every_tile_has_them():
    one = {"s1": torch.rand(1, 2, 2, 4, 4), "land_cover": torch.ones(1, 4, 4), "scene_class": torch.tensor([3])}
    two = {"s1": torch.rand(1, 1, 2, 4, 4), "land_cover": torch.zeros(1, 4, 4)}
    batch = collate_tiles([one, two])
    assert batch["land_cover"][:, 0, 0].tolist() == [1, 0]
    assert "scene_class" not in batch
    assert batch["s1_valid"].tolist() == [[True, True], [True, False]]


def test_workers_read_stored_tiles(stored):
    loader = DataLoader(
        StoredPlaces(stored), batch_size=2, sampler=EndlessSampler(count=2), num_workers=1, collate_fn=collate_tiles
    )
    batch = next(iter(loader))
    assert batch["hr"].shape == (2, 1, 3, 128, 128)
    assert batch["land_cover"].shape == (2, 4, 4)
