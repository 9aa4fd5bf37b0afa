"""What must be told to code that runs for a GPU that is not there: its mixed precision and its attention kernels.

PyTorch would ask the GPU itself. With these answers, fake tensors on `cuda` go through the operations of an H100, H200
or A100 on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from skysense_nb.layers.experts import product_dtype

aten = torch.ops.aten


@contextmanager
def mixed_precision(device: str, wanted: bool) -> Iterator[None]:
    """Autocast to bf16 as on `device`, which `torch.autocast` refuses for a GPU that is not there."""
    if not wanted:
        yield
        return
    before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, torch.bfloat16)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        torch.set_autocast_enabled(device, before[0])
        torch.set_autocast_dtype(device, before[1])


@contextmanager
def planned_kernels(device: str) -> Iterator[None]:
    """Lets code choose as on `device` where it would ask the GPU."""
    if device != "cuda":
        yield
        return
    one_by_one = (8, 0)  # experts: as many operations as in one grouped product, which would not be counted
    with mock.patch.object(torch.cuda, "get_device_capability", return_value=one_by_one), AttentionOnGpu():
        yield


class AttentionOnGpu(TorchFunctionMode):
    """Chooses the attention kernel that PyTorch chooses on an H100, H200 or A100.

    Flash attention in 16 bits without a mask, with heads padded to a multiple of 8 channels; memory-efficient
    attention with a mask or in 32 bits, if 16 bytes divide a head; else products and softmax one by one, which keep
    much more. SkySense's HR encoder has heads of 44 channels and a mask.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replaces `scaled_dot_product_attention`."""
        if function is F.scaled_dot_product_attention:
            return attend(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """`scaled_dot_product_attention` of B heads N d by the kernel a GPU would take."""
    dtype, width = product_dtype(q), q.shape[-1]
    q, k, v = (part.to(dtype) for part in (q, k, v))
    mask = None if attn_mask is None else attn_mask.to(dtype)
    if mask is None and dtype != torch.float32:
        q, k, v = (F.pad(part, (0, -width % 8)) for part in (q, k, v))
        return aten._scaled_dot_product_flash_attention(q, k, v, dropout_p, is_causal, scale=scale)[0][..., :width]
    if width * q.element_size() % 16 == 0:
        fused = aten._scaled_dot_product_efficient_attention
        return fused(q, k, v, mask, True, dropout_p, is_causal, scale=scale)[0]
    return aten._scaled_dot_product_attention_math(q, k, v, mask, dropout_p, is_causal, scale=scale)[0]
