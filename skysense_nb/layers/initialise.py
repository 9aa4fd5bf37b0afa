"""First weights of a network that nobody has trained yet."""

from __future__ import annotations

from torch import nn

from skysense_nb.layers.attention import Attention


def start_small(module: nn.Module) -> None:
    """Draws linear layers from N(0, 0.02²) cut at two sigma and clears their biases, as ViT and Swin do.

    Small first weights keep every block close to the identity, so that untrained features stay local.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, Attention):
            nn.init.trunc_normal_(part.in_proj_weight, std=0.02)
