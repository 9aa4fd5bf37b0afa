"""Synthetic places are the same for everyone, apart by split, and carry their truth."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from pyproj import Transformer

from skysense_nb.data.synthetic import KINDS, LAND_COVER, World, regions
from skysense_nb.data.synthetic.biomes import biome_ids
from skysense_nb.errors import ParameterError
from skysense_nb.models.geo_context import region_of
from skysense_nb.pretraining.crops import CropPlan, make_views
from skysense_nb.pretraining.places import SyntheticPlaces, cell_labels, tag_names
from skysense_nb.pretraining.tiles import collate_tiles
from skysense_nb.sensors import SENSORS

SMALL = SyntheticPlaces(cells=4, s2_dates=2, s1_dates=1, labels=True)


@pytest.fixture(scope="module")
def wide():
    """A scene of 12 × 12 cells with a village in the middle."""
    return World(0).scene(*World(0).find("village"), size_m=120, s2_dates=2, s1_dates=2, clouds=False)


def footprint(tiles, index):
    """Ground cells of a tile as (zone, column, row) of 10 m, worked out from longitude and latitude."""
    place = tiles.place(index)
    zone = (32600 if place.lat >= 0 else 32700) + int((place.lon + 180) // 6) + 1
    x, y = Transformer.from_crs(4326, zone, always_xy=True).transform(place.lon, place.lat)
    columns, rows = (range(round(axis / 10) - tiles.cells // 2, round(axis / 10) + tiles.cells // 2) for axis in (x, y))
    return zone, columns, rows


def test_a_tile_is_the_same_for_everyone_and_in_any_order():
    later, one = SMALL[5], SMALL[3]
    same = SyntheticPlaces(cells=4, s2_dates=2, s1_dates=1, labels=True)[3]
    assert set(one) == set(same)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["hr"], later["hr"])
    assert SMALL.place(3) != SyntheticPlaces(seed=1).place(3)


def test_a_tile_is_a_sample_that_views_can_be_cut_from():
    tile = SMALL[0]
    assert {name: tuple(tile[name].shape) for name in SENSORS} == {
        "hr": (1, 1, 3, 128, 128),
        "s2": (1, 2, 10, 4, 4),
        "s1": (1, 1, 2, 4, 4),
    }
    assert tile["s1_valid"].all()
    plan = CropPlan(global_cells=2, local_cells=2, local_views=1)
    view = make_views(collate_tiles([tile, SMALL[1]]), plan, torch.Generator().manual_seed(0)).first
    assert view.labels["tags"].shape == (2, len(tag_names()), 2, 2)
    assert view.sample["lonlat"].shape == (2, 2)


def test_the_place_of_a_tile_is_its_footprint():
    zone, columns, rows = footprint(SMALL, 3)
    image = SMALL.scene(3)["s2"]["image"]
    assert image.rio.crs.to_epsg() == zone
    assert image["x"].values.tolist() == [10 * column + 5 for column in columns]
    assert image["y"].values.tolist() == [10 * row + 5 for row in reversed(rows)]


def test_splits_share_no_square_of_ground_whatever_the_seed():
    squares = {}
    for split in ("train", "held-out"):
        for tiles in (SyntheticPlaces(split=split), SyntheticPlaces(seed=1, cells=64, split=split)):
            for index in range(30):
                zone, columns, rows = footprint(tiles, index)
                corners = {(zone, x // 2000, y // 2000) for x in (columns[0], columns[-1]) for y in (rows[0], rows[-1])}
                squares.setdefault(split, set()).update(corners)
    assert len(squares["train"]) > 20
    assert len(squares["held-out"]) > 15
    assert squares["train"] & squares["held-out"] == set()


def test_a_tile_across_the_border_of_splits_belongs_to_neither():
    # Eastings through the border of squares 480–500 and 500–520 km, in a zone's every row of squares.
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True).transform
    across = [to_degrees(500_000, 20_000 * row + 10_000) for row in range(250, 290)]
    inside = [to_degrees(510_000, 20_000 * row + 10_000) for row in range(250, 290)]
    assert {regions.held_out(spot, half_m=90) for spot in inside} == {True, False}
    assert {regions.held_out(spot, half_m=90) for spot in across} == {True, False, None}


def test_about_a_fifth_of_the_ground_is_held_out_by_everyone():
    to_degrees = Transformer.from_crs(32633, 4326, always_xy=True).transform
    middles = [to_degrees(20_000 * x + 10_000, 20_000 * y + 10_000) for x in range(15, 35) for y in range(240, 260)]
    held_out = [regions.held_out(spot, half_m=90) for spot in middles]
    assert 0.15 < np.mean(held_out) < 0.25
    assert [regions.held_out(spot, half_m=5000) for spot in middles] == held_out


def test_kinds_take_turns_and_regions_come_again_in_every_biome():
    tiles = SyntheticPlaces(regions=14)
    found = [tiles.place(index) for index in range(52)]
    counts = pd.Series([place.kind for place in found]).value_counts()
    assert set(counts.index) == set(KINDS)
    assert counts.max() <= 8
    lon, lat = (np.array([getattr(place, axis) for place in found]) for axis in ("lon", "lat"))
    assert len(set(biome_ids(0, lon, lat))) >= 6
    assert 7 <= len(region_of(torch.tensor(np.stack((lon, lat), 1))).unique()) <= 14 * 4
    gaps = np.hypot((lon[:, None] - lon) * np.cos(np.deg2rad(lat)), lat[:, None] - lat) + 99 * np.eye(52)
    assert gaps.min() > 0  # no place twice
    assert np.median(gaps.min(0)) < 1.0  # degrees: neighbours in the same region


def test_the_scene_class_is_the_kind_the_place_was_drawn_for():
    for index in (2, 4):
        assert KINDS[int(SMALL[index]["scene_class"])] == SMALL.place(index).kind


def test_cells_get_the_class_that_covers_most_of_them(wide):
    labels = cell_labels(wide)
    cover = wide["labels"]["land_cover"].values
    assert labels["land_cover"].shape == (1, 12, 12)
    assert labels["tags"].shape == (1, len(LAND_COVER) - 1, 12, 12)
    for row in range(12):
        for column in range(12):
            block = cover[8 * row : 8 * row + 8, 8 * column : 8 * column + 8].ravel().tolist()
            expected = max(range(18), key=lambda one: (block.count(one), -one))
            assert labels["land_cover"][0, row, column] == expected
            seen = [tag for tag, there in zip(tag_names(), labels["tags"][0, :, row, column], strict=True) if there]
            assert seen == [one.tag for one in LAND_COVER[1:] if block.count(one.id) >= 8]
    assert labels["land_cover"].unique().numel() > 2


def test_tiles_stray_from_the_middle_of_what_they_were_drawn_for():
    distances = []
    for index in range(6):
        place = SMALL.place(index)
        lon, lat = World(0).find(place.kind, near=(place.lon, place.lat))
        distances.append(111_320 * np.hypot((lon - place.lon) * np.cos(np.deg2rad(lat)), lat - place.lat))
    assert min(distances) > 5
    assert np.median(distances) < 300


def test_a_split_without_ground_says_so(monkeypatch):
    monkeypatch.setattr(regions, "HELD_OUT_SHARE", 0.0)
    monkeypatch.setattr(regions, "ATTEMPTS", 20)
    with pytest.raises(ParameterError, match="Expected a place of kind .* on held-out ground, got none in 3 regions"):
        SyntheticPlaces(split="held-out", regions=3).place(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "Expected a split among train, held-out, got 'test'"),
        ({"cells": 5}, "Expected an even number of cells, got 5"),
        ({"cells": 0}, "Expected an even number of cells, got 0"),
        ({"regions": 0}, "Expected at least one region, got 0"),
    ],
)
def test_impossible_places_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        SyntheticPlaces(**options)


@pytest.mark.parametrize("module", ["crops", "places", "tiles", "student_teacher"])
def test_the_module_itself_needs_torch_and_nothing_else(module):
    missing = ("xarray", "pandas", "rasterio", "scipy", "sklearn", "kornia", "pyproj", "shapely", "lightning")
    program = f"import sys; sys.modules.update(dict.fromkeys({missing})); import skysense_nb.pretraining.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
