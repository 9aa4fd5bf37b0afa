"""Mixture of experts: each token is read by one of several feed-forwards (SkySense V2, ICCV 2025, the last six blocks).

Tokens are sorted by their expert, so that each expert reads one contiguous slice and no token is read twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers.autocast import full_precision
from skysense_nb.layers.feed_forward import FeedForward
from skysense_nb.layers.window_attention import in_fake_mode

LONGEST_SLICE = 2048  # tokens; a short hidden layer stays in cache, and the CPU's allocator reuses its memory


@dataclass(frozen=True)
class Routing:
    """What a gate decided for a batch of tokens.

    Attributes:
        expert: … int64, the one expert that reads the token.
        value: … fp32, probability of that expert. Only through it does the gate learn what the experts make of it.
        probabilities: … E fp32, softmax over all experts.
    """

    expert: Tensor
    value: Tensor
    probabilities: Tensor


class Gate(nn.Module):
    """Linear layer without bias and softmax over E experts, in fp32 whatever the tokens are in.

    Training with a softmax in bf16 is unstable (Switch Transformer, Fedus et al. 2022, §2.4).

    Example:
        >>> Gate(16, experts=4)(torch.rand(2, 5, 16)).probabilities.shape
        torch.Size([2, 5, 4])
    """

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, width))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Routing:
        """Chooses the expert with the highest logit for each token (… D)."""
        with full_precision(x.device):
            logits = F.linear(x.float(), self.weight.float())  # … E
            probabilities = logits.softmax(-1)
        expert = logits.argmax(-1)
        return Routing(expert, probabilities.gather(-1, expert[..., None]).squeeze(-1), probabilities)


class Experts(nn.Module):
    """E feed-forwards of which each token passes one: out = gate value · expert(x). Takes the place of `FeedForward`.

    SkySense V2 (ICCV 2025): E = 8, top 1, the value is the softmax probability of the chosen expert. We found no word
    of a capacity, noise or a balance loss, so no token is ever dropped. A forward hook on `gate` sees the routing.

    Example:
        >>> Experts(16, experts=4)(torch.rand(2, 5, 16)).shape
        torch.Size([2, 5, 16])
    """

    def __init__(self, width: int, ratio: float = 4.0, experts: int = 8) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.gate = Gate(width, experts)
        self.up_weight = nn.Parameter(torch.empty(experts, hidden, width))
        self.up_bias = nn.Parameter(torch.zeros(experts, hidden))
        self.down_weight = nn.Parameter(torch.empty(experts, width, hidden))
        self.down_bias = nn.Parameter(torch.zeros(experts, width))
        for weight in (self.up_weight, self.down_weight):
            nn.init.trunc_normal_(weight, std=0.02)

    @classmethod
    def from_feed_forward(cls, dense: FeedForward, experts: int = 8, seed: int = 0) -> Experts:
        """Turns a trained feed-forward into experts that start with its output.

        Our choice, we found no word of how the experts start: every expert is a copy (sparse upcycling, Komatsuzaki
        et al. 2023), with the second layer multiplied by E, because an undecided gate's value is 1/E. The gate starts
        so small that its softmax is 1/E to rounding, yet its highest logit differs from token to token.

        Args:
            dense: The feed-forward; it is left as it is.
            experts: E.
            seed: Of the gate's first weights.

        Example:
            >>> dense, x = FeedForward(16), torch.randn(100, 16)
            >>> torch.allclose(Experts.from_feed_forward(dense, experts=4)(x), dense(x), atol=1e-6)
            True
        """
        (up, _), down = dense.layers
        ratio = (up.out_features + 0.5) / up.in_features  # the half keeps int() from losing one to rounding
        with torch.device("meta"):
            upcycled = cls(up.in_features, ratio, experts)
        upcycled = upcycled.to(up.weight.dtype).to_empty(device=up.weight.device)
        start = 1e-9 if torch.finfo(up.weight.dtype).tiny < 1e-9 else 1e-4  # fp16 would round to zero
        draws = torch.randn(experts, up.in_features, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            upcycled.gate.weight.copy_(draws * start)  # no softmax sees it, even where tokens are of size 100
            upcycled.up_weight.copy_(up.weight)
            upcycled.up_bias.copy_(up.bias)
            upcycled.down_weight.copy_(down.weight * experts)
            upcycled.down_bias.copy_(down.bias * experts)
        return upcycled

    def forward(self, x: Tensor) -> Tensor:
        """Maps tokens (… D) to tokens of the same shape."""
        routing = self.gate(x)
        expert, order = routing.expert.flatten().sort(stable=True)
        tokens = x.reshape(-1, x.shape[-1]).to(product_dtype(x)).index_select(0, order)
        out = self.grouped(tokens, expert) if can_group(tokens, self.up_weight) else self.sliced(tokens, expert)
        out = out.index_select(0, order.argsort())
        return out.mul_(routing.value.flatten()[:, None].to(out.dtype)).view(x.shape)

    def sliced(self, tokens: Tensor, expert: Tensor) -> Tensor:
        """One expert after the other, so that the hidden layer is never whole.

        Args:
            tokens: N D, sorted by expert.
            expert: N int64, ascending.

        Returns:
            N D, in the same order.
        """
        stacks = (self.up_weight, self.up_bias, self.down_weight, self.down_bias)
        layers = zip(*(stack.unbind() for stack in stacks), strict=True)  # one gradient per stack, zero where unused
        slices = tokens.split(slice_sizes(expert, len(self.up_weight)))
        parts = []
        for own, layer in zip(slices, layers, strict=True):
            if len(own):
                parts += [feed_forward(part, *layer) for part in own.split(LONGEST_SLICE)]
        return torch.cat(parts) if parts else tokens

    def grouped(self, tokens: Tensor, expert: Tensor) -> Tensor:
        """`sliced` as two grouped products, without waiting for the device to tell how long the slices are."""
        numbers = torch.arange(len(self.up_weight), device=expert.device)
        ends = torch.searchsorted(expert, numbers, right=True, out_int32=True)
        chosen = (expert[:, None] == numbers).to(tokens.dtype)  # N E
        hidden = F.gelu(add_bias(group_linear(tokens, self.up_weight, ends), chosen, self.up_bias))
        return add_bias(group_linear(hidden, self.down_weight, ends), chosen, self.down_bias)


def feed_forward(x: Tensor, up_weight: Tensor, up_bias: Tensor, down_weight: Tensor, down_bias: Tensor) -> Tensor:
    """What `FeedForward` computes, of weights that are given: … D to … D."""
    return F.linear(F.gelu(F.linear(x, up_weight, up_bias)), down_weight, down_bias)


def group_linear(x: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """Linear layer without bias whose weight (E out in) changes after each of `ends` (E int32) rows: N out."""
    return F.grouped_mm(x, weight.to(x.dtype).transpose(1, 2), offs=ends)


def add_bias(x: Tensor, chosen: Tensor, bias: Tensor) -> Tensor:
    """Adds the row of `bias` (E D) that `chosen` (N E, one-hot) names to `x` (N D), in place.

    A product, because indexing would hold one bias per token, and sum their gradients one by one.
    """
    return x.addmm_(chosen, bias.to(x.dtype))


def product_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which a linear layer would compute: autocast's where it is on, else that of `x`."""
    kind = x.device.type
    autocast = kind != "meta" and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if autocast else x.dtype


def can_group(tokens: Tensor, up_weight: Tensor) -> bool:
    """Whether `F.grouped_mm` has a kernel for these: bf16, CUDA from Hopper on, rows of whole 16 bytes.

    Elsewhere it is a loop over slices too, which waits for the device as ours does but holds the whole hidden layer.
    """
    if tokens.device.type != "cuda" or tokens.dtype != torch.bfloat16 or not len(tokens):
        return False
    aligned = all(side % 8 == 0 for side in up_weight.shape[1:])
    return aligned and torch.cuda.get_device_capability(tokens.device) >= (9, 0)


def slice_sizes(expert: Tensor, experts: int) -> list[int]:
    """How many tokens each expert has; as even as can be where tensors only stand for shapes (counting FLOPs)."""
    if expert.is_meta or in_fake_mode():
        return [(len(expert) + number) // experts for number in range(experts)]
    return torch.bincount(expert, minlength=experts).tolist()


def balance_loss(routing: Routing) -> Tensor:
    """How unevenly the experts are used: 1 when even, E when one of them has all tokens and all probability.

    E · Σ fraction of tokens · mean probability (Switch Transformer, Fedus et al. 2022, eq. 4 without its factor α).
    Our choice, we found no balance loss in what is told of the paper. Gradients flow through the probabilities alone.

    Returns:
        Scalar fp32; 0 without tokens.

    Example:
        >>> even = Routing(torch.arange(4), torch.full((4,), 0.25), torch.full((4, 4), 0.25))
        >>> balance_loss(even)
        tensor(1.)
    """
    experts = routing.probabilities.shape[-1]
    probabilities = routing.probabilities.reshape(-1, experts)
    chosen = routing.expert.flatten()[:, None] == torch.arange(experts, device=probabilities.device)
    return experts * (chosen.sum(0) * probabilities.sum(0)).sum() / max(len(probabilities), 1) ** 2
