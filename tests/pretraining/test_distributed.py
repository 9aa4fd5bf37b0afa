"""Two processes with parts of a batch compute what one does with the joined batch."""

import pytest
import torch
from torch.multiprocessing import spawn
from two_ranks import CELLS, SAMPLES, run_rank, step

from skysense_nb.pretraining.distributed import gather_rows, global_logsumexp, global_sum, world_size

NAMES = [
    "count",
    "logsumexp of nothing",
    "sinkhorn",
    "sinkhorn, masked",
    "sinkhorn, of the first",
    "clusters",
    "alignment",
    "alignment of none",
    "gradient of hr",
    "gradient of s2",
    "pixel centre",
    "bank",
    "regions",
    "reports",
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What each of two processes computes."""
    folder = tmp_path_factory.mktemp("ranks")
    spawn(run_rank, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def joined():
    return step(slice(0, SAMPLES))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_compute_what_one_process_does(ranks, joined, name):
    for rank in ranks:
        assert torch.allclose(rank[name], joined[name], atol=1e-5), name


@pytest.mark.slow
def test_both_ranks_hold_the_same_bank_to_the_last_bit(ranks):
    assert torch.equal(ranks[0]["bank"], ranks[1]["bank"]) and ranks[0]["bank"].abs().max() > 0
    assert ranks[0]["regions"].min() > 0
    assert ranks[0]["reports"][0].tolist()[:3] == [2, 2, 1]


@pytest.mark.slow
def test_a_part_alone_would_give_another_result(joined):
    alone = step(slice(0, 3))
    rows = 3 * CELLS
    assert not torch.allclose(alone["sinkhorn"], joined["sinkhorn"][:rows], atol=1e-3)
    assert torch.allclose(alone["clusters"], joined["clusters"][:3], atol=1e-6)
    for name in ("alignment", "gradient of hr", "pixel centre", "bank"):
        assert not torch.allclose(alone[name], joined[name], atol=1e-3)


@pytest.mark.slow
def test_a_rank_without_rows_moves_the_centre_like_the_others(ranks):
    alone = step(slice(0, 3))["image centre"]
    assert all(torch.allclose(rank["image centre"], alone, atol=1e-6) for rank in ranks)


@pytest.mark.slow
def test_logarithms_of_sums_agree_between_ranks(ranks):
    halves = [step(part)["logsumexp"] for part in (slice(0, 3), slice(3, 5))]
    expected = torch.logaddexp(*halves)
    assert all(torch.allclose(rank["logsumexp"], expected, atol=1e-5) for rank in ranks)


def test_one_process_keeps_what_it_has():
    rows = torch.randn(3, 2, requires_grad=True)
    assert world_size() == 1
    assert gather_rows(rows) is rows
    assert torch.equal(global_sum(rows), rows) and not global_sum(rows).requires_grad
    assert torch.equal(global_logsumexp(rows), rows)
