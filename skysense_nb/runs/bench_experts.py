"""What a mixture of experts costs beside the dense feed-forward it replaces, and what other ways of running it cost.

Reading each token once keeps the cost of the dense layer however many experts there are; the loop that lets every
expert read every token, pays for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from skysense_nb.errors import ParameterError
from skysense_nb.layers import FeedForward
from skysense_nb.layers.experts import Experts, feed_forward
from skysense_nb.runs.bench import random_module, time_call
from skysense_nb.runtime import PRECISIONS, choose_device, choose_precision


@dataclass(frozen=True)
class ExpertsMeasurement:
    """One way of running the experts, without gradients.

    Attributes:
        form: What was run.
        precision: Of weights and tokens.
        wall_s, cpu_s: Median wall and process time of one call, seconds.
        peak_mib: Memory one call needs beyond weights and tokens, MiB; None where the system does not tell.
        time_ratio: Wall time as a multiple of the dense feed-forward's.
        peak_ratio: Memory likewise; None where unknown, or too little to be seen.
    """

    form: str
    precision: str
    wall_s: float
    cpu_s: float
    peak_mib: float | None
    time_ratio: float
    peak_ratio: float | None

    def __str__(self) -> str:
        row = f"{self.form:<32} {self.precision} · {self.wall_s:8.3f} s, {self.time_ratio:5.2f} × dense"
        return row if self.peak_ratio is None else f"{row} · {self.peak_mib:6.0f} MiB, {self.peak_ratio:4.2f} × dense"

    def to_dict(self) -> dict[str, float | str | None]:
        """Plain values for a table or JSON."""
        return asdict(self)


class EveryExpert(nn.Module):
    """Every expert reads every token, and a mask keeps one answer: E times the arithmetic."""

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, x: Tensor) -> Tensor:
        """Maps N D to N D."""
        routing, out = self.experts.gate(x), torch.zeros_like(x)
        for number, layers in enumerate(layers_of(self.experts)):
            kept = torch.where(routing.expert == number, routing.value, 0.0).to(x.dtype)
            out += feed_forward(x, *layers) * kept[:, None]
        return out


class GatherExperts(nn.Module):
    """Each expert looks for its tokens in the whole batch and adds its answers to the output."""

    def __init__(self, experts: Experts) -> None:
        super().__init__()
        self.experts = experts

    def forward(self, x: Tensor) -> Tensor:
        """Maps N D to N D."""
        routing, out = self.experts.gate(x), torch.zeros_like(x)
        for number, layers in enumerate(layers_of(self.experts)):
            (rows,) = torch.where(routing.expert == number)
            out.index_add_(0, rows, feed_forward(x[rows], *layers) * routing.value[rows, None].to(x.dtype))
        return out


def layers_of(experts: Experts) -> Iterator[tuple[Tensor, ...]]:
    """Weights and biases of one expert after the other, as `feed_forward` takes them."""
    return zip(experts.up_weight, experts.up_bias, experts.down_weight, experts.down_bias, strict=True)


def bench_experts(
    width: int = 352,
    *,
    experts: int = 8,
    tokens: int = 65_536,
    device: str = "auto",
    precision: str = "fp32",
    rounds: int = 3,
) -> list[ExpertsMeasurement]:
    """Times the dense feed-forward and three ways of running experts of its size on the same random tokens.

    Args:
        width: D; SkySense V2 has experts of 1408 and 2816.
        experts: E.
        tokens: N; 65,536 are the 256 × 256 tokens of a 1024-pixel image at a stride of 4.
        device: auto, cuda, mps or cpu.
        precision: auto, fp32, bf16 or fp16.
        rounds: Timed calls of each form; one more warms up.

    Returns:
        Dense, grouped, gathered, every expert on every token.

    Raises:
        ParameterError: A size below one, or an unknown device or precision.

    Example:
        >>> [row.form for row in bench_experts(16, experts=4, tokens=64, device="cpu", rounds=1)][:2]
        ['dense feed-forward', 'experts, tokens grouped']
    """
    if min(width, experts, tokens, rounds) < 1:
        got = f"width {width}, {experts} experts, {tokens} tokens, {rounds} rounds"
        raise ParameterError.of("sizes of at least one", got, "Ask for more.")
    where = choose_device(device)
    dtype = choose_precision(precision, where)
    precision = next(name for name, kind in PRECISIONS.items() if kind == dtype)
    inputs = torch.randn(tokens, width, device=where, dtype=dtype)
    module = random_module(lambda: Experts(width, experts=experts), where, dtype)
    forms = {
        "dense feed-forward": random_module(lambda: FeedForward(width), where, dtype),
        "experts, tokens grouped": module,
        "experts, gathered one by one": GatherExperts(module),
        "every expert on every token": EveryExpert(module),
    }
    times = {form: time_call(part, inputs, rounds) for form, part in forms.items()}
    dense_wall, _, dense_peak = times["dense feed-forward"]
    return [
        ExpertsMeasurement(
            form, precision, wall, cpu, peak, wall / dense_wall, peak / dense_peak if dense_peak else None
        )
        for form, (wall, cpu, peak) in times.items()
    ]
