"""Attention against a formula written another way."""

import torch

from skysense_nb.layers import Attention


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
