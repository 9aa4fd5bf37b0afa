"""No tile twice, none left out, and on after a stop."""

from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from skysense_nb.errors import ParameterError
from skysense_nb.training.sampler import EndlessSampler


def test_ranks_share_the_tiles_without_overlap_or_gap():
    drawn = [list(islice(EndlessSampler(start=10, rank=rank, ranks=3), 20)) for rank in range(3)]
    assert sorted(sum(drawn, [])) == list(range(10, 70))
    assert drawn[2][:3] == [12, 15, 18]


@pytest.mark.parametrize("count", [None, 7])
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_run_goes_on_where_it_stopped(count, ranks):
    for rank in range(ranks):
        through = list(islice(EndlessSampler(0, rank, ranks, count), 30))
        first = EndlessSampler(0, rank, ranks, count)
        resumed = EndlessSampler(first.after(11), rank, ranks, count)
        assert list(islice(first, 11)) + list(islice(resumed, 19)) == through


def test_a_folder_is_shuffled_anew_each_time_through_and_read_evenly():
    drawn = [list(islice(EndlessSampler(rank=rank, ranks=2, count=10, seed=4), 15)) for rank in range(2)]
    together = [index for pair in zip(*drawn, strict=True) for index in pair]
    rounds = [together[start : start + 10] for start in (0, 10, 20)]
    assert all(sorted(one) == list(range(10)) for one in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert list(islice(EndlessSampler(count=10, seed=4), 30)) == together
    assert list(islice(EndlessSampler(count=10, seed=5), 30)) != together


def test_a_sampler_of_no_rank_is_refused():
    for options in ({"rank": 2, "ranks": 2}, {"rank": -1}, {"count": 0}):
        with pytest.raises(ParameterError, match="Expected a rank below the number of ranks"):
            EndlessSampler(**options)


class Numbers(Dataset):
    """Hands back the index it was asked for."""

    def __getitem__(self, index):
        return index


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_get_every_tile_once_in_order(workers):
    loader = DataLoader(Numbers(), batch_size=4, sampler=EndlessSampler(rank=1, ranks=2), num_workers=workers)
    assert torch.cat(list(islice(loader, 5))).tolist() == list(range(1, 41, 2))
