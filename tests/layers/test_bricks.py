"""Small bricks: patches, lift, dates, stochastic depth."""

import pytest
import torch
import torch.nn.functional as F

from skysense_nb.layers import DateEncoding, DropPath, PatchEmbed, PatchMerging, PixelShuffleLift, drop_path_rates


def test_patch_merging_equals_unfold():
    torch.manual_seed(0)
    merging, x = PatchMerging(6), torch.randn(2, 5, 7, 6)
    padded = F.pad(x.permute(0, 3, 1, 2), (0, 1, 0, 1))
    expected = merging.norm(merging.reduction(F.unfold(padded, 2, stride=2).transpose(1, 2)))
    assert torch.allclose(merging(x).flatten(1, 2), expected, atol=1e-6)


def test_patch_embed_pads_only_at_the_far_corner():
    torch.manual_seed(0)
    embed, image = PatchEmbed(3, 8), torch.randn(1, 3, 10, 9)
    assert embed(image).shape == (1, 3, 3, 8)
    assert torch.equal(embed(image)[:, :2, :2], embed(image[:, :, :8, :8]))


def test_lift_puts_channels_into_pixels():
    lift = PixelShuffleLift(1, 2, 2)
    with torch.no_grad():
        lift.decoder[0].weight.zero_()
        lift.decoder[0].bias.copy_(torch.arange(8.0))
    assert lift(torch.zeros(1, 1, 1, 1))[0].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]


def test_lift_starts_without_a_checkerboard():
    torch.manual_seed(0)
    out = PixelShuffleLift(3, 2, 4)(torch.randn(1, 3, 2, 2)).detach()
    blocks = out.view(1, 2, 2, 4, 2, 4)
    assert torch.allclose(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks), atol=1e-6)
    assert out.std() > 0.1


def test_last_day_of_a_leap_year_shares_an_entry():
    dates = DateEncoding(4)
    vectors = dates(torch.tensor([[0, 364, 365]]))
    assert vectors.shape == (1, 3, 4)
    assert torch.equal(vectors[0, 1], vectors[0, 2])
    assert not torch.equal(vectors[0, 0], vectors[0, 1])


def test_drop_path_keeps_the_mean_and_drops_whole_samples():
    torch.manual_seed(0)
    drop, x = DropPath(0.25).train(), torch.ones(20_000, 3)
    out = drop(x)
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (out.std(1) == 0).all()
    assert out.mean() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(drop.eval()(x), x)
    assert drop_path_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3])
