"""From pixels to tokens, and from four tokens to one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Zero-pads B C H W at the bottom and right until both sides divide by `multiple`."""
    height, width = ((side + multiple - 1) // multiple * multiple for side in x.shape[-2:])
    return F.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))


class PatchEmbed(nn.Module):
    """Cuts an image into `patch` × `patch` squares and projects each to a token.

    Images of any size are accepted: the last row and column of patches are filled with zeros,
    as the published encoders do.
    """

    def __init__(self, channels: int, width: int, patch: int = 4, norm: bool = False) -> None:
        super().__init__()
        self.patch = patch
        self.projection = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(width) if norm else None

    def forward(self, image: Tensor) -> Tensor:
        """Maps B C H W to a grid of tokens B h w D with h = ⌈H / patch⌉."""
        x = self.projection(pad_to_multiple(image, self.patch)).permute(0, 2, 3, 1)  # B h w D
        return x if self.norm is None else self.norm(x)


class PatchMerging(nn.Module):
    """Halves the grid: concatenates 2 × 2 neighbours and projects 4C to 2C (Swin Transformer, §3.1).

    Neighbours are concatenated channel by channel (all four positions of channel 0, then of channel 1, …),
    the order in which the published weights were trained. `post_norm` normalises after the projection,
    as Swin V2 and the published weights do.
    """

    def __init__(self, width: int, post_norm: bool = True) -> None:
        super().__init__()
        self.post_norm = post_norm
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(2 * width if post_norm else 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps B H W C to B ⌈H/2⌉ ⌈W/2⌉ 2C."""
        batch, height, width, channels = x.shape
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.view(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
        x = x.permute(0, 1, 3, 5, 2, 4).flatten(3)  # B h w 4C, position fastest
        return self.norm(self.reduction(x)) if self.post_norm else self.reduction(self.norm(x))


class AdaptivePatchMerging(PatchMerging):
    """Patch merging whose weights also serve sensors that must keep their grid (SkySense V2, ICCV 2025).

    Keeping the grid means projecting every token with the projection averaged over the four positions: no second
    set of weights. The papers say no more; how the norm fits is our reading. The average gives a quarter of what
    merging four equal tokens gives, so the norm's epsilon shrinks by sixteen, and on a map that is constant over
    each 2 × 2 block both paths give the same tokens.

    Example:
        >>> import torch
        >>> merging, x = AdaptivePatchMerging(8), torch.rand(1, 6, 6, 8)
        >>> merging(x, merge=True).shape, merging(x, merge=False).shape
        (torch.Size([1, 3, 3, 16]), torch.Size([1, 6, 6, 16]))
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, post_norm=True)

    def forward(self, x: Tensor, merge: bool = True) -> Tensor:
        """Maps B H W C to B ⌈H/2⌉ ⌈W/2⌉ 2C if `merge`, else to B H W 2C."""
        if merge:
            return super().forward(x)
        weight = self.reduction.weight.unflatten(1, (-1, 4)).mean(-1)  # 2C C
        x = F.linear(x, weight)
        return F.layer_norm(x, x.shape[-1:], self.norm.weight, self.norm.bias, self.norm.eps / 16)
