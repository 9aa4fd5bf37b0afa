"""The unified backbone against slow formulas, and what its prompts, strides and weights must do."""

import pytest
import torch
import torch.nn.functional as F
from small_models import V2_TINY

from skysense_nb.errors import ParameterError
from skysense_nb.layers import AdaptivePatchMerging, PositionTable
from skysense_nb.models.unified import GlobalStage, UnifiedBackbone, UnifiedConfig

CONFIG = UnifiedConfig(embed_dims=16, depths=(1, 2, 2, 2), head_width=8, window_size=4, layer_scale=0.5)


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    made = UnifiedBackbone(CONFIG).eval()
    with torch.no_grad():
        for key, parameter in made.named_parameters():
            if "norm" in key or "prompts" in key:
                parameter.add_(0.5 * torch.randn_like(parameter))
    return made


def test_keeping_the_grid_equals_merging_where_blocks_are_constant():
    torch.manual_seed(1)
    merging, coarse = AdaptivePatchMerging(12), torch.randn(2, 3, 5, 12)
    fine = coarse.repeat_interleave(2, 1).repeat_interleave(2, 2)
    merged = merging(fine, merge=True)
    kept = merging(fine, merge=False)
    assert kept.shape == (2, 6, 10, 24)
    assert torch.allclose(kept[:, ::2, ::2], merged, atol=1e-6)
    assert torch.allclose(kept, merged.repeat_interleave(2, 1).repeat_interleave(2, 2), atol=1e-6)


def test_keeping_the_grid_projects_with_the_averaged_weight():
    torch.manual_seed(1)
    merging, x = AdaptivePatchMerging(12), torch.randn(1, 3, 3, 12)
    mean = torch.zeros(1, 3, 3, 24)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):  # each token alone in its block, in each of the four places
        block = torch.zeros(1, 6, 6, 12)
        block[:, row::2, column::2] = x
        mean = mean + merging.reduction(unfolded(block)) / 4
    expected = F.layer_norm(mean, (24,), eps=1e-5 / 16)
    assert torch.allclose(merging(x, merge=False), expected, atol=1e-6)


def unfolded(x):
    rows = F.unfold(x.permute(0, 3, 1, 2), 2, stride=2).transpose(1, 2)
    return rows.unflatten(1, (x.shape[1] // 2, x.shape[2] // 2))


def test_both_paths_train_the_same_parameters():
    merging, x = AdaptivePatchMerging(4), torch.randn(1, 4, 4, 4)
    seen = []
    for merge in (True, False):
        merging.zero_grad()
        merging(x, merge).square().sum().backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in merging.parameters() if parameter.ndim == 2)
        seen.append([name for name, parameter in merging.named_parameters() if parameter.grad is not None])
    assert seen[0] == seen[1] == ["reduction.weight", "norm.weight", "norm.bias"]


@pytest.mark.parametrize("stride,sides", [(32, (16, 8, 4, 2)), (16, (16, 8, 4, 4)), (8, (16, 8, 8, 8)), (4, (16,) * 4)])
def test_finer_maps_come_from_the_same_weights(backbone, stride, sides):
    maps = backbone(torch.randn(1, 3, 64, 64), "hr", stride=stride)
    assert [m.shape[1] for m in maps] == [16, 32, 64, 128]
    assert tuple(m.shape[-1] for m in maps) == sides


def test_an_unknown_stride_is_refused(backbone):
    with pytest.raises(ParameterError, match="Expected an HR stride among 32, 16, 8, 4, got 64"):
        backbone(torch.randn(1, 3, 64, 64), "hr", stride=64)


@pytest.mark.parametrize("name,channels", [("s2", 10), ("s1", 2)])
def test_sentinels_keep_their_grid_in_every_stage(backbone, name, channels):
    maps = backbone(torch.randn(2, channels, 18, 9), name)
    assert [tuple(m.shape) for m in maps] == [(2, width, 5, 3) for width in (16, 32, 64, 128)]


def test_prompts_take_part_and_leave(backbone):
    image = torch.randn(1, 3, 64, 64)
    with_prompts, without = backbone(image, "hr"), backbone(image, "hr", prompted=False)
    for stage in (0, 1):
        assert torch.equal(with_prompts[stage], without[stage])
    for stage in (2, 3):
        assert with_prompts[stage].shape == without[stage].shape
        assert (with_prompts[stage] - without[stage]).abs().max() > 1e-3


@torch.no_grad()
def test_each_sensor_has_its_own_prompts_in_each_stage(backbone):
    image, prompts = torch.randn(1, 2, 16, 16), backbone.prompts
    assert {key: tuple(value.shape) for key, value in prompts["s1"].items()} == {"2": (1, 4, 64), "3": (1, 4, 128)}
    before = backbone(image, "s1")
    prompts["s2"]["2"].add_(1.0)
    assert all(torch.equal(a, b) for a, b in zip(backbone(image, "s1"), before, strict=True))
    prompts["s1"]["3"].mul_(-3.0)
    after = backbone(image, "s1")
    assert torch.equal(after[2], before[2])
    assert (after[3] - before[3]).abs().max() > 1e-3


def test_a_global_stage_equals_a_slow_formula(backbone):
    stage: GlobalStage = backbone.stages[2]
    x, prompts = torch.randn(1, 3, 4, 64), backbone.prompts["hr"]["2"]
    grid = F.interpolate(
        stage.positions.table.unflatten(1, (56, 56)).permute(0, 3, 1, 2), (3, 4), mode="bicubic", align_corners=False
    )
    tokens = torch.cat((prompts, x.flatten(1, 2) + grid.flatten(2).transpose(1, 2)), dim=1)[0]
    for block in stage.blocks:
        attention = block.attn["attn"]
        normed = F.layer_norm(tokens, (64,), block.ln1.weight, block.ln1.bias)
        q, k, v = F.linear(normed, attention.in_proj_weight, attention.in_proj_bias).split(64, dim=1)
        heads = [
            ((q[:, h] @ k[:, h].T) / 8**0.5).softmax(-1) @ v[:, h] for h in (slice(8 * i, 8 * i + 8) for i in range(8))
        ]
        tokens = tokens + 0.5 * attention.out_proj(torch.cat(heads, dim=1))
        normed = F.layer_norm(tokens, (64,), block.ln2.weight, block.ln2.bias)
        inner, outer = block.ffn.layers[0][0], block.ffn.layers[1]
        tokens = tokens + 0.5 * outer(F.gelu(inner(normed)))
    assert torch.allclose(stage(x, prompts, recompute=False)[0].flatten(0, 1), tokens[4:], atol=1e-5)


def test_positions_tell_places_apart_and_stretch():
    torch.manual_seed(0)
    table = PositionTable(6, side=4)
    assert torch.equal(table(torch.zeros(1, 4, 4, 6)), table.table.unflatten(1, (4, 4)))
    stretched = table(torch.zeros(1, 8, 8, 6))
    assert torch.allclose(stretched.mean((1, 2)), table.table.mean(1), atol=0.01)
    assert stretched[0].flatten(0, 1).unique(dim=0).shape[0] == 64


def test_heads_are_32_wide_in_every_block():
    with torch.device("meta"):
        backbone = UnifiedBackbone(UnifiedConfig())
    heads = [backbone.block(i).attn.w_msa.heads for i in range(4)]
    heads += [backbone.block(i).attn["attn"].heads for i in range(4, 24)]
    assert heads == [11, 11, 22, 22] + [44] * 18 + [88] * 2


def test_the_ratio_counts_in_every_stage():
    config = UnifiedConfig(embed_dims=16, depths=(1, 1, 1, 1), head_width=8, mlp_ratio=2.0)
    backbone = UnifiedBackbone(config)
    assert [backbone.block(i).ffn.layers[1].in_features for i in range(4)] == [32, 64, 128, 256]


def test_a_sensor_it_was_not_built_for_is_refused(backbone):
    with pytest.raises(ParameterError, match="Expected a sensor among hr, s2, s1, got 'lidar'"):
        backbone(torch.randn(1, 3, 8, 8), "lidar")


def test_the_tiny_preset_has_the_shape_of_the_large_one():
    small, large = V2_TINY.backbone, UnifiedConfig()
    assert (small.patch_size, small.window_size, small.prompts, small.head_width) == (
        large.patch_size,
        large.window_size,
        large.prompts,
        large.head_width,
    )
