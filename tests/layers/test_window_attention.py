"""Window attention: neighbourhoods, masks and kept biases."""

import math

import pytest
import torch

from skysense_nb.layers import ShiftedWindowAttention
from skysense_nb.layers.window_attention import CROSS_REGION, relative_coordinates, relative_index, shift_groups


def dense_mask(rows, columns, window, shift):
    """The published construction: number the nine regions of the rolled map, compare numbers inside each window."""
    regions = torch.zeros(rows * window, columns * window)
    cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    for number, (down, right) in enumerate((down, right) for down in cuts for right in cuts):
        regions[down, right] = number
    tiles = regions.view(rows, window, columns, window).transpose(1, 2).reshape(rows * columns, -1)
    return torch.where(tiles[:, :, None] == tiles[:, None], 0.0, CROSS_REGION)


@pytest.mark.parametrize("rows,columns", [(1, 1), (1, 3), (2, 2), (3, 5)])
def test_groups_cover_every_window_with_the_right_mask(rows, columns):
    masks = torch.full((rows * columns, 16, 16), float("nan"))
    for windows, mask in shift_groups(rows, columns, 4, 2, torch.device("cpu")):
        masks[windows] = 0.0 if mask is None else mask
    assert torch.equal(masks, dense_mask(rows, columns, 4, 2))


@pytest.mark.parametrize("shift", [0, 2])
def test_a_pixel_is_read_inside_its_window_only(shift):
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(8, 2, window=4, shift=shift, pad_small_map=True).eval()
    x = torch.randn(1, 12, 12, 8, requires_grad=True)
    attention(x)[0, 5, 5].sum().backward()
    touched = x.grad[0].abs().sum(-1) > 1e-12
    first = 4 if shift == 0 else 2  # (5, 5) lies in rows 4–7 of the plain grid, 2–5 of the shifted one
    expected = torch.zeros(12, 12, dtype=torch.bool)
    expected[first : first + 4, first : first + 4] = True
    assert torch.equal(touched, expected)


def test_opposite_borders_do_not_read_each_other():
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(8, 2, window=4, shift=2, pad_small_map=True).eval()
    x = torch.randn(1, 8, 8, 8)
    other = x.clone()
    other[:, -2:] += 1.0
    assert torch.allclose(attention(x)[:, :2], attention(other)[:, :2], atol=1e-5)


def test_relative_tables_by_hand():
    table, index = relative_coordinates(3), relative_index(3)
    assert table.shape == (1, 5, 5, 2)
    assert torch.allclose(table[0, 4, 0], torch.tensor([1.0, -1.0]) * math.log2(9) / 3)
    # token 0 is (0, 0), token 5 is (1, 2): one up, two left, in a table of five columns that starts at (−2, −2)
    assert index[0, 5] == (-1 + 2) * 5 + (-2 + 2)


def test_kept_bias_follows_the_weights():
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(8, 2, window=4, shift=0, pad_small_map=True).eval()
    x = torch.randn(1, 8, 8, 8)
    with torch.no_grad():
        before = attention(x)
        assert attention.w_msa.position_bias() is attention.w_msa.position_bias()
        attention.w_msa.cpb_mlp[2].weight.mul_(-3)
        after = attention(x)
    assert (before - after).abs().max() > 1e-4
    assert torch.allclose(attention(x), after, atol=1e-6)  # with gradients nothing is kept


def test_kept_bias_follows_updates_that_leave_no_trace():
    """Fused optimizers and teacher averages write into `.data`, which no version counter sees."""
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(8, 2, window=4, shift=0, pad_small_map=True).eval()
    with torch.no_grad():
        attention.w_msa.position_bias()
        attention.w_msa.cpb_mlp[2].weight.data.mul_(-3)
        assert torch.equal(attention.w_msa.position_bias(), attention.w_msa.compute_position_bias())


def test_training_works_after_inference_on_the_same_size():
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(8, 2, window=4, shift=2, pad_small_map=True)
    x = torch.randn(1, 12, 12, 8)
    with torch.inference_mode():
        before = attention(x)
    attention(x).sum().backward()
    assert all(parameter.grad is not None for parameter in attention.parameters())
    assert torch.allclose(attention(x), before, atol=1e-6)


def test_a_memory_planner_leaves_nothing_behind():
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    attention = ShiftedWindowAttention(8, 2, window=4, shift=2, pad_small_map=True).eval()
    with torch.no_grad():
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            attention(mode.from_tensor(torch.randn(1, 20, 16, 8)))
        assert not isinstance(attention(torch.randn(1, 20, 16, 8)), FakeTensor)


def test_logits_are_clamped_at_one_hundred():
    torch.manual_seed(0)
    attention = ShiftedWindowAttention(8, 2, window=4, shift=0, pad_small_map=True).eval()
    x = torch.randn(1, 4, 4, 8)
    outputs = []
    for scale in (100.0, 1e6):
        with torch.no_grad():
            attention.w_msa.logit_scale.fill_(math.log(scale))
            outputs.append(attention(x))
    assert torch.equal(*outputs)


def test_bias_is_in_full_precision_under_autocast():
    attention = ShiftedWindowAttention(8, 2, window=4, shift=0, pad_small_map=True).w_msa
    with torch.no_grad():
        plain = attention.compute_position_bias()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(attention.compute_position_bias(), plain)
