"""Features of a coarse grid brought to a finer grid and another width."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelShuffleLift(nn.Module):
    """A 1 × 1 convolution to `out_width · scale²` channels, rearranged into `scale` × `scale` pixels.

    Starts as nearest-neighbour upsampling: all pixels of a block share their first weights, so that no random
    checkerboard covers the features (Aitken et al. 2017, arXiv 1707.02937).
    """

    def __init__(self, in_width: int, out_width: int, scale: int) -> None:
        super().__init__()
        self.decoder = nn.Sequential(nn.Conv2d(in_width, out_width * scale**2, kernel_size=1), nn.PixelShuffle(scale))
        with torch.no_grad():
            for values in self.decoder[0].parameters():
                values.copy_(values[:: scale**2].repeat_interleave(scale**2, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Maps B C h w to B D h·scale w·scale."""
        return self.decoder(x)
