"""The fusion transformer in its inference form, and the heads in front of it folded into one product each.

Between a Sentinel encoder and the fusion lie a 1 × 1 convolution, a pixel shuffle, the date encoding and the fusion's
input projection, with nothing non-linear among them: one linear layer and one table of dates do the same, and the
wide map between them never exists.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from skysense_nb.layers.autocast import full_precision
from skysense_nb.models.fusion import FusionTransformer
from skysense_nb.models.inference.linear import Maker
from skysense_nb.models.inference.tokens import TokenBlock

VECTORS_HELD = 11
"""What the layers hold of one token at the most, in vectors of its width (counted); the result holds one per cell."""


class FusionInference:
    """Some cells at a time through all layers, so that memory does not grow with the map."""

    def __init__(self, fusion: FusionTransformer, make: Maker, tokens_at_once: int | None = None) -> None:
        config = fusion.config
        self.width, self.dtype, self.device = config.embed_dims, make.dtype, make.device
        self.project = make.linear(fusion.porj_linear)
        self.extra = make.tensor(fusion.cls_token) if config.with_cls_token else None
        self.first = config.with_cls_token and config.output_cls_token
        self.blocks = [TokenBlock(layer, make) for layer in fusion.layers]
        self.tokens_at_once = 2 * make.tokens_at_once(config.embed_dims, tokens_at_once)

    def cells_at_once(self, cells: int, dates: int) -> int:
        """How many of all cells go through the layers together: fewer where the result of all takes room, too."""
        tokens = max(self.tokens_at_once // 2, self.tokens_at_once - cells // VECTORS_HELD)
        return max(1, tokens // (dates + 1))

    @torch.no_grad()
    def __call__(self, tokens: Tensor, valid: Tensor | None = None) -> Tensor:
        """What `FusionTransformer` makes of tokens N T C, of which `valid` (N T) may be read."""
        with full_precision(tokens.device):
            return self.in_parts(tokens, valid)

    def in_parts(self, tokens: Tensor, valid: Tensor | None) -> Tensor:
        """See `__call__`."""
        count, dates = tokens.shape[:2]
        some, fused = self.cells_at_once(count, dates), self.room(count, *(() if self.first else (dates,)))
        for first in range(0, len(tokens), some):
            allowed = None if valid is None else valid[first : first + some, None, None]
            if allowed is not None and self.extra is not None:
                allowed = torch.cat((torch.ones_like(allowed[..., :1]), allowed), dim=-1)
            fused[first : first + some] = self.read_out(self.project(tokens[first : first + some]), allowed)
        return fused

    def room(self, *sizes: int) -> Tensor:
        """Where results go, taken before anything else, so that it does not lie amid what is freed again: … D."""
        return torch.empty(*sizes, self.width, dtype=self.dtype, device=self.device)

    def read_out(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """The fused vectors (n D) of projected tokens (n T D), or all tokens where the model reads these out."""
        if self.extra is not None:
            x = torch.cat((self.extra.expand(len(x), -1, -1), x), dim=1)
        for number, block in enumerate(self.blocks, 1):
            x = block(x, bias, self.first and number == len(self.blocks))
        if self.first:
            return x[:, 0]
        return x if self.extra is None else x[:, 1:]


class FoldedHead:
    """From a sensor's deepest map straight to what the fusion's layers read.

    Args:
        head: The convolution behind the encoder, None if there is none.
        side: Ground cells a side that it makes of one token.
        project: The fusion's input projection.
        dates: Vectors of the days of a year (1 365 C), None if this sensor's dates are not told.
        make: How products are prepared.
    """

    def __init__(self, head: nn.Conv2d | None, side: int, project: nn.Linear, dates: Tensor | None, make: Maker):
        self.side, self.width = side, project.out_features
        weight, bias = project.weight.detach(), project.bias.detach()
        self.dates = None if dates is None else make.tensor(dates.detach()[0] @ weight.T)
        if head is not None:
            bias = (weight @ head.bias.detach().unflatten(0, (-1, side**2))).T + bias  # side² D
            wide = weight @ head.weight.detach().view(weight.shape[1], -1)
            weight = wide.view(self.width, side**2, -1).transpose(0, 1).flatten(0, 1)  # side² D, C
        self.product = make.weight(weight, bias.flatten())

    def __call__(self, tokens: Tensor, days: Tensor | None) -> Tensor:
        """Cells n · side² T D of the map's tokens (n T C), their days n T."""
        cells = self.product(tokens).unflatten(-1, (self.side**2, self.width))  # n T side² D
        if self.dates is not None:
            cells += self.dates[days.long().clamp(0, len(self.dates) - 1)][:, :, None]
        return cells.transpose(1, 2).flatten(0, 1)


def cells_of_blocks(rows: int, columns: int, side: int, device: torch.device) -> Tensor:
    """Numbers of the cells in each `side` × `side` block of a map, block by block, −1 beyond its edge: n side²."""
    high, wide = -(-rows // side), -(-columns // side)
    numbers = torch.full((high * side, wide * side), -1)
    numbers[:rows, :columns] = torch.arange(rows * columns).view(rows, columns)
    return numbers.view(high, side, wide, side).transpose(1, 2).reshape(-1, side**2).to(device)


def fuse_maps(
    fusion: FusionInference,
    heads: dict[str, FoldedHead],
    maps: dict[str, Tensor],
    days: dict[str, Tensor],
    grid: tuple[int, int],
    bias: Tensor | None,
) -> Tensor:
    """The fused map of samples that have equally many dates, G D h w.

    Args:
        fusion: The transformer.
        heads: Of the sensors.
        maps: Deepest map of each sensor, G T C h w; a Sentinel's in tokens, of which each covers `side`² cells.
        days: Of each sensor whose dates are told, G T.
        grid: Cells of the map, rows and columns.
        bias: Per date what its copies count, broadcast to n heads 1+T 1+T; or None.
    """
    samples, side = len(next(iter(maps.values()))), max(heads[name].side for name in maps)
    device = next(iter(maps.values())).device
    blocks = cells_of_blocks(*grid, side, device)
    fused = fusion.room(samples, grid[0] * grid[1])
    dates = sum(part.shape[1] for part in maps.values())
    for which, cells in chunks(samples, blocks, fusion.cells_at_once(samples * blocks.numel(), dates)):
        sample, block = which.div(len(blocks), rounding_mode="floor"), which % len(blocks)
        real, tokens = cells >= 0, []
        for name, part in maps.items():
            flat, told = part.flatten(3), days.get(name)
            if heads[name].side == side:
                found = heads[name](flat[sample, :, :, block], None if told is None else told[sample])
                tokens.append(found[real])
            else:
                own = sample.repeat_interleave(side**2)[real]
                tokens.append(heads[name](flat[own, :, :, cells[real]], None if told is None else told[own]))
        out = fusion.read_out(torch.cat(tokens, dim=1), bias)
        fused[sample.repeat_interleave(side**2)[real], cells[real]] = out
    return fused.transpose(1, 2).unflatten(2, grid)


def chunks(samples: int, blocks: Tensor, cells_at_once: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of all samples in turn, some at a time: their numbers (n), and their cells (n · side²)."""
    count, some = len(blocks), max(1, cells_at_once // blocks.shape[1])
    for first in range(0, samples * count, some):
        which = torch.arange(first, min(first + some, samples * count), device=blocks.device)
        yield which, blocks[which % count].flatten()
