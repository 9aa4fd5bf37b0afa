"""The fusion transformer: what it leaves out at the end is not missed."""

import torch

from skysense_nb.models.fusion import FusionConfig, FusionTransformer


def test_the_last_block_gives_the_extra_token_as_if_it_had_computed_all():
    torch.manual_seed(0)
    fusion = FusionTransformer(FusionConfig(input_dims=12, embed_dims=16, num_layers=3, num_heads=2))
    tokens, valid = torch.randn(5, 4, 12), torch.rand(5, 4) > 0.3
    x, seen = fusion.prepend(tokens, valid)
    for layer in fusion.layers:
        x = layer(x, seen)
    fused = fusion(tokens, valid)
    assert torch.allclose(fused, x[:, 0], atol=1e-6)
    wholly, briefly = (torch.autograd.grad(y.square().sum(), list(fusion.parameters())) for y in (x[:, 0], fused))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(wholly, briefly, strict=True))


def test_tokens_can_be_read_out_too():
    config = FusionConfig(input_dims=12, embed_dims=16, num_layers=2, num_heads=2, output_cls_token=False)
    assert FusionTransformer(config)(torch.randn(5, 4, 12)).shape == (5, 4, 16)
