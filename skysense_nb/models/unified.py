"""The unified backbone of SkySense V2 (Zhang et al., ICCV 2025): one set of blocks for three sensors.

Known of the paper, and built so: the four stages with their widths and depths, Swin V2 blocks in stages 1–2 and
plain blocks with global attention in stages 3–4, heads 32 wide, one tokeniser per sensor with patches of 4 × 4,
adaptive patch merging, four prompt tokens per sensor in stages 3 and 4, experts in place of chosen feed-forwards.

We found nothing on the following, so it is our choice: how the plain blocks know positions (a learned table per
stage, 56 × 56 and 28 × 28, resized to the grid), that their branches are scaled (LayerScale), a last norm, and
stochastic depth. The first three were chosen, among hundreds of sets that fit, to fill the gap between what is known
and the 661.40 million of the paper's table, so that agreement proves nothing. The prompts are plain learned tokens,
0.05 of the 9.94 million the table lists.
`counts.published_table_v2` has the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.errors import ParameterError, PresetError
from skysense_nb.layers import (
    AdaptivePatchMerging,
    Experts,
    PatchEmbed,
    PositionTable,
    drop_path_rates,
    run_block,
    start_small,
)
from skysense_nb.models.swin import SwinBlock, start_branches
from skysense_nb.models.vit import TransformerLayer

MERGING = {32: (True, True, True), 16: (True, True, False), 8: (True, False, False), 4: (False, False, False)}
"""Output stride of the HR path: whether it merges patches before stages 2, 3 and 4 (the paper's ablation)."""


@dataclass(frozen=True)
class UnifiedConfig:
    """Sizes of the unified backbone.

    Attributes:
        embed_dims: Width of stage 1; it doubles from stage to stage.
        depths: Blocks of each stage; blocks are counted through all stages, from 0.
        hr_channels, s2_channels, s1_channels: Bands of each sensor.
        patch_size: Side of the patches of all tokenisers, in pixels.
        head_width: Channels of an attention head, in every block.
        mlp_ratio: The hidden layer of a feed-forward is this many times as wide.
        window_size: Side of the windows of stages 1 and 2, in tokens.
        prompts: Prompt tokens per sensor, separately in stages 3 and 4.
        position_sides: Grid sides of the position tables of stages 3 and 4; our choice.
        layer_scale: First value of the scale of each branch in stages 3 and 4; our choice.
        experts: Experts of a mixture block; the paper has 8 and tries 4 and 16.
        expert_blocks: Blocks whose feed-forward is a mixture of experts. The paper takes the last six, 18–23, and
            tries 3, 7, 11, 15, 19, 23. Empty for a dense model.
        drop_path_rate: Highest rate of stochastic depth; our choice.
    """

    embed_dims: int = 352
    depths: tuple[int, ...] = (2, 2, 18, 2)
    hr_channels: int = 3
    s2_channels: int = 10
    s1_channels: int = 2
    patch_size: int = 4
    head_width: int = 32
    window_size: int = 8
    mlp_ratio: float = 4.0
    prompts: int = 4
    position_sides: tuple[int, int] = (56, 28)
    layer_scale: float = 1e-5
    experts: int = 8
    expert_blocks: tuple[int, ...] = ()
    drop_path_rate: float = 0.2

    def __post_init__(self) -> None:
        blocks = self.expert_blocks
        rules = {
            "four depths of at least 1": len(self.depths) == 4 and min(self.depths) > 0,
            "two position_sides of at least 1": len(self.position_sides) == 2 and min(self.position_sides) > 0,
            "sizes of at least 1": min(self.embed_dims, self.head_width, self.patch_size, self.window_size) > 0,
            "embed_dims that divide by head_width": self.head_width > 0 and self.embed_dims % self.head_width == 0,
            "experts of at least 1 and prompts of at least 0": self.experts > 0 and self.prompts >= 0,
            f"expert_blocks among 0–{sum(self.depths) - 1}, each once": len(set(blocks)) == len(blocks)
            and set(blocks) <= set(range(sum(self.depths))),
        }
        if broken := [rule for rule, kept in rules.items() if not kept]:
            raise PresetError.of(broken[0], f"{self}", "Change the configuration.")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.embed_dims * 2**stage for stage in range(len(self.depths)))

    def channels(self, modality: str) -> int:
        """Bands of a sensor."""
        return getattr(self, f"{modality}_channels")


def check_stride(stride: int) -> int:
    """The stride, if HR can end there.

    Raises:
        ParameterError: It cannot.
    """
    if stride not in MERGING or isinstance(stride, float):
        raise ParameterError.of("an HR stride among 32, 16, 8, 4", repr(stride), "Choose one of these.")
    return stride


class LayerScale(nn.Module):
    """A learned factor per channel at the end of a branch (Touvron et al. 2021, CaiT)."""

    def __init__(self, width: int, first: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((width,), first))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class GlobalBlock(TransformerLayer):
    """Pre-norm transformer block over all tokens of an image, each branch scaled before it is added."""

    def __init__(self, width: int, heads: int, ratio: float, drop: float, layer_scale: float) -> None:
        super().__init__(width, heads, ratio, drop)
        self.scale1, self.scale2 = LayerScale(width, layer_scale), LayerScale(width, layer_scale)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.scale1(self.attn["attn"](self.ln1(x))))
        return x + self.drop_path(self.scale2(self.ffn(self.ln2(x))))


class LocalStage(nn.Module):
    """Swin V2 blocks on a map of tokens."""

    def __init__(self, config: UnifiedConfig, stage: int, drops: list[float]) -> None:
        super().__init__()
        width = config.widths[stage]
        self.downsample = AdaptivePatchMerging(width // 2) if stage else None
        self.blocks = nn.ModuleList(
            SwinBlock(
                width,
                width // config.head_width,
                config.window_size,
                shift=config.window_size // 2 if index % 2 else 0,
                drop=drop,
                ratio=config.mlp_ratio,
            )
            for index, drop in enumerate(drops)
        )

    def forward(self, x: Tensor, prompts: None, recompute: bool) -> Tensor:
        """Maps B h w D to the same shape; these stages have no prompts."""
        for block in self.blocks:
            x = run_block(block, x, recompute=recompute)
        return x


class GlobalStage(nn.Module):
    """Global attention over the tokens of one image and its sensor's prompts, which leave after the last block."""

    def __init__(self, config: UnifiedConfig, stage: int, drops: list[float]) -> None:
        super().__init__()
        width = config.widths[stage]
        self.downsample = AdaptivePatchMerging(width // 2)
        self.positions = PositionTable(width, config.position_sides[stage - 2])
        heads = width // config.head_width
        self.blocks = nn.ModuleList(
            GlobalBlock(width, heads, config.mlp_ratio, drop, config.layer_scale) for drop in drops
        )

    def forward(self, x: Tensor, prompts: Tensor, recompute: bool) -> Tensor:
        grid = x.shape[1:3]
        tokens = self.positions(x).flatten(1, 2)  # B N D
        tokens = torch.cat((prompts.expand(len(x), -1, -1).to(tokens.dtype), tokens), dim=1)
        for block in self.blocks:
            tokens = run_block(block, tokens, recompute=recompute)
        return tokens[:, prompts.shape[1] :].unflatten(1, grid)


class UnifiedBackbone(nn.Module):
    """Encodes images of any of its sensors with the same blocks.

    HR halves its grid before stages 2, 3 and 4. The Sentinels keep theirs, through the same weights.

    Args:
        config: Sizes.
        modalities: Sensors to build tokenisers and prompts for.
        recompute: Recompute activations in the backward pass.

    Example:
        >>> config = UnifiedConfig(embed_dims=8, depths=(2, 2, 2, 2), head_width=4)
        >>> backbone = UnifiedBackbone(config)
        >>> [tuple(m.shape) for m in backbone(torch.rand(1, 3, 64, 64), "hr")]
        [(1, 8, 16, 16), (1, 16, 8, 8), (1, 32, 4, 4), (1, 64, 2, 2)]
        >>> [tuple(m.shape) for m in backbone(torch.rand(1, 2, 16, 16), "s1")]
        [(1, 8, 4, 4), (1, 16, 4, 4), (1, 32, 4, 4), (1, 64, 4, 4)]
    """

    def __init__(
        self, config: UnifiedConfig, modalities: tuple[str, ...] = ("hr", "s2", "s1"), recompute: bool = False
    ) -> None:
        super().__init__()
        self.config, self.recompute = config, recompute
        self.tokenisers = nn.ModuleDict(
            {name: PatchEmbed(config.channels(name), config.embed_dims, config.patch_size, True) for name in modalities}
        )
        drops = drop_path_rates(config.drop_path_rate, sum(config.depths))
        starts = [sum(config.depths[:stage]) for stage in range(len(config.depths))]
        kinds = (LocalStage, LocalStage, GlobalStage, GlobalStage)
        self.stages = nn.ModuleList(
            kind(config, stage, drops[start : start + depth])
            for stage, (kind, start, depth) in enumerate(zip(kinds, starts, config.depths, strict=True))
        )
        self.prompts = nn.ModuleDict(
            {
                name: nn.ParameterDict(
                    {str(stage): nn.Parameter(torch.empty(1, config.prompts, config.widths[stage])) for stage in (2, 3)}
                )
                for name in modalities
            }
        )
        self.norm = nn.LayerNorm(config.widths[-1])
        start_small(self)
        start_branches(self)
        for tokens in self.prompts.parameters():
            nn.init.trunc_normal_(tokens, std=0.02)
        for index in config.expert_blocks:
            block = self.block(index)
            block.ffn = Experts(block.ffn.layers[1].out_features, config.mlp_ratio, config.experts)

    def block(self, index: int) -> nn.Module:
        """A block by its number through all stages, from 0."""
        return [block for stage in self.stages for block in stage.blocks][index]

    def forward(self, image: Tensor, modality: str, stride: int = 32, prompted: bool = True) -> list[Tensor]:
        """Encodes images of any size.

        Args:
            image: B C H W, normalised.
            modality: Which sensor took them.
            stride: Output stride of the HR path, 32, 16, 8 or 4: finer maps from the same weights, at a price.
            prompted: Whether the sensor's prompt tokens take part, as they do in the paper.

        Returns:
            The map after each stage, B D h w, fine to coarse; those before the last normalised without parameters.

        Raises:
            ParameterError: Another stride, or a sensor the backbone was not built for.
        """
        check_stride(stride)
        if modality not in self.tokenisers:
            raise ParameterError.of(f"a sensor among {', '.join(self.tokenisers)}", repr(modality), "Build it with it.")
        merges = MERGING[stride] if modality == "hr" else (False, False, False)
        x, maps = self.tokenisers[modality](image), []
        for index, stage in enumerate(self.stages):
            x = stage.downsample(x, merges[index - 1]) if index else x
            x = stage(x, self.prompts_of(modality, index, prompted), self.recompute)
            last = index == len(self.stages) - 1
            out = self.norm(x) if last else F.layer_norm(x, x.shape[-1:])
            maps.append(out.permute(0, 3, 1, 2))
        return maps

    def prompts_of(self, modality: str, stage: int, prompted: bool) -> Tensor | None:
        """Prompt tokens of a sensor in a stage, 1 P D; stages 1 and 2 have none."""
        if stage < 2:
            return None
        tokens = self.prompts[modality][str(stage)]
        return tokens if prompted else tokens[:, :0]
