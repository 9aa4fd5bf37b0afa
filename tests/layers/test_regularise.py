"""Recomputing some samples at a time changes no gradient."""

import pytest
import torch

from skysense_nb.layers import run_block
from skysense_nb.models.vit import TransformerLayer


@pytest.mark.parametrize("masked", [False, True])
def test_recomputing_in_pieces_changes_no_gradient(masked):
    torch.manual_seed(0)
    block, x = TransformerLayer(32, 4, 2.0), torch.randn(300, 60, 32)  # 18,000 tokens: more than one piece
    valid = torch.rand(300, 60) > 0.3 if masked else None
    if masked:
        valid[:, 0] = True
    calls, gradients = [], []
    block.register_forward_hook(lambda _, given, out: calls.append(len(given[0])))
    for recompute in (False, True):
        block.zero_grad()
        own = x.clone().requires_grad_()
        run_block(block, own, valid, masked, recompute=recompute).square().mean().backward()
        gradients.append([own.grad, *(parameter.grad.clone() for parameter in block.parameters())])
    assert calls[0] == 300 and len(calls) > 3 and max(calls[1:]) < 300
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-6 * float(one.abs().max()) + 1e-9)
