"""Swin blocks in their inference form: a few windows at a time, in place on one stream of tokens.

Everything in a Swin block is local to a window, so windows need neither be put back nor rolled between attention and
feed-forward, and no map is ever whole but the stream itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.layers.window_attention import shift_groups
from skysense_nb.models.inference.linear import Maker
from skysense_nb.models.inference.tokens import feed_forward
from skysense_nb.models.swin import SwinBlock


@dataclass(frozen=True)
class Windows:
    """Some windows of a batch of maps.

    Attributes:
        tokens: Rows of the stream, n · w²; padding reads the last row, which is zero.
        real: Which of them are no padding; None if all are.
        masks: What keeps tokens of opposite borders apart in each kind of window, m w² w², or None. They are the
            same tensor for all groups and numbers of images.
        which: The kind of each window, n.
    """

    tokens: Tensor
    real: Tensor | None
    masks: Tensor | None
    which: Tensor | None

    def bias(self, position: Tensor) -> Tensor:
        """Added to what each token thinks of the others of its window: n heads w² w², or heads w² w²."""
        if self.masks is None:
            return position
        return position + self.masks.index_select(0, self.which)[:, None].to(position.dtype)


@lru_cache(maxsize=64)
def cut(
    batch: int, height: int, width: int, window: int, shift: int, tokens_at_once: int, device: torch.device
) -> list[Windows]:
    """The windows of B maps, grouped so that no group has more than `tokens_at_once` tokens (or one window)."""
    rows, columns, area = math.ceil(height / window), math.ceil(width / window), window**2
    place = torch.full((batch, rows * window, columns * window), batch * height * width)
    place[:, :height, :width] = torch.arange(batch * height * width).view(batch, height, width)
    place = place.roll((-shift, -shift), (1, 2)).view(batch, rows, window, columns, window)
    place = place.transpose(2, 3).reshape(batch, rows * columns, area)  # B n w²
    groups, at_once = [], max(1, tokens_at_once // area)
    for where, masks in shift_groups(rows, columns, window, shift, device):
        where = where.cpu() if isinstance(where, Tensor) else where
        tokens = place[:, where].transpose(0, 1).reshape(-1, area)  # windows, then images
        kinds = None if masks is None else torch.arange(len(masks), device=device).repeat_interleave(batch)
        for first in range(0, len(tokens), at_once):
            some = tokens[first : first + at_once].flatten()
            there = some < batch * height * width
            groups.append(
                Windows(
                    some.to(device),
                    None if bool(there.all()) else there.nonzero().flatten().to(device),
                    masks,
                    None if kinds is None else kinds[first : first + at_once],
                )
            )
    return groups


cut_for_good = cache(cut.__wrapped__)
"""The same, never forgotten: CUDA graphs hold the addresses of these tensors."""


class WindowBlock:
    """A Swin block that works on a stream of tokens, group by group of windows.

    On a GPU heads are widened with zeros to a multiple of eight, which its attention kernels ask for: exact.
    """

    def __init__(self, block: SwinBlock, make: Maker) -> None:
        attention = block.attn.w_msa
        self.window, self.shift, self.pads = block.attn.window, block.attn.shift, block.attn.pad_small_map
        self.heads, self.on_gpu = attention.heads, make.on_gpu
        self.cut = cut_for_good if make.on_gpu else cut
        own = attention.proj.in_features // self.heads
        self.head = math.ceil(own / 8) * 8 if make.on_gpu else own
        wider = (0, 0, 0, self.head - own)
        qkv = attention.qkv.weight.detach().unflatten(0, (3 * self.heads, own))
        zero = torch.zeros_like(attention.q_bias)
        bias = torch.cat((attention.q_bias, zero, attention.v_bias)).detach().view(3 * self.heads, own)
        self.qkv = make.weight(F.pad(qkv, wider).flatten(0, 1), F.pad(bias, wider[2:]).flatten())
        proj = attention.proj.weight.detach().unflatten(1, (self.heads, own))
        self.proj = make.weight(F.pad(proj, wider[2:]).flatten(1), attention.proj.bias)
        self.scale = attention.logit_scale.detach().clamp(max=math.log(100.0)).exp().to(make.device)
        self.position = make.tensor(attention.compute_position_bias())  # heads w² w²
        self.norm1, self.norm2 = make.norm(block.norm1), make.norm(block.norm2)
        self.norm3 = None if block.norm3 is None else make.norm(block.norm3)
        self.feed_forward = feed_forward(block.ffn, make)

    def __call__(self, stream: Tensor, size: tuple[int, int, int], tokens_at_once: int) -> None:
        """Changes the tokens (B · h · w + 1 rows of D, the last one zero) of maps of `size` B h w in place."""
        shift = 0 if min(size[1:]) == self.window and not self.pads else self.shift
        for windows in self.cut(*size, self.window, shift, tokens_at_once, stream.device):
            x, target = stream.index_select(0, windows.tokens), windows.tokens
            read = self.attend(x, windows.bias(self.position))
            if windows.real is not None:
                x, read, target = (part.index_select(0, windows.real) for part in (x, read, target))
            x += self.norm1(read)
            x += self.norm2(self.feed_forward(x))
            stream.index_copy_(0, target, x if self.norm3 is None else self.norm3(x))

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        """What the tokens of whole windows (n · w² D) read inside them."""
        area = self.window**2
        q, k, v = self.qkv(x).view(-1, area, 3, self.heads, self.head).permute(2, 0, 3, 1, 4)  # n heads w² d
        q = (F.normalize(q.float(), dim=-1) * self.scale).to(v.dtype)
        k = F.normalize(k.float(), dim=-1).to(v.dtype)
        if self.on_gpu or v.dtype == torch.float32:  # PyTorch's kernel for bf16 on CPUs is slower than plain products
            read = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.expand(len(q), -1, -1, -1), scale=1.0)
        else:
            read = (q @ k.transpose(-2, -1)).add_(bias).softmax(-1) @ v
        return self.proj(read.transpose(1, 2).reshape(len(x), -1))
