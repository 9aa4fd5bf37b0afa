"""The Sentinel encoders of SkySense v1: a plain vision transformer with small patches (ViT-L/4 at paper size)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skysense_nb.layers import (
    Attention,
    DropPath,
    FeedForward,
    PatchEmbed,
    drop_path_rates,
    resize_positions,
    run_block,
    start_small,
)


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of a ViT encoder; field names follow the published configuration."""

    in_channels: int = 10
    embed_dims: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    mlp_ratio: float = 4.0
    img_size: int = 64
    patch_size: int = 4
    out_indices: tuple[int, ...] = (5, 11, 17, 23)
    final_norm: bool = False
    with_cls_token: bool = True
    interpolate_mode: str = "bicubic"
    drop_path_rate: float = 0.3


class TransformerLayer(nn.Module):
    """Pre-norm transformer block (Dosovitskiy et al. 2021); also the block of the fusion transformer."""

    def __init__(self, width: int, heads: int, ratio: float, drop: float = 0.0) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attn = nn.ModuleDict({"attn": Attention(width, heads)})
        self.ln2 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, ratio)
        self.drop_path = DropPath(drop)

    def forward(self, x: Tensor, valid: Tensor | None = None, first: bool = False) -> Tensor:
        """Tokens B N D after the block; with `first` the first alone, B 1 D, which still reads them all."""
        read = self.attn["attn"](self.ln1(x), valid, first)
        x = (x[:, :1] if first else x) + self.drop_path(read)
        return x + self.drop_path(self.ffn(self.ln2(x)))


class ViTEncoder(nn.Module):
    """ViT over the pixels of one date.

    The position table is resized to the grid at hand. (The published code leaves it as it is when the grid has
    as many cells as the table but another shape; here it is resized then, too.)

    Example:
        >>> config = ViTConfig(in_channels=2, embed_dims=24, num_layers=2, num_heads=3, out_indices=(0, 1))
        >>> [tuple(m.shape) for m in ViTEncoder(config)(torch.rand(1, 2, 16, 20))]
        [(1, 24, 4, 5), (1, 24, 4, 5)]
    """

    def __init__(self, config: ViTConfig, recompute: bool = False) -> None:
        super().__init__()
        self.config, self.recompute = config, recompute
        width, side = config.embed_dims, config.img_size // config.patch_size
        self.patch_embed = PatchEmbed(config.in_channels, width, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + side**2, width))
        drops = drop_path_rates(config.drop_path_rate, config.num_layers)
        self.layers = nn.ModuleList(TransformerLayer(width, config.num_heads, config.mlp_ratio, drop) for drop in drops)
        if config.final_norm:
            self.ln1 = nn.LayerNorm(width)
        start_small(self)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def positions(self, rows: int, columns: int) -> Tensor:
        """Position vectors of the class token and a `rows` × `columns` grid: 1, 1 + N, D."""
        grid = resize_positions(self.pos_embed[:, 1:], rows, columns, self.config.interpolate_mode)
        return torch.cat((self.pos_embed[:, :1], grid), dim=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encodes images of any size.

        Args:
            image: B C H W, normalised.

        Returns:
            Maps B D ⌈H/4⌉ ⌈W/4⌉ after the layers `out_indices`, shallow to deep.
        """
        x = self.patch_embed(image)
        batch, rows, columns, width = x.shape
        first = int(self.config.with_cls_token)
        x = torch.cat((self.cls_token.expand(batch, -1, -1).to(x.dtype), x.flatten(1, 2)), dim=1)
        x = (x + self.positions(rows, columns))[:, 1 - first :]
        maps = []
        for index, layer in enumerate(self.layers):
            x = run_block(layer, x, recompute=self.recompute)
            if self.config.final_norm and index == len(self.layers) - 1:
                x = self.ln1(x)
            if index in self.config.out_indices:
                maps.append(x[:, first:].transpose(1, 2).reshape(batch, width, rows, columns))
        return maps
