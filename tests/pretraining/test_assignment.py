"""Sinkhorn: every row gives one, all columns receive alike, and numbers do not overflow."""

import pytest
import torch

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.assignment import sinkhorn


def scores(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def plain(table, epsilon, iterations):
    """SwAV's loop as printed, with its sums of one over K and one over n, in double precision."""
    q = (table.double() / epsilon).exp()
    n, k = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(0, keepdim=True) / k
        q = q / q.sum(1, keepdim=True) / n
    return q * n


def optimal_plan(table, epsilon):
    """The entropic optimal transport plan between even rows and columns, by gradient ascent on its dual."""
    table = table.double()
    n, k = table.shape
    f, g = torch.zeros(n, 1, dtype=torch.float64), torch.zeros(1, k, dtype=torch.float64)
    f.requires_grad_(), g.requires_grad_()
    solver = torch.optim.LBFGS([f, g], max_iter=500, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def dual():
        solver.zero_grad()
        mass = ((f + g + table) / epsilon).exp().sum() * epsilon
        loss = mass - f.sum() / n - g.sum() / k
        loss.backward()
        return loss

    solver.step(dual)
    return ((f + g + table) / epsilon).exp().detach() * n


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_equals_the_printed_loop(iterations):
    table = scores(11, 4)
    assert torch.allclose(sinkhorn(table, 0.2, iterations).double(), plain(table, 0.2, iterations), atol=1e-5)


def test_converges_to_the_optimal_transport_plan():
    table = scores(9, 5)
    assert torch.allclose(sinkhorn(table, 0.3, 300).double(), optimal_plan(table, 0.3), atol=1e-4)


def test_rows_give_one_and_columns_receive_alike():
    share = sinkhorn(scores(2, 3, 24, 6), epsilon=0.2, iterations=500)
    assert torch.allclose(share.sum(-1), torch.ones(2, 3, 24), atol=1e-5)
    assert torch.allclose(share.sum(-2), torch.full((2, 3, 6), 4.0), atol=1e-4)


def test_leading_axes_are_problems_of_their_own():
    table = scores(3, 10, 4)
    alone = torch.stack([sinkhorn(each) for each in table])
    assert torch.allclose(sinkhorn(table), alone, atol=1e-6)


def test_masked_rows_change_nothing_and_get_nothing():
    table = scores(2, 10, 4)
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[0, 2:5], mask[1] = False, False
    kept = table[0, mask[0]]
    table[0, 3] = 1e3
    share = sinkhorn(table, mask=mask)
    assert torch.allclose(share[0, mask[0]], sinkhorn(kept), atol=1e-6)
    assert share[~mask].abs().max() == 0


def test_a_column_that_all_prefer_is_still_shared():
    table = scores(50, 5) * 0.1
    table[:, 2] += 1.0
    assert (table.argmax(1) == 2).all()
    assert sinkhorn(table, iterations=200).sum(0) == pytest.approx(torch.full((5,), 10.0), abs=0.1)


def test_small_epsilon_does_not_overflow():
    share = sinkhorn(scores(8, 4), epsilon=1e-4, iterations=50)
    assert share.isfinite().all()
    assert torch.allclose(share.sum(1), torch.ones(8), atol=1e-5)


def test_autocast_and_half_precision_do_not_change_the_arithmetic():
    table = scores(8, 4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = sinkhorn(table)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, sinkhorn(table.float()))


def test_one_row_none_and_no_gradient():
    assert sinkhorn(torch.zeros(1, 4, requires_grad=True)).tolist() == [[0.25] * 4]
    assert sinkhorn(torch.zeros(0, 4)).shape == (0, 4)
    assert not sinkhorn(torch.zeros(1, 4, requires_grad=True)).requires_grad


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"epsilon": 0.0}])
def test_refuses_nonsense(wrong):
    with pytest.raises(ParameterError, match="positive epsilon"):
        sinkhorn(torch.zeros(2, 2), **wrong)
