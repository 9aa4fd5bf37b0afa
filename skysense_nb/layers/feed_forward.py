"""The two-layer perceptron of a transformer block."""

from __future__ import annotations

from torch import Tensor, nn


class FeedForward(nn.Module):
    """Linear, GELU, Linear; the hidden layer is `ratio` times as wide."""

    def __init__(self, width: int, ratio: float = 4.0) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.layers = nn.Sequential(nn.Sequential(nn.Linear(width, hidden), nn.GELU()), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (… D) to tokens of the same shape."""
        return self.layers(x)
