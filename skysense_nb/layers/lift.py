"""Features of a coarse grid brought to a finer grid and another width."""

from __future__ import annotations

from torch import Tensor, nn


class PixelShuffleLift(nn.Module):
    """A 1 × 1 convolution to `out_width · scale²` channels, rearranged into `scale` × `scale` pixels."""

    def __init__(self, in_width: int, out_width: int, scale: int) -> None:
        super().__init__()
        self.decoder = nn.Sequential(nn.Conv2d(in_width, out_width * scale**2, kernel_size=1), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Maps B C h w to B D h·scale w·scale."""
        return self.decoder(x)
