"""The encoders of SkySense in their inference form: the same maps of the same weights, in less time and memory."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.layers.positions import resize_positions
from skysense_nb.models.inference.linear import Maker
from skysense_nb.models.inference.patches import Merging, Patches
from skysense_nb.models.inference.tokens import TokenBlock
from skysense_nb.models.inference.windows import WindowBlock
from skysense_nb.models.swin import SwinEncoder
from skysense_nb.models.unified import MERGING, UnifiedBackbone
from skysense_nb.models.vit import ViTEncoder


def as_map(tokens: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Rows of tokens (B·h·w D) as B D h w."""
    return tokens.view(*size, -1).permute(0, 3, 1, 2)


def unlearned_norm(x: Tensor) -> Tensor:
    """A layer norm without parameters over the last axis."""
    return F.layer_norm(x, x.shape[-1:])


class SwinInference:
    """The HR encoder.

    Args:
        encoder: Whose weights are copied.
        make: How products are prepared.
        tokens_at_once: Tokens that are between two rows of the stream at a time, which bounds memory.
    """

    def __init__(self, encoder: SwinEncoder, make: Maker, tokens_at_once: int | None = None) -> None:
        self.patches = Patches(encoder.patch_embed, make)
        self.downs = [None if stage.downsample is None else Merging(stage.downsample, make) for stage in encoder.stages]
        self.blocks = [[WindowBlock(block, make) for block in stage.blocks] for stage in encoder.stages]
        self.norms = [
            make.norm(encoder.get_submodule(f"norm{stage}")) if stage in encoder.config.out_indices else unlearned_norm
            for stage in range(len(encoder.stages))
        ]
        self.at_once = [make.tokens_at_once(width, tokens_at_once) for width in encoder.config.widths]

    @torch.no_grad()
    def __call__(self, images: Tensor, every: bool = True) -> list[Tensor]:
        """One map per stage, B D h w, of images B C H W; only the last without `every`."""
        stream, size = self.patches(images, self.at_once[0])
        maps = []
        for stage, (down, blocks) in enumerate(zip(self.downs, self.blocks, strict=True)):
            if down is not None:
                stream, size = down(stream, size, self.at_once[stage])
            for block in blocks:
                block(stream, size, self.at_once[stage])
            if every or stage == len(self.blocks) - 1:
                maps.append(as_map(self.norms[stage](stream[:-1]), size))
        return maps


class ViTInference:
    """A Sentinel encoder; dates go through all layers together, as many as have `tokens_at_once` tokens."""

    def __init__(self, encoder: ViTEncoder, make: Maker, tokens_at_once: int | None = None) -> None:
        self.config, self.patches = encoder.config, Patches(encoder.patch_embed, make)
        self.cls_token, self.pos_embed = make.tensor(encoder.cls_token), make.tensor(encoder.pos_embed)
        self.blocks = [TokenBlock(layer, make) for layer in encoder.layers]
        self.last_norm = make.norm(encoder.ln1) if encoder.config.final_norm else None
        self.at_once = make.tokens_at_once(encoder.config.embed_dims, tokens_at_once)
        self.positions = kept_positions(self.pos_embed[:, 1:], encoder.config.interpolate_mode)

    @torch.no_grad()
    def __call__(self, images: Tensor, every: bool = True) -> list[Tensor]:
        """Maps B D h w after the layers `out_indices` of images B C H W; only the last without `every`."""
        stream, (batch, rows, columns) = self.patches(images, self.at_once)
        patches, first = stream[:-1].view(batch, rows * columns, -1), int(self.config.with_cls_token)
        wanted = sorted(set(self.config.out_indices))
        wanted = wanted if every else wanted[-1:]
        maps = [torch.empty_like(patches) for _ in wanted]
        place = self.positions(rows, columns)
        some = max(1, self.at_once // (rows * columns + first))
        for begin in range(0, batch, some):
            x = patches[begin : begin + some] + place
            if first:
                extra = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
                x = torch.cat((extra, x), dim=1)
            for index, block in enumerate(self.blocks[: wanted[-1] + 1]):
                x = block(x)
                if self.last_norm is not None and index == len(self.blocks) - 1:
                    x = self.last_norm(x)
                if index in wanted:
                    maps[wanted.index(index)][begin : begin + some] = x[:, first:]
        return [as_map(one.flatten(0, 1), (batch, rows, columns)) for one in maps]


def kept_positions(table: Tensor, mode: str = "bicubic") -> Callable[[int, int], Tensor]:
    """A function that resizes a table of positions to a grid, and keeps what it made: CUDA graphs hold its address."""
    kept: dict[tuple[int, int], Tensor] = {}

    def positions(rows: int, columns: int) -> Tensor:
        if (rows, columns) not in kept:
            kept[rows, columns] = resize_positions(table, rows, columns, mode)
        return kept[rows, columns]

    return positions


class UnifiedInference:
    """The backbone of SkySense V2."""

    def __init__(self, backbone: UnifiedBackbone, make: Maker, tokens_at_once: int | None = None) -> None:
        self.patches = {name: Patches(part, make) for name, part in backbone.tokenisers.items()}
        self.downs = [Merging(stage.downsample, make) for stage in list(backbone.stages)[1:]]
        self.local = [[WindowBlock(block, make) for block in stage.blocks] for stage in list(backbone.stages)[:2]]
        self.broad = [[TokenBlock(block, make) for block in stage.blocks] for stage in list(backbone.stages)[2:]]
        self.positions = [kept_positions(make.tensor(stage.positions.table)) for stage in list(backbone.stages)[2:]]
        self.prompts = {
            name: [make.tensor(tokens[str(stage)]) for stage in (2, 3)] for name, tokens in backbone.prompts.items()
        }
        self.norm = make.norm(backbone.norm)
        self.at_once = [make.tokens_at_once(width, tokens_at_once) for width in backbone.config.widths]

    @torch.no_grad()
    def __call__(self, images: Tensor, name: str, stride: int = 32, every: bool = True) -> list[Tensor]:
        """The map after each stage, B D h w, of images of a sensor; only the last without `every`."""
        merges = MERGING[stride] if name == "hr" else (False, False, False)
        stream, size = self.patches[name](images, self.at_once[0])
        maps = []
        for stage in range(4):
            if stage:
                stream, size = self.downs[stage - 1](stream, size, self.at_once[stage], merges[stage - 1])
            if stage < 2:
                for block in self.local[stage]:
                    block(stream, size, self.at_once[stage])
            else:
                self.attend_broadly(stream, size, name, stage)
            last = stage == 3
            if every or last:
                maps.append(as_map((self.norm if last else unlearned_norm)(stream[:-1]), size))
        return maps

    def attend_broadly(self, stream: Tensor, size: tuple[int, int, int], name: str, stage: int) -> None:
        """Runs a stage with global attention on the stream, some images at a time."""
        batch, rows, columns = size
        maps, prompts = stream[:-1].view(batch, rows * columns, -1), self.prompts[name][stage - 2]
        place = self.positions[stage - 2](rows, columns)
        some = max(1, self.at_once[stage] // (rows * columns))
        for begin in range(0, batch, some):
            x = maps[begin : begin + some] + place
            x = torch.cat((prompts.expand(len(x), -1, -1), x), dim=1)
            for block in self.broad[stage - 2]:
                x = block(x)
            maps[begin : begin + some] = x[:, prompts.shape[1] :]
