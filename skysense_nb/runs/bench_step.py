"""A step of training in less time and memory: the plain way against the library's, on one vision transformer."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from skysense_nb.models.vit import ViTConfig, ViTEncoder
from skysense_nb.runs.bench import read_peak, reset_peak, synchronise
from skysense_nb.runs.bench_inference import one_thread, timed
from skysense_nb.runtime import choose_device, fast_products

STUDIED = ViTConfig(10, embed_dims=384, num_layers=6, num_heads=6, out_indices=(5,), drop_path_rate=0.0)
"""ViT 384 × 6: as wide as a small ViT, half as deep."""

DATES, PIXELS = 8, 64
"""What it reads."""

WAYS = {
    "fp32": ("fp32", False, False),
    "fp32, faster products": ("fp32", False, True),
    "bf16": ("bf16", False, True),
    "bf16, recomputed": ("bf16", True, True),
}
"""Name, then precision, whether activations are recomputed, and whether the library may choose the products."""


@dataclass(frozen=True)
class Step:
    """Forward and backward pass in one way.

    Attributes:
        way: One of `WAYS`.
        seconds: Median; process time of one thread on a CPU.
        ratio: How many times faster than plain fp32.
        peak_mib: Gradients and activations, MiB; None where the system does not tell.
        less: How many times less memory than plain fp32.
        error: Largest difference of a gradient, relative to the largest gradient.
    """

    way: str
    seconds: float
    ratio: float
    peak_mib: float | None
    less: float | None
    error: float

    def __str__(self) -> str:
        memory = "" if self.less is None else f" · {self.peak_mib:5.0f} MiB, {self.less:4.2f} × less"
        return (
            f"{self.way:<22} {self.seconds:7.3f} s, {self.ratio:4.2f} × faster{memory} · gradients off {self.error:.0e}"
        )

    def to_dict(self) -> dict[str, float | str | None]:
        """Plain values for a table or JSON."""
        return asdict(self)


def bench_step(
    config: ViTConfig = STUDIED, *, dates: int = DATES, pixels: int = PIXELS, device: str = "auto", rounds: int = 3
) -> Iterator[Step]:
    """Measures a step in each of `WAYS`, which take turns.

    Example:
        >>> small = ViTConfig(2, embed_dims=24, num_layers=2, num_heads=3, out_indices=(1,))
        >>> [step.way for step in bench_step(small, dates=1, pixels=8, device="cpu", rounds=1)] == list(WAYS)
        True
    """
    where, generator = choose_device(device), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = ViTEncoder(config).train().to(where)
    images = torch.randn(dates, config.in_channels, pixels, pixels, generator=generator).to(where)
    target = torch.randn(model(images)[-1].shape, generator=generator).to(where)
    with one_thread(where):
        steps = {way: step_of(model, images, target, way) for way in WAYS}
        peaks = {way: peak_of(model, step) for way, step in steps.items()}
        gradients = {way: gradient_of(model, step) for way, step in steps.items()}
        seconds = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, step in steps.items():
                seconds[way].append(timed(step, where))
    plain, most = statistics.median(seconds["fp32"]), peaks["fp32"]
    for way in WAYS:
        median, peak = statistics.median(seconds[way]), peaks[way]
        off = (gradients[way] - gradients["fp32"]).abs().max() / gradients["fp32"].abs().max()
        yield Step(way, median, plain / median, peak, None if peak is None else most / peak, float(off))


def step_of(model: ViTEncoder, images: Tensor, target: Tensor, way: str) -> Callable[[], None]:
    """A forward and backward pass in one way, which leaves gradients."""
    precision, recompute, chosen = WAYS[way]

    def step() -> None:
        model.recompute = recompute
        model.zero_grad(set_to_none=True)
        with fast_products() if chosen else nullcontext():
            with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16"):
                loss = (model(images)[-1].float() * target).mean()
            loss.backward()

    return step


def peak_of(model: ViTEncoder, step: Callable[[], None]) -> float | None:
    """Memory of a step beyond weights and inputs, MiB, after one that warmed up."""
    step()
    model.zero_grad(set_to_none=True)
    gc.collect()
    device = next(model.parameters()).device
    before = reset_peak(device)
    step()
    synchronise(device)
    return None if before is None else read_peak(device) - before


def gradient_of(model: ViTEncoder, step: Callable[[], None]) -> Tensor:
    """All gradients of a step in one row."""
    step()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])
