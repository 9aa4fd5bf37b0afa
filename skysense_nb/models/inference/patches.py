"""From pixels to tokens and from four tokens to one, strip by strip, so that no unfolded image is ever whole."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from skysense_nb.layers import AdaptivePatchMerging, PatchEmbed, PatchMerging
from skysense_nb.layers.patches import pad_to_multiple
from skysense_nb.models.inference.linear import Maker


def new_stream(like: Tensor, tokens: int, width: int) -> Tensor:
    """Room for tokens, with a last row of zeros behind them, which padding reads."""
    stream = like.new_empty(tokens + 1, width)
    stream[-1].zero_()
    return stream


class Patches:
    """Squares of an image as tokens: the convolution is one product per strip of squares."""

    def __init__(self, embed: PatchEmbed, make: Maker) -> None:
        self.side, self.width = embed.patch, embed.projection.out_channels
        self.project = make.weight(embed.projection.weight.flatten(1), embed.projection.bias)
        self.norm = None if embed.norm is None else make.norm(embed.norm)
        self.dtype = make.dtype

    def __call__(self, images: Tensor, at_once: int) -> tuple[Tensor, tuple[int, int, int]]:
        """Tokens of B C H W, row by row, with a last row of zeros behind them; and their B h w."""
        images = pad_to_multiple(images.to(self.dtype), self.side)
        batch, rows, columns = len(images), *(length // self.side for length in images.shape[-2:])
        stream = new_stream(images, batch * rows * columns, self.width)
        squares = images.unflatten(3, (columns, self.side)).unflatten(2, (rows, self.side))
        squares = squares.permute(0, 2, 4, 1, 3, 5).flatten(0, 1)  # B·h w C side side, a view
        strip = max(1, at_once // columns)
        for first in range(0, batch * rows, strip):
            tokens = self.project(squares[first : first + strip].flatten(0, 1).flatten(1))
            stream[first * columns :][: len(tokens)] = tokens if self.norm is None else self.norm(tokens)
        return stream, (batch, rows, columns)


class Merging:
    """2 × 2 neighbours as one token of twice the width; with `merge=False`, every token by the averaged weights."""

    def __init__(self, merging: PatchMerging, make: Maker) -> None:
        weight = merging.reduction.weight.detach().unflatten(1, (-1, 4))  # 2C C 4
        self.post_norm, self.norm = merging.post_norm, make.norm(merging.norm)
        order = weight.transpose(1, 2) if self.post_norm else weight  # neighbours whole, one after another
        self.project = make.weight(order.flatten(1), None)
        if isinstance(merging, AdaptivePatchMerging):
            own, bias, eps = make.tensor(merging.norm.weight), make.tensor(merging.norm.bias), merging.norm.eps / 16
            self.average = make.weight(weight.mean(-1), None)
            self.kept_norm = lambda x: F.layer_norm(x, own.shape, own, bias, eps)

    def __call__(
        self, stream: Tensor, size: tuple[int, int, int], at_once: int, merge: bool = True
    ) -> tuple[Tensor, tuple[int, int, int]]:
        """The stream (B · h · w + 1 rows) of half the grid, with its last row of zeros; and its B h w."""
        return self.halve(stream, size, at_once) if merge else (self.keep(stream, at_once), size)

    def keep(self, stream: Tensor, at_once: int) -> Tensor:
        """Twice the width on the same grid."""
        last = len(stream) - 1
        out = new_stream(stream, last, 2 * stream.shape[1])
        for first in range(0, last, at_once):
            rows = slice(first, min(first + at_once, last))
            out[rows] = self.kept_norm(self.average(stream[rows]))
        return out

    def halve(self, stream: Tensor, size: tuple[int, int, int], at_once: int) -> tuple[Tensor, tuple[int, int, int]]:
        """Twice the width on half the grid."""
        batch, rows, columns = size
        half, wide = (rows + 1) // 2, (columns + 1) // 2
        maps = stream[:-1].view(batch, rows, columns, -1)
        out = new_stream(stream, batch * half * wide, 2 * stream.shape[1])
        strip = max(1, at_once // (4 * wide))
        for image in range(batch):
            for first in range(0, half, strip):
                some = maps[image, 2 * first : 2 * (first + strip)]
                some = F.pad(some, (0, 0, 0, columns % 2, 0, len(some) % 2))
                tokens = self.merged(some.view(len(some) // 2, 2, wide, 2, -1))
                out[(image * half + first) * wide :][: len(tokens)] = tokens
        return out, (batch, half, wide)

    def merged(self, squares: Tensor) -> Tensor:
        """Tokens h·w 2C of squares h 2 w 2 C."""
        if self.post_norm:
            return self.norm(self.project(squares.transpose(1, 2).flatten(2).flatten(0, 1)))
        return self.project(self.norm(squares.permute(0, 2, 4, 1, 3).flatten(2).flatten(0, 1)))
