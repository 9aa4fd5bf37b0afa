"""Attention against a formula written another way."""

import pytest
import torch
import torch.nn.functional as F

from skysense_nb.layers import Attention
from skysense_nb.layers.attention import RecomputedAttention, attend, rows_of_a_kernel


def test_equals_torch_multihead_attention():
    torch.manual_seed(0)
    ours, theirs = Attention(24, heads=3), torch.nn.MultiheadAttention(24, 3, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x, valid = torch.randn(2, 7, 24), torch.rand(2, 7) > 0.3
    valid[:, 0] = True
    expected, weights = theirs(x, x, x, key_padding_mask=~valid)
    assert torch.allclose(ours(x, valid), expected, atol=1e-6)
    assert torch.allclose(ours.weights_of_first(x, valid), weights[:, 0], atol=1e-6)
    assert torch.allclose(ours(x, valid, first=True), expected[:, :1], atol=1e-6)


def test_invalid_tokens_change_nothing():
    torch.manual_seed(0)
    attention, x = Attention(16, heads=2), torch.randn(1, 5, 16)
    valid = torch.tensor([[True, True, False, True, False]])
    other = torch.where(valid[..., None], x, 1e3)
    assert torch.allclose(attention(x, valid)[valid], attention(other, valid)[valid], atol=1e-6)


@pytest.mark.parametrize("kind", [None, "who may be read", "numbers"])
def test_recomputed_attention_is_attention_with_its_gradients(kind):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    masks = {"who may be read": torch.rand(2, 1, 1, 5) > 0.4, "numbers": torch.randn(1, 1, 1, 5, dtype=torch.float64)}
    mask = masks.get(kind)
    if kind == "who may be read":
        mask[..., 0] = True
    ours, theirs = RecomputedAttention.apply(q, k, v, mask), F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert torch.allclose(ours, theirs)
    weight = torch.randn_like(ours)
    for one, other in zip(*(torch.autograd.grad(out, (q, k, v), weight) for out in (ours, theirs)), strict=True):
        assert torch.allclose(one, other)


def test_bfloat16_on_a_cpu_keeps_nothing_of_the_size_of_all_pairs():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t):
        q = torch.randn(1, 2, 64, 8, dtype=torch.bfloat16, requires_grad=True)
        attend(q, q, q, None)
    assert kept and max(kept) == q.numel()


@pytest.mark.parametrize("mask", [None, "of each row", "of all rows"])
def test_more_rows_than_a_kernel_takes_are_read_in_parts(mask):
    """A formula written out, its gradient as well; row 65,535 is the first that a CUDA grid does not reach."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(65_540, 1, 2, 4, requires_grad=True) for _ in range(3))
    shape = {"of each row": (65_540, 1, 1, 2), "of all rows": (1, 1, 1, 2)}.get(mask)
    added = None if mask is None else torch.randn(shape)
    logits = torch.einsum("bhqd,bhkd->bhqk", q, k) / 2 + (0 if added is None else added)
    expected = torch.einsum("bhqk,bhkd->bhqd", logits.exp() / logits.exp().sum(-1, keepdim=True), v)
    out, weight = attend(q, k, v, added), torch.randn_like(q)
    assert torch.allclose(out, expected, atol=1e-5)
    for one, other in zip(*(torch.autograd.grad(x, (q, k, v), weight) for x in (out, expected)), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_no_kernel_gets_more_than_it_can_count(monkeypatch):
    """The fusion of the published SkySense over the cells of four and five maps of 2,048 px, and other shapes."""
    seen = []
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, k, v, attn_mask: seen.append(q.shape) or q)
    for shape in ((4 * 64**2, 16, 11, 64), (5 * 64**2, 16, 11, 64), (70_000, 2, 8, 32), (3, 64, 200_000, 128)):
        seen.clear()
        q = torch.empty(shape, device="meta")
        assert attend(q, q, q, None).shape == shape
        assert sum(rows for rows, *_ in seen) == shape[0]
        for rows, heads, queries, width in seen:
            assert rows <= 65_535
            assert rows == 1 or rows * heads * (queries + -queries % 128) * max(width, 32) <= 2**31
    assert rows_of_a_kernel(16, 11, 64) == 4 * 64**2
