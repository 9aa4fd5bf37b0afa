"""Transformer blocks over sets of tokens in their inference form: those of the ViTs, the fusion and SkySense V2."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers import Experts, FeedForward
from skysense_nb.layers.attention import attend
from skysense_nb.models.inference.linear import Maker
from skysense_nb.models.unified import GlobalBlock
from skysense_nb.models.vit import TransformerLayer


class TokenBlock:
    """A pre-norm transformer block; the scales of SkySense V2's branches are folded into their last products."""

    def __init__(self, block: TransformerLayer, make: Maker) -> None:
        attention = block.attn["attn"]
        scaled = isinstance(block, GlobalBlock)
        self.heads = attention.heads
        self.norm1, self.norm2 = make.norm(block.ln1), make.norm(block.ln2)
        self.qkv = make.weight(attention.in_proj_weight, attention.in_proj_bias)
        self.out = make.weight(*scaled_linear(attention.out_proj, block.scale1.factor if scaled else None))
        self.feed_forward = feed_forward(block.ffn, make, block.scale2.factor if scaled else None)

    def __call__(self, x: Tensor, bias: Tensor | None = None, first: bool = False) -> Tensor:
        """Tokens B N D after the block.

        Args:
            x: B N D; overwritten.
            bias: Added to what every token thinks of the keys, broadcast to B heads N N.
            first: Only the first token is wanted: B 1 D.
        """
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x[:, :1] if first else x
        q = q[:, :, :1] if first else q
        read = attend(q, k, v, bias)  # B heads N d
        x = x.add_(self.out(read.transpose(1, 2).flatten(2)))
        return x.add_(self.feed_forward(self.norm2(x)))


def scaled_linear(layer: nn.Linear, factor: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear layer, each output multiplied by its factor."""
    if factor is None:
        return layer.weight, layer.bias
    return layer.weight * factor[:, None], layer.bias * factor


class PreparedFeedForward:
    """Linear, GELU, Linear."""

    def __init__(self, dense: FeedForward, make: Maker, factor: Tensor | None) -> None:
        (up, _), down = dense.layers
        self.up, self.down = make.linear(up, gelu=True), make.weight(*scaled_linear(down, factor))

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(self.up(x))


class PreparedExperts:
    """A mixture of experts: tokens sorted by expert, each slice through its own two products."""

    def __init__(self, experts: Experts, make: Maker, factor: Tensor | None) -> None:
        self.gate = make.tensor(experts.gate.weight).float()
        scale = torch.ones_like(experts.down_bias[0]) if factor is None else factor
        stacks = (
            experts.up_weight,
            experts.up_bias,
            experts.down_weight * scale[:, None],
            experts.down_bias * scale,
        )
        self.layers = [
            (make.weight(up, up_bias, gelu=True), make.weight(down, down_bias))
            for up, up_bias, down, down_bias in zip(*stacks, strict=True)
        ]

    def __call__(self, x: Tensor) -> Tensor:
        tokens = x.flatten(0, -2)
        logits = F.linear(tokens.float(), self.gate)
        expert, order = logits.argmax(-1).sort(stable=True)
        slices = tokens[order].split(torch.bincount(expert, minlength=len(self.layers)).tolist())
        parts = [down(up(own)) for own, (up, down) in zip(slices, self.layers, strict=True) if len(own)]
        out = torch.empty_like(tokens).index_copy_(0, order, torch.cat(parts))
        value = logits.softmax(-1).amax(-1, keepdim=True)
        return out.mul_(value.to(out.dtype)).view(x.shape)


class GroupedExperts:
    """The mixture as the module has it, whose grouped products are made for GPUs."""

    def __init__(self, experts: Experts, make: Maker, factor: Tensor | None) -> None:
        self.experts = copy.deepcopy(experts).to(make.device, make.dtype).requires_grad_(False)
        self.factor = None if factor is None else make.tensor(factor)

    def __call__(self, x: Tensor) -> Tensor:
        out = self.experts(x)
        return out if self.factor is None else out.mul_(self.factor)


Prepared = PreparedFeedForward | PreparedExperts | GroupedExperts


def feed_forward(layer: nn.Module, make: Maker, factor: Tensor | None = None) -> Prepared:
    """The feed-forward of a block, or the experts in its place; `factor` multiplies each output channel."""
    if not isinstance(layer, Experts):
        return PreparedFeedForward(layer, make, factor)
    return (GroupedExperts if make.on_gpu else PreparedExperts)(layer, make, factor)
