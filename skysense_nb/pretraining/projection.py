"""The head that turns features into scores of prototypes, which student and teacher compare."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers import start_small
from skysense_nb.layers.autocast import full_precision


class ProjectionHead(nn.Module):
    """DINO's projection head: three linear layers, a bottleneck on the unit sphere, cosines with K prototypes.

    DINO (Caron et al. 2021, §3.1 and appendix C), which weight-normalises its last layer with the norms fixed at one.
    Here the prototypes are divided by their norm in every forward pass: the same function with one plain parameter,
    so that averages of weights and checkpoints need no special case. SkySense names neither the layers nor their
    widths (its parameter table has room for DINO's 2048, 256 and 65,536).

    Args:
        width: Of the features, D.
        hidden: Of the two hidden layers.
        bottleneck: Of the unit sphere.
        prototypes: K.

    Example:
        >>> ProjectionHead(24, hidden=32, bottleneck=8, prototypes=10)(torch.rand(2, 5, 24)).shape
        torch.Size([2, 5, 10])
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck))
        nn.init.normal_(self.prototypes)
        start_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """Cosines with the prototypes, … K fp32 in −1…1, of features (… D)."""
        direction = F.normalize(self.layers(x).float(), dim=-1)
        with full_precision(x.device):  # a cosine in bf16, divided by a temperature of 0.04, would be off by 0.1
            return F.linear(direction, F.normalize(self.prototypes.float(), dim=-1))
