"""The multi-modal temporal fusion transformer: every sensor and date of one ground cell becomes one vector.

SkySense (CVPR 2024). One extra token is prepended and read out. The dates carry no order beyond their
date encoding, so the result does not depend on the order of the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skysense_nb.layers import run_block, start_small
from skysense_nb.models.vit import TransformerLayer


@dataclass(frozen=True)
class FusionConfig:
    """Sizes of the fusion transformer; field names follow the published configuration."""

    input_dims: int = 2816
    embed_dims: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    mlp_ratio: float = 4.0
    with_cls_token: bool = True
    output_cls_token: bool = True


class FusionTransformer(nn.Module):
    """Projects tokens to its width, prepends the extra token, and reads it out after all layers.

    Example:
        >>> fusion = FusionTransformer(FusionConfig(input_dims=20, embed_dims=24, num_layers=2, num_heads=3))
        >>> fusion(torch.rand(6, 5, 20)).shape
        torch.Size([6, 24])
    """

    def __init__(self, config: FusionConfig, recompute: bool = False) -> None:
        super().__init__()
        self.config, self.recompute = config, recompute
        self.porj_linear = nn.Linear(config.input_dims, config.embed_dims)  # spelled as in the published files
        if config.with_cls_token:
            self.cls_token = nn.Parameter(torch.empty(1, 1, config.embed_dims))
            nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.layers = nn.ModuleList(
            TransformerLayer(config.embed_dims, config.num_heads, config.mlp_ratio) for _ in range(config.num_layers)
        )
        start_small(self)

    def forward(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """Fuses the tokens of each cell.

        Args:
            tokens: N T C, one row per ground cell.
            valid: N T bool, False for dates that must change nothing.

        Returns:
            N D, or N T D when the configuration reads out the tokens instead of the extra one.
        """
        x, valid = self.prepend(tokens, valid)
        first = self.config.with_cls_token and self.config.output_cls_token
        for number, layer in enumerate(self.layers, 1):  # of the last block nothing but the extra token is needed
            x = run_block(layer, x, valid, first and number == len(self.layers), recompute=self.recompute)
        if first:
            return x[:, 0]
        return x[:, 1:] if self.config.with_cls_token else x

    def prepend(self, tokens: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Projected tokens with the extra token in front, N 1+T D, and the matching validity."""
        x = self.porj_linear(tokens)
        if not self.config.with_cls_token:
            return x, valid
        x = torch.cat((self.cls_token.expand(len(x), -1, -1).to(x.dtype), x), dim=1)
        return x, None if valid is None else torch.cat((valid.new_ones(len(x), 1), valid), dim=1)

    def attention(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """What the extra token reads in each layer: N L T, mean over heads; the rest to one is itself."""
        x, valid = self.prepend(tokens, valid)
        read = []
        for layer in self.layers:
            read.append(layer.attn["attn"].weights_of_first(layer.ln1(x), valid)[:, 1:])
            x = layer(x, valid)
        return torch.stack(read, dim=1)
