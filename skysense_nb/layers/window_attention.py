"""Attention inside square windows, as Swin Transformer V2 does it (Liu et al. 2022, §3.2–3.3)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._guards import detect_fake_mode

from skysense_nb.layers.autocast import full_precision

CROSS_REGION = -100.0  # the published additive mask; not −inf, and the weights were trained with it


def relative_coordinates(window: int) -> Tensor:
    """Log-spaced offsets between two tokens of a window: 1, 2w−1, 2w−1, 2 (eq. 4, normalised to ±1 · log₈9)."""
    offset = torch.arange(-(window - 1), window, dtype=torch.float32, device="cpu") / max(window - 1, 1) * 8
    offset = offset.sign() * torch.log2(offset.abs() + 1) / math.log2(8)
    return torch.stack(torch.meshgrid(offset, offset, indexing="ij"), dim=-1)[None]


def relative_index(window: int) -> Tensor:
    """Row of the flattened offset table for each pair of tokens: w², w²."""
    row, column = (axis.flatten() for axis in torch.meshgrid(*[torch.arange(window, device="cpu")] * 2, indexing="ij"))
    down, right = row[:, None] - row[None], column[:, None] - column[None]
    return (down + window - 1) * (2 * window - 1) + right + window - 1


def in_fake_mode() -> bool:
    """Whether tensors only stand for shapes here (a memory planner at work): nothing may be kept then."""
    return detect_fake_mode() is not None


def same(kept: list[Tensor], weights: list[Tensor]) -> bool:
    """Whether kept copies still equal the weights, in device, dtype and every value."""
    return all(
        one.device == other.device and one.dtype == other.dtype and (one.is_meta or torch.equal(one, other))
        for one, other in zip(kept, weights, strict=True)
    )


class WindowAttention(nn.Module):
    """Cosine attention with a continuous position bias, computed window by window."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        device = self.logit_scale.device  # counted on the CPU first: arange on the meta device imports for seconds
        self.register_buffer("relative_coords_table", relative_coordinates(window).to(device))
        self.register_buffer("relative_position_index", relative_index(window).to(device))
        self.cpb_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)
        self.kept_bias: tuple[list[Tensor], Tensor] | None = None

    def compute_position_bias(self) -> Tensor:
        """Bias per head and pair of tokens, heads w² w², in fp32: 16 · sigmoid of the small network."""
        with full_precision(self.proj.weight.device):
            inner, outer = self.cpb_mlp[0], self.cpb_mlp[2]
            hidden = F.linear(self.relative_coords_table.float(), inner.weight.float(), inner.bias.float()).relu()
            table = F.linear(hidden, outer.weight.float()).flatten(0, 2)
            return 16 * torch.sigmoid(table[self.relative_position_index].permute(2, 0, 1)).contiguous()

    def position_bias(self) -> Tensor:
        """The bias; without gradients it is kept until the weights hold other values.

        Values are compared, because fused optimizers and teacher averages change them without a trace.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or in_fake_mode():
            return self.compute_position_bias()
        weights = [weight.detach() for weight in self.cpb_mlp.parameters()]
        if self.kept_bias is None or not same(self.kept_bias[0], weights):
            self.kept_bias = ([weight.clone() for weight in weights], self.compute_position_bias())
        return self.kept_bias[1]

    def forward(self, x: Tensor, groups: list[tuple[Tensor | slice, Tensor | None]]) -> Tensor:
        """Attends inside each window.

        Args:
            x: Tokens by window, B n w² C.
            groups: Which windows share a mask: pairs of window indices and an additive mask (count w² w²) or None.

        Returns:
            B n w² C.
        """
        batch, count, tokens, width = x.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = F.linear(x, self.qkv.weight, bias.to(self.qkv.weight.dtype))
        q, k, v = qkv.view(batch, count, tokens, 3, self.heads, -1).permute(3, 0, 1, 4, 2, 5)  # B n heads w² d
        scale = self.logit_scale.clamp(max=math.log(100.0)).exp()
        q = (F.normalize(q.float(), dim=-1) * scale).to(v.dtype)
        k = F.normalize(k.float(), dim=-1).to(v.dtype)
        position = self.position_bias().to(v.dtype)
        parts = [attend(q[:, w], k[:, w], v[:, w], position, mask) for w, mask in groups]
        out = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)[:, restore_order(groups)]
        return self.proj(out.transpose(2, 3).reshape(batch, count, tokens, width))


def attend(q: Tensor, k: Tensor, v: Tensor, position: Tensor, mask: Tensor | None) -> Tensor:
    """Dot products of B n heads w² d with a position bias (heads w² w²) and, if given, a mask (n w² w²)."""
    batch, count, heads, tokens, width = q.shape
    if mask is None:
        flat = [part.reshape(batch * count, heads, tokens, width) for part in (q, k, v)]
    else:
        position = (position + mask[:, None].to(q.dtype)).flatten(0, 1)
        flat = [part.reshape(batch, count * heads, tokens, width) for part in (q, k, v)]
    out = F.scaled_dot_product_attention(*flat, attn_mask=position[None], scale=1.0)
    return out.view(batch, count, heads, tokens, width)


def restore_order(groups: list[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Index that puts windows computed group by group back into map order."""
    return torch.cat([windows for windows, _ in groups]).argsort()


def shift_groups(rows: int, columns: int, window: int, shift: int, device: torch.device) -> list:
    """Splits the windows of a shifted grid into those without a seam and those with one.

    Only the last row and column of windows join pixels from opposite borders; only they need a mask.
    """
    if shift == 0:
        return [(slice(None), None)]
    if torch.compiler.is_compiling() or in_fake_mode():
        return split_by_seam(rows, columns, window, shift, device)
    return kept_split(rows, columns, window, shift, device)


@lru_cache(maxsize=64)
def kept_split(rows: int, columns: int, window: int, shift: int, device: torch.device) -> list:
    """`split_by_seam`, computed once per size."""
    with torch.inference_mode(False):  # kept tensors must also serve a later training step
        return split_by_seam(rows, columns, window, shift, device)


def split_by_seam(rows: int, columns: int, window: int, shift: int, device: torch.device) -> list:
    """Window indices inside and across the seam of a rolled map, the latter with their mask."""
    height, width = rows * window, columns * window
    region = torch.zeros(height, width, device=device)
    for axis, size in ((0, height), (1, width)):
        place = torch.arange(size, device=device)
        part = (place >= size - window).int() + (place >= size - shift).int()  # 0 inside, 1 seam window, 2 wrapped
        region += (part[:, None] if axis == 0 else 3 * part[None]).float()
    last = [row == rows - 1 or column == columns - 1 for row in range(rows) for column in range(columns)]
    border = torch.tensor([index for index, seam in enumerate(last) if seam], device=device)
    inside = torch.tensor([index for index, seam in enumerate(last) if not seam], device=device)
    region = region.view(rows, window, columns, window).transpose(1, 2).reshape(rows * columns, window**2)[border]
    mask = torch.where(region[:, :, None] == region[:, None], 0.0, CROSS_REGION)  # border w² w²
    return [(inside, None), (border, mask)] if len(inside) else [(slice(None), mask)]


class ShiftedWindowAttention(nn.Module):
    """Cuts a map into windows, shifted or not, lets tokens attend inside them, and puts the map together.

    Args:
        width: Channels.
        heads: Attention heads.
        window: Side of a window in tokens.
        shift: Offset of the window grid in tokens.
        pad_small_map: Maps no larger than a window are padded and shifted like all others. False reproduces
            the published default, which skips the shift when the map is exactly one window high or wide.
    """

    def __init__(self, width: int, heads: int, window: int, shift: int, pad_small_map: bool) -> None:
        super().__init__()
        self.window, self.shift, self.pad_small_map = window, shift, pad_small_map
        self.w_msa = WindowAttention(width, heads, window)

    def forward(self, x: Tensor) -> Tensor:
        """Maps B H W C to B H W C; sides that do not divide by the window are zero-padded for the attention."""
        batch, height, width, channels = x.shape
        size = self.window
        shift = 0 if min(height, width) == size and not self.pad_small_map else self.shift
        rows, columns = (height + size - 1) // size, (width + size - 1) // size
        x = F.pad(x, (0, 0, 0, columns * size - width, 0, rows * size - height))
        if shift:
            x = torch.roll(x, (-shift, -shift), dims=(1, 2))
        x = x.view(batch, rows, size, columns, size, channels).transpose(2, 3)
        x = x.reshape(batch, rows * columns, size**2, channels)  # B n w² C
        x = self.w_msa(x, shift_groups(rows, columns, size, shift, x.device))
        x = x.view(batch, rows, columns, size, size, channels).transpose(2, 3)
        x = x.reshape(batch, rows * size, columns * size, channels)
        if shift:
            x = torch.roll(x, (shift, shift), dims=(1, 2))
        return x[:, :height, :width]
