"""Linear layers laid out for this machine: the product that takes nine tenths of every forward pass."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.runtime import onednn_switch

KINDS = ("packed", "switched", "plain")
"""Ways to multiply. `packed`: oneDNN with the weight in its own blocked order, on CPUs; private operators of PyTorch.
`switched`: oneDNN on the weight as it is, through a public switch. `plain`: what PyTorch takes by itself."""


class PreparedLinear:
    """y = act(x Wᵀ + b) with a weight that was copied once into the order and dtype in which it is used.

    Args:
        weight: D_out D_in.
        bias: D_out, or None.
        dtype: Of the products.
        device: Where.
        kind: One of `KINDS`.
        gelu: Apply GELU (the exact one) to the result.

    Example:
        >>> layer = nn.Linear(8, 4)
        >>> prepared = PreparedLinear(layer.weight, layer.bias, torch.float32, torch.device("cpu"), "plain")
        >>> torch.allclose(prepared(torch.ones(3, 8)), layer(torch.ones(3, 8)))
        True
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        dtype: torch.dtype,
        device: torch.device,
        kind: str,
        gelu: bool = False,
    ) -> None:
        weight = weight.detach().to(device, dtype)
        bias = None if bias is None else bias.detach().to(device, dtype, copy=True)
        self.multiply = WAYS[kind](weight, bias, gelu)

    def __call__(self, x: Tensor) -> Tensor:
        """Maps … D_in to … D_out."""
        return self.multiply(x)


def packed(weight: Tensor, bias: Tensor | None, gelu: bool) -> Callable[[Tensor], Tensor]:
    """The product by oneDNN's blocked weight, GELU inside it."""
    blocked = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
    after = ("gelu", [], "none") if gelu else ("none", [], "")

    def multiply(x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, blocked, bias, *after)

    return multiply


def plain(weight: Tensor, bias: Tensor | None, gelu: bool) -> Callable[[Tensor], Tensor]:
    """`F.linear`, then GELU."""
    weight = weight.clone(memory_format=torch.contiguous_format)

    def multiply(x: Tensor) -> Tensor:
        out = F.linear(x, weight, bias)
        return F.gelu(out) if gelu else out

    return multiply


def switched(weight: Tensor, bias: Tensor | None, gelu: bool) -> Callable[[Tensor], Tensor]:
    """`F.linear` under the switch that routes fp32 products to oneDNN, which is put back after each call."""
    inner = plain(weight, bias, gelu)

    def multiply(x: Tensor) -> Tensor:
        with onednn_switch("bf16"):
            return inner(x.reshape(-1, x.shape[-1])).unflatten(0, x.shape[:-1])

    return multiply


WAYS = {"packed": packed, "switched": switched, "plain": plain}


class Maker:
    """Turns linear layers into prepared ones of one dtype, device and kind.

    Attributes:
        dtype, device, kind: Of everything made.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device, kind: str) -> None:
        self.dtype, self.device, self.kind = dtype, device, kind
        self.weight = partial(PreparedLinear, dtype=dtype, device=device, kind=kind)

    @property
    def on_gpu(self) -> bool:
        """Whether kernels are launched, so that few large ones are better than many small ones."""
        return self.device.type != "cpu"

    def linear(self, layer: nn.Linear, gelu: bool = False) -> PreparedLinear:
        """A linear layer."""
        return self.weight(layer.weight, layer.bias, gelu=gelu)

    def tensor(self, values: Tensor) -> Tensor:
        """Other numbers of a module, copied."""
        return values.detach().to(self.device, self.dtype, copy=True)

    def norm(self, norm: nn.LayerNorm) -> Callable[[Tensor], Tensor]:
        """A layer norm over the last axis."""
        weight, bias = self.tensor(norm.weight), self.tensor(norm.bias)
        return lambda x: F.layer_norm(x, weight.shape, weight, bias, norm.eps)

    def tokens_at_once(self, width: int, asked: int | None) -> int:
        """Tokens that go through a block together, unless `asked` says it: on a CPU as many as stay in its cache.

        On a GPU enough for large products; the fusion of the paper's size then needs less than 3 GiB in bf16.
        """
        if asked is not None:
            return asked
        return 2**16 if self.on_gpu else max(1024, 2**19 // width)
