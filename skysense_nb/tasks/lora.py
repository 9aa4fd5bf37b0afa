"""Low-rank adapters: fine-tuning that leaves the weights as they are and learns a small change beside them.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022. SkySense itself is not fine-tuned so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, register_parametrization

from skysense_nb.errors import ParameterError
from skysense_nb.layers.attention import Attention
from skysense_nb.layers.autocast import full_precision
from skysense_nb.layers.window_attention import WindowAttention
from skysense_nb.models.multimodal import MultiModalModel

PARTS = ("q", "k", "v")
"""Parts of the joint weight of queries, keys and values, in its order."""

ORIGINAL = re.compile(r"(?:(.+)\.)?parametrizations\.(\w+)\.original")
ADAPTER = re.compile(r"(?:.+\.)?parametrizations\.\w+\.\d+\.(?:up|down)")


class LowRank(nn.Module):
    """Adds (alpha / rank) · B A to a weight, eq. 3 of the paper; B starts at zero, so nothing changes at first.

    A joint weight, as of queries, keys and values, has an A and a B for each part that is adapted. They are fp32 even
    beside weights of lower precision, whose steps would be too coarse for small updates.

    Args:
        weight: What is adapted, out in.
        parts: Which blocks of rows, from 0.
        of: How many blocks the rows hold.
        rank: Of the change.
        alpha: Strength of the change; the paper keeps it at the first rank it tries.

    Example:
        >>> weight = torch.rand(6, 4)
        >>> torch.equal(LowRank(weight, parts=(0, 2), of=3, rank=2, alpha=4.0)(weight), weight)
        True
    """

    def __init__(self, weight: Tensor, parts: tuple[int, ...], of: int, rank: int, alpha: float) -> None:
        super().__init__()
        rows, width, device = weight.shape[0] // of, weight.shape[1], weight.device
        self.of, self.scale = of, alpha / rank
        self.register_buffer("parts", torch.tensor(parts, device=device), persistent=False)
        self.down = nn.Parameter(torch.empty(len(parts), rank, width, device=device))
        self.up = nn.Parameter(torch.zeros(len(parts), rows, rank, device=device))
        nn.init.uniform_(self.down, -1 / math.sqrt(width), 1 / math.sqrt(width))  # as the authors' code draws it

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its change, out in."""
        with full_precision(weight.device):
            change = (self.scale * (self.up @ self.down)).to(weight.dtype)  # parts rows in
        blocks = weight.unflatten(0, (self.of, -1))
        return blocks.index_add(0, self.parts, change).flatten(0, 1)


def add_lora(model: nn.Module, rank: int = 8, alpha: float = 16.0, targets: Collection[str] = ("q", "v")) -> int:
    """Gives the attention of a model adapters, and leaves only these to be trained.

    Acts on all attention inside: windows and global, encoders and fusion; pass a part, such as
    `model.encoders["s2"]`, to adapt that alone. Outputs stay the same until the first step. The adapted weight is put
    together whenever it is read, which costs memory of its size in training; load weights before, not after.

    Args:
        model: Or a part of one.
        rank: Of each change.
        alpha: Strength, relative to the rank.
        targets: Among q, k, v and out, the last projection. The paper finds q and v best for a given size.

    Returns:
        How many values are to be trained.

    Raises:
        ParameterError: Unknown targets, numbers out of range, no attention, or adapters already there.

    Example:
        >>> model = nn.Sequential(Attention(16, heads=2))
        >>> add_lora(model, rank=2), sum(p.numel() for p in model.parameters() if p.requires_grad)
        (128, 128)
    """
    if rank < 1 or alpha <= 0 or not targets or not set(targets) <= {*PARTS, "out"}:
        got = f"{rank}, {alpha}, {tuple(targets)}"
        raise ParameterError.of("a rank from 1, alpha above 0, targets among q, k, v, out", got, "Choose such.")
    places = attention_weights(model)
    if not places:
        raise ParameterError.of("a model with attention", type(model).__name__, "Pass a model, or an encoder of one.")
    if any(is_parametrized(module) for module, _, _ in places):
        raise ParameterError.of("a model without adapters", "one that has some", "Load it anew, or go on with these.")
    chosen = {3: tuple(index for index, part in enumerate(PARTS) if part in targets), 1: (0,) * ("out" in targets)}
    if isinstance(model, MultiModalModel):
        model.look_at_weights()
    model.requires_grad_(False)
    for module, name, of in places:
        if chosen[of]:
            adapter = LowRank(getattr(module, name), chosen[of], of, rank, alpha)
            register_parametrization(module, name, adapter)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def attention_weights(model: nn.Module) -> list[tuple[nn.Module, str, int]]:
    """Module, name and number of parts of each weight of attention."""
    places = []
    for module in model.modules():
        if isinstance(module, Attention):
            places += [(module, "in_proj_weight", len(PARTS)), (module.out_proj, "weight", 1)]
        elif isinstance(module, WindowAttention):
            places += [(module.qkv, "weight", len(PARTS)), (module.proj, "weight", 1)]
    return places


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """The adapters alone, a small file: `model.load_state_dict(state, strict=False)` after `add_lora` restores them.

    Example:
        >>> model = nn.Sequential(Attention(16, heads=2))
        >>> _ = add_lora(model)
        >>> sorted(adapter_state(model))
        ['0.parametrizations.in_proj_weight.0.down', '0.parametrizations.in_proj_weight.0.up']
    """
    return {name: value for name, value in model.state_dict().items() if ADAPTER.fullmatch(name)}


def merge(model: nn.Module) -> dict[str, Tensor]:
    """The state of a plain model that gives the same outputs: every change added to its weight.

    The model itself keeps its adapters. Weights without one are the model's own tensors, not copies.

    Example:
        >>> model = nn.Sequential(Attention(16, heads=2))
        >>> plain = set(model.state_dict())
        >>> _ = add_lora(model)
        >>> set(merge(model)) == plain
        True
    """
    merged = {}
    for name, value in model.state_dict().items():
        if match := ORIGINAL.fullmatch(name):
            owner, weight = match[1] or "", match[2]
            with torch.no_grad():
                merged[f"{owner}.{weight}" if owner else weight] = getattr(model.get_submodule(owner), weight)
        elif not ADAPTER.fullmatch(name):
            merged[name] = value
    return merged
