"""A reader's time is compared with that of decoding its files."""

import numpy as np
import pytest

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.files import read_array, read_image, read_raster
from skysense_nb.data.miniatures import write_miniature
from skysense_nb.runs import bench_readers as bench


@pytest.fixture
def reader(tmp_path):
    write_miniature("resisc45", tmp_path / "resisc45")
    return open_benchmark("resisc45", tmp_path / "resisc45", share=0.4)


def test_a_reader_that_takes_twice_as_long_as_decoding_has_ratio_two(reader, monkeypatch):
    seconds = [0.0]

    def decode(path):
        seconds[0] += 1

    def read(item):
        seconds[0] += 2
        return {"id": item.path.stem}

    monkeypatch.setattr(bench, "process_time", lambda: seconds[0])
    monkeypatch.setattr(bench, "DECODERS", {".jpg": decode})
    monkeypatch.setattr(reader, "read", read)
    (row,) = bench.reader_rates(reader, workers=[0])
    assert (row.benchmark, row.ratio, row.samples_per_s) == ("resisc45", 2.0, 0.5)
    assert row.growth_mb is not None and "2.00 × decoding" in str(row)


def test_a_round_that_something_else_disturbs_does_not_count(reader, monkeypatch):
    seconds, calls = [0.0], [0]

    def decode(path):
        seconds[0] += 1

    def read(item):
        calls[0] += 1
        seconds[0] += 50 if calls[0] % (2 * len(reader) * 16) == 0 else 1
        return {"id": item.path.stem}

    monkeypatch.setattr(bench, "SAMPLES", 16 * len(reader))
    monkeypatch.setattr(bench, "process_time", lambda: seconds[0])
    monkeypatch.setattr(bench, "DECODERS", {".jpg": decode})
    monkeypatch.setattr(reader, "read", read)
    (row,) = bench.reader_rates(reader, workers=[0])
    assert row.ratio == 1.0


@pytest.mark.parametrize("name, ending, read", [
    ("resisc45", ".jpg", read_image), ("levir_cd", ".png", read_image), ("oscd", ".tif", read_raster),
    ("pastis", ".npy", read_array),
])  # fmt: skip
def test_decoding_gives_what_readers_start_from(tmp_path, name, ending, read):
    write_miniature(name, tmp_path / name)
    reader = open_benchmark(name, tmp_path / name)
    path = next(path for path in reader.files(reader.items[0]) if path.suffix == ending)
    np.testing.assert_array_equal(bench.DECODERS[ending](path), np.asarray(read(path)))


def test_workers_read_the_same_samples(reader):
    rows = list(bench.reader_rates(reader, workers=[0, 1]))
    assert [row.workers for row in rows] == [0, 1] and rows[1].growth_mb is None
    assert all(row.samples_per_s > 0 and row.to_dict()["benchmark"] == "resisc45" for row in rows)
