"""Inference forms beside the plain modules they were made of: time, memory, error, share of the machine's own product.

Both have the same random weights and take turns in one run. On a CPU the time is process time of one thread, which
other programs hardly change, and the plain form is that in fp32; on a GPU it is wall time between two
synchronisations, and both forms have the precision that is measured.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from skysense_nb.errors import ParameterError
from skysense_nb.layers import DateEncoding, Experts, FeedForward, PixelShuffleLift
from skysense_nb.models.family import Config, build
from skysense_nb.models.fusion import FusionTransformer
from skysense_nb.models.inference import (
    FoldedHead,
    FusionInference,
    Maker,
    SwinInference,
    UnifiedInference,
    ViTInference,
    choose,
)
from skysense_nb.models.inference.fusion import cells_of_blocks
from skysense_nb.models.inference.tokens import feed_forward
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.models.presets import preset
from skysense_nb.models.skysense_v2 import SkySenseV2Config
from skysense_nb.models.swin import SwinEncoder
from skysense_nb.models.vit import ViTEncoder
from skysense_nb.runs.bench import (
    check_counts,
    count_gflop,
    product_side,
    random_module,
    read_peak,
    reset_peak,
    synchronise,
)
from skysense_nb.runs.bench_parts import Geometry, OneSensor, hr_path, sentinel_path
from skysense_nb.runtime import PRECISIONS, choose_device, choose_precision
from skysense_nb.sensors import DAYS_IN_TABLE, HR_PIXELS_PER_CELL, SENSORS

Call = Callable[[], Tensor]
Compared = tuple[str, str, Callable[[], nn.Module], Any]
"""Name, what it reads, a constructor, and the shape of its input, or what makes a sample."""


@dataclass(frozen=True)
class Comparison:
    """One part in its inference form, against the plain form.

    Attributes:
        part, reads: What was run on what.
        precision: Of the inference form; on a GPU of both.
        plain_s, fast_s: Median seconds of one call.
        ratio: Of these.
        plain_mib, fast_mib: Memory of one call beyond weights and inputs, MiB; None where the system does not tell.
        error: Largest difference of the outputs, relative to the plain form's largest value.
        cosine: Cosine similarity of the two outputs, each as one long vector.
        share: Operations of the plain form per second of the inference form, as a fraction of the rate of a large
            product in this precision, measured in the same run. Above one where folding or leaving out saves work.
    """

    part: str
    reads: str
    precision: str
    plain_s: float
    fast_s: float
    ratio: float
    plain_mib: float | None
    fast_mib: float | None
    error: float
    cosine: float
    share: float

    def __str__(self) -> str:
        memory = "" if self.fast_mib is None else f" · {self.plain_mib:6.0f} → {self.fast_mib:6.0f} MiB"
        return (
            f"{self.part:<22} {self.reads:<28} {self.precision} · {self.plain_s:8.3f} → {self.fast_s:7.3f} s · "
            f"{self.ratio:5.2f} × · {self.share:4.0%} of a product{memory} · error {self.error:.0e}, "
            f"cosine {self.cosine:.5f}"
        )

    def to_dict(self) -> dict[str, float | str | None]:
        """Plain values for a table or JSON."""
        return asdict(self)


class HeadAndDates(nn.Module):
    """What stands between a Sentinel encoder and the fusion's layers, as the model computes it."""

    def __init__(self, lift: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.lift, self.dates = PixelShuffleLift(*lift), DateEncoding(lift[1], DAYS_IN_TABLE)
        self.project = nn.Linear(lift[1], width)

    def forward(self, deepest: Tensor) -> Tensor:
        """Tokens of the fusion, N T D, of deepest maps T C h w on the first days of a year."""
        cells = self.lift(deepest) + self.dates(torch.arange(len(deepest), device=deepest.device))[:, :, None, None]
        return self.project(cells.flatten(2).permute(2, 0, 1))


def bench_inference(
    name: str = "skysense-tiny",
    *,
    geometry: Geometry | None = None,
    precisions: tuple[str, ...] = ("fp32", "bf16"),
    parts: tuple[str, ...] = (),
    device: str = "auto",
    rounds: int = 3,
) -> Iterator[Comparison]:
    """Compares each part of a preset, then the whole model, one after the other.

    Args:
        name: Preset.
        geometry: What is read.
        precisions: Of the inference forms, on a GPU of both.
        parts: Only these, by the first word of their names: `HR`, `S2`, `fusion`, `experts`, `whole`; empty for all.
        device: Where.
        rounds: How often the two forms take turns.

    Raises:
        ParameterError: No such part or precision, or a count below one.

    Example:
        >>> rows = list(bench_inference(parts=("fusion",), precisions=("fp32",), device="cpu", rounds=1))
        >>> rows[0].part, rows[0].error < 1e-4
        ('fusion', True)
    """
    config, geometry, where = preset(name), geometry or Geometry(), choose_device(device)
    check_counts(geometry, rounds)
    dtypes = {precision: choose_precision(precision, where) for precision in precisions}
    with one_thread(where):
        for label, reads, make, shape in chosen(compared(config, geometry), parts):
            gflop = count_gflop(make, shape) if isinstance(shape, tuple) else 0.0
            plain = random_module(make, where, torch.float32)
            inputs = torch.randn(shape, device=where) if isinstance(shape, tuple) else shape.sample(where)
            if isinstance(plain, MultiModalModel):
                gflop = whole_gflop(config, geometry)
            for precision, dtype in dtypes.items():
                plain = plain.to(own := plain_dtype(where, dtype))
                inputs = inputs.to(own) if isinstance(inputs, Tensor) else inputs
                fast = prepared(plain, where, dtype)
                yield compare(label, reads, precision, plain, fast, inputs, gflop, rounds)
                del fast
                gc.collect()
            del plain, inputs
            gc.collect()


def plain_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """Of the plain form beside an inference form in `dtype`: on a GPU nobody would take fp32 where bf16 does."""
    return torch.float32 if device.type == "cpu" else dtype


def chosen(there: Iterable[Compared], asked: tuple[str, ...]) -> list[Compared]:
    """The parts whose names begin with one of the words that were asked for; all if none was."""
    there = list(there)
    first = [label.split()[0] for label, *_ in there]
    if missing := set(asked) - set(first):
        words = ", ".join(dict.fromkeys(first))
        raise ParameterError.of(f"parts among {words}", ", ".join(sorted(missing)), "Choose among these.")
    return [part for part, word in zip(there, first, strict=True) if not asked or word in asked]


@dataclass(frozen=True)
class Whole:
    """The sample a whole model reads."""

    geometry: Geometry

    def sample(self, device: torch.device) -> dict[str, Tensor]:
        """Random images on the first days of a year; no two dates are alike."""
        cells, sample = self.geometry.cells, {}
        for name, dates in (("hr", 1), ("s2", self.geometry.s2_dates), ("s1", self.geometry.s1_dates)):
            side = cells * (HR_PIXELS_PER_CELL if name == "hr" else 1)
            sample[name] = torch.randn(1, dates, len(SENSORS[name].bands), side, side, device=device)
            sample[f"{name}_day"] = torch.arange(dates, device=device)[None]
        return sample


def compared(config: Config, geometry: Geometry) -> Iterator[Compared]:
    """Parts with what they read, a constructor, and the shape of their input."""
    side, tokens = geometry.cells, 1 + geometry.s2_dates + geometry.s1_dates
    yield hr_path(config, geometry)
    for name, dates in (("s2", geometry.s2_dates), ("s1", geometry.s1_dates)):
        encoder, lift, channels, patch = sentinel_path(config, name)
        reads, grid = f"{dates} dates of {side} × {side} px", -(-side // patch)
        yield f"{name.upper()} encoder", reads, encoder, (dates, channels, side, side)
        head = partial(HeadAndDates, lift, config.fusion.embed_dims)
        yield f"{name.upper()} head and dates", reads, head, (dates, lift[0], grid, grid)
    shape = (side**2, tokens, config.fusion.input_dims)
    yield "fusion", f"{side**2} cells × {tokens} tokens", partial(FusionTransformer, config.fusion), shape
    if isinstance(config, SkySenseV2Config) and config.backbone.expert_blocks:
        width = config.backbone.widths[2]
        make = partial(Experts, width, config.backbone.mlp_ratio, config.backbone.experts)
        yield "experts", f"1344 tokens of {width}", make, (1344, width)
        yield "dense feed-forward", f"1344 tokens of {width}", partial(FeedForward, width), (1344, width)
    reads = f"{32 * side} px HR, {geometry.s2_dates} + {geometry.s1_dates} dates"
    yield "whole model", reads, partial(build, config), Whole(geometry)


def whole_gflop(config: Config, geometry: Geometry) -> float:
    """Operations of all parts of a model, billions."""
    parts = [part for part in compared(config, geometry) if isinstance(part[3], tuple)]
    return sum(
        count_gflop(make, shape) for label, _, make, shape in parts if label.split()[0] not in ("experts", "dense")
    )


def prepared(plain: nn.Module, device: torch.device, dtype: torch.dtype) -> Callable[[Any], Tensor]:
    """The inference form of a part as a function of its input; the deepest of several maps."""
    make = Maker(dtype, device, choose(device, dtype).kind)
    if isinstance(plain, MultiModalModel):
        form = plain.for_inference(dtype, device, quiet=True)
        return lambda sample: form.features(sample).fused
    if isinstance(plain, OneSensor):
        backbone = UnifiedInference(plain.backbone, make)
        return lambda images: backbone(images, plain.name, plain.stride)[-1]
    if isinstance(plain, FeedForward | Experts):
        layer = feed_forward(plain, make)
        return lambda x: layer(x.to(dtype))
    if isinstance(plain, HeadAndDates):
        return folded(plain, make)
    if isinstance(plain, FusionTransformer):
        fusion = FusionInference(plain, make)
        return lambda tokens: fusion(tokens.to(dtype))
    encoder = {SwinEncoder: SwinInference, ViTEncoder: ViTInference}[type(plain)](plain, make)
    return lambda images: encoder(images)[-1]


def folded(plain: HeadAndDates, make: Maker) -> Callable[[Tensor], Tensor]:
    """The head, dates and projection as one product, some tokens at a time as in the whole model."""
    side = plain.lift.decoder[1].upscale_factor
    head = FoldedHead(plain.lift.decoder[0], side, plain.project, plain.dates.table, make)

    def call(deepest: Tensor) -> Tensor:
        tokens, days = deepest.flatten(2).permute(2, 0, 1).to(make.dtype), torch.arange(len(deepest))
        days = days.to(deepest.device).expand(len(tokens), -1)
        rows, columns = deepest.shape[-2:]
        blocks = cells_of_blocks(rows * side, columns * side, side, deepest.device)
        cells = tokens.new_empty(blocks.numel(), len(deepest), head.width)  # row by row, as the plain form has them
        for own, *part in zip(blocks.split(64), tokens.split(64), days.split(64), strict=True):
            cells[own.flatten()] = head(*part)
        return cells

    return call


@torch.inference_mode()
def compare(
    label: str,
    reads: str,
    precision: str,
    plain: nn.Module,
    fast: Callable[[Any], Tensor],
    inputs: Any,
    gflop: float,
    rounds: int,
) -> Comparison:
    """Lets both forms take turns; the first turn warms up and compares, the second one also counts memory."""
    device = next(plain.parameters()).device
    calls = {"plain": lambda: deepest(plain(inputs)), "fast": lambda: fast(inputs)}
    outputs, peaks = {form: call().float() for form, call in calls.items()}, {}
    off = (outputs["fast"] - outputs["plain"]).abs().max() / outputs["plain"].abs().max()
    cosine = torch.cosine_similarity(*(outputs[form].flatten().double() for form in ("fast", "plain")), dim=0)
    del outputs
    seconds = {form: [] for form in (*calls, "product")}
    product = large_product(device, PRECISIONS[precision])
    for _ in range(rounds):
        for form, call in (calls | {"product": product}).items():
            before = None if form in peaks else reset_peak(device)
            seconds[form].append(timed(call, device))
            if form not in peaks:
                peaks[form] = None if before is None else read_peak(device) - before
    median = {form: statistics.median(times) for form, times in seconds.items()}
    rate = 2 * product_side(device) ** 3 / 1e9 / min(seconds["product"])
    return Comparison(
        label, reads, precision, median["plain"], median["fast"], median["plain"] / median["fast"],
        peaks["plain"], peaks["fast"], float(off), float(cosine), gflop / median["fast"] / rate,
    )  # fmt: skip


def deepest(output: Any) -> Tensor:
    """The last map of an encoder, the fused map of a model, or a tensor as it is."""
    return output[-1] if isinstance(output, list) else getattr(output, "fused", output)


def large_product(device: torch.device, dtype: torch.dtype) -> Call:
    """A square product in the fastest way there is here."""
    side = product_side(device)
    x, weight = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = Maker(dtype, device, choose(device, dtype).kind).weight(weight, None)
    return lambda: product(x)


def timed(call: Call, device: torch.device) -> float:
    """Process seconds of a call on a CPU, wall seconds on a GPU."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    synchronise(device)
    start = clock()
    call()
    synchronise(device)
    return clock() - start


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """One thread on a CPU, and as many as before afterwards."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
