"""Device, precision, seeds and peak memory, so that no other file has to think about them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import platform
import re
import resource
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from skysense_nb.errors import EnvironmentProblem, ParameterError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MIB = 2**20


def choose_device(name: str = "auto") -> torch.device:
    """Picks where to compute: `auto` takes cuda, then mps, then cpu.

    Raises:
        EnvironmentProblem: The device asked for by name is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    match = re.fullmatch(r"(cuda|mps|cpu)(?::(\d+))?", name)
    if match is None:
        raise ParameterError.of("a device among auto, cuda, mps, cpu", repr(name), "Leave it at 'auto' if unsure.")
    kind, number = match[1], int(match[2] or 0)
    if not there[kind] or number >= max(1, torch.cuda.device_count() if kind == "cuda" else 1):
        raise EnvironmentProblem.of(f"the device {name!r}", "a machine without it", "Use device='auto' or 'cpu'.")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Dtype of the weights and the forward pass: `auto` is bf16 on a GPU that computes in it, fp32 elsewhere."""
    if name == "auto":  # GPUs before Ampere only imitate bf16, slower than fp32
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    if name not in PRECISIONS:
        raise ParameterError.of(f"a precision among auto, {', '.join(PRECISIONS)}", repr(name), "Choose one of these.")
    return PRECISIONS[name]


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch (every device), so that a run repeats."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def mixed_seed(*numbers: int) -> int:
    """A seed that depends on all numbers.

    Example:
        >>> mixed_seed(1, 2) == mixed_seed(1, 2) != mixed_seed(2, 1)
        True
    """
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=7).digest(), "big")


def peak_memory_mib(device: torch.device | None = None) -> dict[str, float]:
    """Highest memory this process has held so far, in MiB: `host`, and `device` on a GPU."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB}
    if device is not None and device.type == "cuda":
        peak["device"] = torch.cuda.max_memory_allocated(device) / MIB
    return peak


@contextlib.contextmanager
def evaluation_mode(*modules: torch.nn.Module | None) -> Iterator[None]:
    """Puts modules into evaluation mode, and afterwards every part back into the mode it was in: a frozen encoder may
    rest in a training model.

    Example:
        >>> layer = torch.nn.Dropout()
        >>> with evaluation_mode(layer):
        ...     inside = layer.training
        >>> inside, layer.training
        (False, True)
    """
    modes = {part: part.training for module in modules if module is not None for part in module.modules()}
    try:
        for part in modes:
            part.training = False
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextlib.contextmanager
def fast_products() -> Iterator[None]:
    """Takes the faster of PyTorch's two libraries for fp32 products on the CPU, where it is as exact as the other.

    Example:
        >>> with fast_products():
        ...     product = torch.ones(2, 3) @ torch.ones(3, 2)
    """
    with onednn_switch("bf16") if onednn_is_better() else contextlib.nullcontext():
        yield


SWITCHED: list[str] = []
"""How the switch stood each time that it was turned and is not yet turned back."""

SWITCHING = threading.Lock()


@contextlib.contextmanager
def onednn_switch(way: str) -> Iterator[None]:
    """Turns the switch for fp32 products on the CPU: `bf16` takes oneDNN, which rounds nothing where processors have
    no tiles of bf16; `none` what PyTorch takes by itself. It is one for all threads: the last one out puts it back.

    Raises:
        AttributeError: This build of torch has no such switch.
    """
    switch = torch.backends.mkldnn.matmul
    with SWITCHING:
        SWITCHED.append(switch.fp32_precision)
        switch.fp32_precision = way
    try:
        yield
    finally:
        with SWITCHING:
            switch.fp32_precision = SWITCHED.pop()


@functools.cache
def onednn_is_better() -> bool:
    """Whether fp32 products by oneDNN are faster on this processor, and as exact to rounding.

    MKL leaves the wide registers of AMD's processors unused. Told by the processor's name and not by a clock, so that
    a run that is resumed rounds as before; that nothing is rounded to bf16 inside is tried out.
    """
    if "AuthenticAMD" not in processor() or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if not hasattr(torch.backends.mkldnn, "matmul"):
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(64, 512, generator=generator) for _ in range(2))
    exact, errors = x.double() @ weight.double().T, {}
    for way in ("none", "bf16"):
        with torch.no_grad(), torch.autocast("cpu", enabled=False), onednn_switch(way):
            errors[way] = float((torch.nn.functional.linear(x, weight) - exact).abs().max())
    return errors["bf16"] < 4 * errors["none"]


def processor() -> str:
    """Vendor and name of the processor."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    told = [line.partition(":")[2].strip() for line in lines if line.startswith(("vendor_id", "model name"))]
    return " ".join(told[:2]) or platform.machine()


@contextlib.contextmanager
def explain_out_of_memory(next_step: str) -> Iterator[None]:
    """Turns the allocator's error into one sentence that says what would fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        out_of_memory = isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "allocate memory" in str(error)
        if not out_of_memory:
            raise
        raise EnvironmentProblem.of("enough memory for this call", "an allocation that failed", next_step) from error


@dataclass(frozen=True)
class Session:
    """What a notebook computes on; prints as one line."""

    device: torch.device
    dtype: torch.dtype
    seed: int
    preset: str = ""

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        precision = next(key for key, value in PRECISIONS.items() if value == self.dtype)
        preset = f" · {self.preset}" if self.preset else ""
        return f"{name} · {precision}{preset} · seed {self.seed} · torch {torch.__version__}"


def session(preset: str = "", *, seed: int = 0, device: str = "auto", precision: str = "auto") -> Session:
    """Seeds everything, picks device and precision, and prints one line about it.

    Example:
        >>> here = session("skysense-tiny", device="cpu")  # doctest: +ELLIPSIS
        cpu · fp32 · skysense-tiny · seed 0 · torch ...
    """
    where = choose_device(device)
    seed_everything(seed)
    this = Session(where, choose_precision(precision, where), seed, preset)
    print(this)
    return this
