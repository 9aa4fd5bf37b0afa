"""The high-resolution encoder of SkySense v1: Swin Transformer V2 (Liu et al. 2022; SkySense uses the huge size).

Differs from Swin V2 as published there in one point, kept from the released SkySense weights: an extra
layer norm after every few blocks of a stage. Stochastic depth acts after the norm of each branch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers import (
    DropPath,
    FeedForward,
    PatchEmbed,
    PatchMerging,
    ShiftedWindowAttention,
    drop_path_rates,
    run_block,
    start_small,
)


@dataclass(frozen=True)
class SwinConfig:
    """Sizes of a Swin V2 encoder; field names follow the published configuration.

    `out_indices` are the stages with a learned output norm: the released weights have it for the last one only.
    """

    embed_dims: int = 352
    depths: tuple[int, ...] = (2, 2, 18, 2)
    num_heads: tuple[int, ...] = (8, 16, 32, 64)
    extra_norm_every_n_blocks: int = 6
    window_size: int = 8
    patch_size: int = 4
    in_channels: int = 3
    out_indices: tuple[int, ...] = (3,)
    pad_small_map: bool = True
    post_norm_downsample: bool = True
    drop_path_rate: float = 0.2

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage."""
        return tuple(self.embed_dims * 2**stage for stage in range(len(self.depths)))


class SwinBlock(nn.Module):
    """Window attention and feed-forward, each normalised before it is added (residual post-norm)."""

    def __init__(
        self,
        width: int,
        heads: int,
        window: int,
        shift: int,
        drop: float,
        extra_norm: bool = False,
        pad_small_map: bool = True,
        ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.attn = ShiftedWindowAttention(width, heads, window, shift, pad_small_map)
        self.norm1 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, ratio)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width) if extra_norm else None
        self.drop_path = DropPath(drop)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.norm1(self.attn(x)))
        x = x + self.drop_path(self.norm2(self.ffn(x)))
        return x if self.norm3 is None else self.norm3(x)


def start_branches(module: nn.Module, gain: float = 0.0) -> None:
    """Lets every branch of the Swin blocks inside start with a gain: zero in Swin V2, a block is then the identity."""
    for block in module.modules():
        if isinstance(block, SwinBlock):
            nn.init.constant_(block.norm1.weight, gain)
            nn.init.constant_(block.norm2.weight, gain)


class SwinStage(nn.Module):
    """Halves the grid (all stages but the first), then runs its blocks on it."""

    def __init__(self, config: SwinConfig, stage: int, drops: list[float]) -> None:
        super().__init__()
        width, every = config.widths[stage], config.extra_norm_every_n_blocks
        self.downsample = PatchMerging(width // 2, config.post_norm_downsample) if stage else None
        self.blocks = nn.ModuleList(
            SwinBlock(
                width,
                config.num_heads[stage],
                config.window_size,
                shift=config.window_size // 2 if index % 2 else 0,
                drop=drop,
                extra_norm=bool(every) and (index + 1) % every == 0,
                pad_small_map=config.pad_small_map,
            )
            for index, drop in enumerate(drops)
        )

    def forward(self, x: Tensor, recompute: bool) -> Tensor:
        x = x if self.downsample is None else self.downsample(x)
        for block in self.blocks:
            x = run_block(block, x, recompute=recompute)
        return x


class SwinEncoder(nn.Module):
    """Swin V2 with one normalised output per stage.

    Stages without a learned output norm are normalised without parameters, which is where a fine-tuning run that
    adds the norm starts.

    Example:
        >>> import torch
        >>> encoder = SwinEncoder(SwinConfig(embed_dims=8, num_heads=(1, 2, 4, 8), depths=(2, 2, 2, 2)))
        >>> maps = encoder(torch.rand(1, 3, 64, 64))
        >>> [tuple(m.shape[1:]) for m in maps]
        [(8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)]
    """

    def __init__(self, config: SwinConfig, recompute: bool = False) -> None:
        super().__init__()
        self.config, self.recompute = config, recompute
        self.patch_embed = PatchEmbed(config.in_channels, config.embed_dims, config.patch_size, norm=True)
        drops = drop_path_rates(config.drop_path_rate, sum(config.depths))
        starts = [sum(config.depths[:stage]) for stage in range(len(config.depths))]
        self.stages = nn.ModuleList(
            SwinStage(config, stage, drops[start : start + depth])
            for stage, (start, depth) in enumerate(zip(starts, config.depths, strict=True))
        )
        for stage in config.out_indices:
            self.add_module(f"norm{stage}", nn.LayerNorm(config.widths[stage]))
        start_small(self)
        start_branches(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encodes images of any size.

        Args:
            image: B C H W, normalised.

        Returns:
            One map per stage, B C·2ˢ ⌈H / 2ˢ⁺²⌉ ⌈W / 2ˢ⁺²⌉, fine to coarse.
        """
        x, maps = self.patch_embed(image), []
        for index, stage in enumerate(self.stages):
            x = stage(x, self.recompute)
            learned = index in self.config.out_indices
            out = self.get_submodule(f"norm{index}")(x) if learned else F.layer_norm(x, x.shape[-1:])
            maps.append(out.permute(0, 3, 1, 2))
        return maps
