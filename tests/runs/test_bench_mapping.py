"""Ways of mapping are compared with the model alone."""

import pytest

from skysense_nb.runs.bench_mapping import bench_mapping


def test_rates_are_per_tile_and_relative_to_the_model_alone():
    alone, here, shared = bench_mapping(cells=40, tile=16, workers=[1])
    assert [row.way for row in (alone, here, shared)] == ["model alone", "this process", "1 workers"]
    assert alone.tiles == here.tiles == 16 and alone.ratio == 1
    for row in (here, shared):
        assert row.ratio == pytest.approx(row.tiles_per_s / alone.tiles_per_s) and row.tiles_per_s > 0
    assert "16 tiles of 16 cells" in str(here) and here.to_dict()["tile"] == 16
