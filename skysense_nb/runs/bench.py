"""How fast the modules are on this machine: latency, FLOPs, share of a measured matrix product, peak memory.

Every figure is measured in the same process on random weights (what was learned changes no arithmetic, except which
experts of a mixture get tokens).
FLOPs are counted on the meta device, two per multiply-add; the ceiling is a large matrix product timed here.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from skysense_nb.errors import ParameterError
from skysense_nb.models.presets import preset
from skysense_nb.models.unified import MERGING
from skysense_nb.runs.bench_parts import Geometry, Part, hr_path, modules
from skysense_nb.runtime import MIB, choose_device, choose_precision

RANDOM_NUMBERS = 999_983
"""In the weights of a module, drawn once; prime, so that no two rows of a matrix are equal."""


@dataclass(frozen=True)
class Measurement:
    """One module on one device in one precision.

    Attributes:
        module, reads: What was run on what.
        parameters_m: Millions of parameters.
        gflop: Billions of operations of one call.
        wall_s, cpu_s: Median wall and process time of one call, seconds.
        gflop_per_s: Achieved rate.
        share: Achieved rate as a fraction of the matrix product measured in the same run.
        peak_mib: Memory one call needs beyond the weights, MiB; None where the system does not tell.
    """

    module: str
    reads: str
    precision: str
    parameters_m: float
    gflop: float
    wall_s: float
    cpu_s: float
    gflop_per_s: float
    share: float
    peak_mib: float | None

    def __str__(self) -> str:
        peak = "" if self.peak_mib is None else f" · {self.peak_mib:6.0f} MiB"
        return (
            f"{self.module:<11} {self.reads:<25} {self.precision} · {self.parameters_m:6.1f} M · "
            f"{self.gflop:7.1f} GFLOP · {self.wall_s:7.3f} s · {self.gflop_per_s:6.0f} GFLOP/s, "
            f"{self.share:4.0%} of a matrix product{peak}"
        )

    def to_dict(self) -> dict[str, float | str | None]:
        """Plain values for a table or JSON."""
        return asdict(self)


def bench(
    name: str = "skysense",
    *,
    geometry: Geometry | None = None,
    precisions: tuple[str, ...] = ("fp32", "bf16"),
    device: str = "auto",
    rounds: int = 3,
) -> Iterator[Measurement]:
    """Measures each part of a preset, one after the other, so that only one is in memory at a time.

    Example:
        >>> rows = list(bench("skysense-tiny", precisions=("fp32",), device="cpu", rounds=1))
        >>> [row.module for row in rows]
        ['HR encoder', 'S2 encoder', 'S2 head', 'S1 encoder', 'S1 head', 'fusion']
    """
    geometry = geometry or Geometry()
    yield from measure(modules(preset(name), geometry), geometry, precisions, device, rounds)


def bench_hr_strides(
    name: str = "skysense-v2-tiny",
    *,
    cells: int = 8,
    precision: str = "fp32",
    device: str = "auto",
    rounds: int = 3,
) -> list[Measurement]:
    """What finer maps of V2's HR path cost: strides 32, 16, 8 and 4 from the same weights.

    Example:
        >>> rows = bench_hr_strides(cells=2, device="cpu", rounds=1)
        >>> [row.module for row in rows]
        ['HR encoder, stride 32', 'HR encoder, stride 16', 'HR encoder, stride 8', 'HR encoder, stride 4']
    """
    parts = []
    for stride in MERGING:
        label, *part = hr_path(preset(name), Geometry(cells, hr_stride=stride))
        parts.append((f"{label}, stride {stride}", *part))
    return list(measure(parts, Geometry(cells), (precision,), device, rounds))


def measure(
    parts: Iterable[Part], geometry: Geometry, precisions: tuple[str, ...], device: str, rounds: int
) -> Iterator[Measurement]:
    """Measures parts one after the other, dropping each before the next."""
    check_counts(geometry, rounds)
    where = choose_device(device)
    dtypes = {precision: choose_precision(precision, where) for precision in precisions}
    ceilings = {precision: matrix_product_rate(where, dtype) for precision, dtype in dtypes.items()}
    for label, reads, build, shape in parts:
        gflop = count_gflop(build, shape)
        for precision in precisions:
            module = random_module(build, where, dtypes[precision])
            inputs = torch.randn(shape, device=where, dtype=dtypes[precision])
            wall, cpu, peak = time_call(module, inputs, rounds)
            size = sum(parameter.numel() for parameter in module.parameters()) / 1e6
            rate = gflop / wall
            share = rate / ceilings[precision]
            yield Measurement(label, reads, precision, size, gflop, wall, cpu, rate, share, peak)
            del module, inputs
            gc.collect()


def check_counts(geometry: Geometry, rounds: int) -> None:
    """Refuses to measure nothing."""
    if min(geometry.cells, geometry.s2_dates, geometry.s1_dates, rounds) < 1:
        raise ParameterError.of("counts of at least one", f"{geometry}, {rounds} rounds", "Ask for more.")


def matrix_product_rate(device: torch.device, dtype: torch.dtype, side: int | None = None) -> float:
    """GFLOP/s of a square linear layer, the best of five: the ceiling the modules are compared with."""
    side = side or product_side(device)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(6):
        synchronise(device)
        start = time.perf_counter()
        nn.functional.linear(a, b)
        synchronise(device)
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times[1:]) / 1e9


def product_side(device: torch.device) -> int:
    """Rows and columns of the factors of a product that keeps a device busy."""
    return 8192 if device.type == "cuda" else 2048


def count_gflop(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> float:
    """Billions of operations of one call, counted without computing anything."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        build().eval()(torch.empty(shape))
    return counter.get_total_flops() / 1e9


def random_module(build: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A module with small random weights, made where it runs and without a second copy.

    One block of numbers fills all its tensors, because drawing a billion of them takes longer than the call.
    """
    with torch.device("meta"):
        module = build().to(dtype)
    module = module.to_empty(device=device).eval().requires_grad_(False)
    block = 0.02 * torch.randn(RANDOM_NUMBERS, device=device, dtype=dtype)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            for part in tensor.view(-1).split(RANDOM_NUMBERS):
                part.copy_(block[: len(part)])
        else:
            tensor.zero_()
    return module


@torch.inference_mode()
def time_call(module: nn.Module, inputs: Tensor, rounds: int) -> tuple[float, float, float | None]:
    """Median wall and process seconds of a call, and its peak memory in MiB; one call warms up."""
    device = inputs.device
    before = reset_peak(device)
    module(inputs)
    synchronise(device)
    peak = None if before is None else read_peak(device) - before
    wall, cpu = [], []
    for _ in range(rounds):
        starts = time.perf_counter(), time.process_time()
        module(inputs)
        synchronise(device)
        wall.append(time.perf_counter() - starts[0])
        cpu.append(time.process_time() - starts[1])
    return statistics.median(wall), statistics.median(cpu), peak


def synchronise(device: torch.device) -> None:
    """Waits for a GPU; a CPU is never behind."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak(device: torch.device) -> float | None:
    """Starts a new peak; returns what is held now, MiB, or None where the system does not tell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / MIB
    switch = Path("/proc/self/clear_refs")
    if device.type != "cpu" or not switch.exists():
        return None
    ctypes.CDLL(None).malloc_trim(0)  # or memory freed earlier would hide what a call takes
    switch.write_text("5")
    return process_memory("VmRSS")


def read_peak(device: torch.device) -> float:
    """Highest memory since `reset_peak`, MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    return process_memory("VmHWM")


def process_memory(field: str) -> float:
    """A memory figure of this process from /proc, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
