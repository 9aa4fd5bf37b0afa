"""The rate of data counts every tile that comes, and is compared with the rate of training."""

import pytest
from torch.utils.data import Dataset

from skysense_nb.pretraining.places import SyntheticPlaces
from skysense_nb.pretraining.tiles import write_tiles
from skysense_nb.runs import bench_data as bench
from skysense_nb.runs.bench_data import data_rate
from skysense_nb.training.sampler import EndlessSampler

PLACES = SyntheticPlaces(cells=2, s2_dates=1, s1_dates=1)


class Slow(Dataset):
    """A tile of which each takes a second on a clock of its own."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __getitem__(self, index):
        self.seconds += 1.0
        return PLACES[0]


def test_a_tile_a_second_is_a_rate_of_one(monkeypatch):
    tiles = Slow()
    monkeypatch.setattr(bench, "now", lambda: tiles.seconds)
    assert data_rate(tiles, EndlessSampler(), batch=2, workers=0, batches=3) == 1.0
    assert tiles.seconds == 8  # the first batch only starts the loader


@pytest.mark.parametrize("workers", [[0], [1]])
def test_each_source_is_compared_with_training(workers, tmp_path):
    folder = write_tiles(tmp_path, PLACES, 2)
    rows = list(bench.bench_data(PLACES, folder, batch=2, training=4.0, workers=workers))
    assert [(row.source, row.workers) for row in rows] == [("stored tiles", *workers), ("synthetic places", *workers)]
    for row in rows:
        assert row.ratio == pytest.approx(row.tiles_per_s / 4.0) and row.ratio > 0
        assert row.to_dict()["source"] == row.source
        assert f"{row.ratio:.3g} × training" in str(row)
