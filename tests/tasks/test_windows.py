"""Windows cover every pixel of every record once, and carry images and masks alike."""

import pytest
import torch

from skysense_nb.data.benchmarks import open_benchmark
from skysense_nb.data.benchmarks.reader import IGNORED
from skysense_nb.data.miniatures import write_miniature
from skysense_nb.errors import ParameterError
from skysense_nb.tasks.samples import TaskSamples, collate_tasks
from skysense_nb.tasks.windows import Windows, grid


class Pair:
    """One record whose image says where each pixel was."""

    class_names = ("no", "yes")

    def __init__(self, height, width):
        place = torch.arange(height * width).view(1, 1, height, width)
        self.record = {"id": "a", "hr": place.expand(2, 3, -1, -1), "mask": place[0, 0] % 2, "crs": None}

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.record


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (11, 15), (4, 7)])
def test_every_pixel_is_counted_once_and_keeps_its_label(size):
    reader = Pair(*size)
    before, windows = reader.record["mask"].clone(), Windows(reader, 4)
    seen = []
    for number in range(len(windows)):
        record = windows[number]
        assert record["hr"].shape == (2, 3, 4, 4) and record["mask"].shape == (4, 4)
        known = record["mask"] != IGNORED
        assert torch.equal(record["mask"][known], record["hr"][0, 0][known] % 2)
        seen += record["hr"][1, 2][known].tolist()
    assert sorted(seen) == list(range(size[0] * size[1]))
    assert torch.equal(reader.record["mask"], before)


def test_georeference_of_the_whole_image_does_not_go_with_a_window():
    assert "crs" not in Windows(Pair(8, 8), 4)[1]


def test_a_window_larger_than_an_image_is_refused():
    with pytest.raises(ParameterError, match="1 to 8 pixels"):
        grid((8, 16), 9)


def test_cities_of_any_size_make_one_batch(tmp_path):
    write_miniature("oscd", tmp_path / "oscd")
    windows = Windows(open_benchmark("oscd", tmp_path / "oscd"), 32)
    samples = TaskSamples(windows, ("s2",))
    batch = collate_tasks([samples[number] for number in range(len(samples))])
    assert batch["s2"].shape[1:] == (2, 10, 32, 32) and batch["mask"].shape[1:] == (32, 32)
    assert len(set(batch["id"])) == len(samples) == 2 * 2 * 3
