"""A region drawn block by block is the one that is drawn at once."""

import numpy as np
import pytest

from skysense_nb.data.storage import open_scene, save
from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.lazy import lazy_region
from skysense_nb.errors import SceneError

EDGES = (500_000, 5_200_000, 500_300, 5_200_240)
DAYS = {"s2_dates": ["2023-05-01", "2023-07-10"], "s1_dates": ["2023-07-01"]}


def test_blocks_fit_together_to_the_last_bit():
    lazy = lazy_region(World(0), EDGES, "EPSG:32632", block_m=100, hr_dates=["2023-06-01"], **DAYS)
    whole = World(0).window(EDGES, "EPSG:32632", hr_dates=["2023-06-01"], **DAYS)
    for name in ("hr", "s2", "s1"):
        assert np.array_equal(lazy[name]["image"].values, whole[name]["image"].values)
        assert lazy[name]["image"].dtype == whole[name]["image"].dtype
        assert lazy[name]["image"].odc.geobox == whole[name]["image"].odc.geobox
        assert (lazy[name]["time"].values == whole[name]["time"].values).all()
    assert np.array_equal(lazy["s2"]["clear"].values, whole["s2"]["clear"].values)
    assert np.array_equal(lazy["labels"]["land_cover"].values, whole["labels"]["land_cover"].values)


def test_aerial_images_are_where_they_were_asked_for_and_gaps_elsewhere():
    near = (500_100, 5_200_040, 500_200, 5_200_140)
    lazy = lazy_region(World(0), EDGES, "EPSG:32632", block_m=100, hr_dates=["2023-06-01"], hr_bounds=near, **DAYS)
    there = lazy["hr"]["image"].sel(x=slice(near[0], near[2]), y=slice(near[3], near[1]))
    whole = World(0).window(near, "EPSG:32632", hr_dates=["2023-06-01"], **DAYS)
    assert np.array_equal(there.values, whole["hr"]["image"].values)
    assert lazy["hr"]["image"].dtype == np.float32
    assert np.isfinite(lazy["hr"]["image"].values).sum() == there.size


def test_nothing_is_drawn_before_it_is_read_and_saving_reads_once(tmp_path, monkeypatch):
    calls, window = [], World.window

    def counted(self, bounds, *args, **options):
        calls.append(bounds)
        return window(self, bounds, *args, **options)

    monkeypatch.setattr(World, "window", counted)
    lazy = lazy_region(World(0), EDGES, "EPSG:32632", block_m=100, **DAYS)
    assert not calls
    lazy["s2"]["image"].isel(x=slice(0, 5), y=slice(0, 5)).load()
    assert len(calls) == 1
    stored = open_scene(save(lazy, tmp_path / "region.zarr"))
    assert np.array_equal(stored["s2"]["image"].values, lazy["s2"]["image"].values)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "dates of at least one sensor"),
        ({"hr_dates": ["2023-06-01"], "hr_bounds": (500_050, 5_200_040, 500_100, 5_200_140)}, "on blocks"),
        ({"s2_dates": ["2023-06-01"], "block_m": 15}, "on blocks of 10 m"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(SceneError, match=words):
        lazy_region(World(0), EDGES, "EPSG:32632", **({"block_m": 100} | options))
