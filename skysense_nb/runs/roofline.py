"""Where the parts of a model stand below the limits of a machine: how fast it multiplies, how fast it copies.

A part has to read its weights and inputs and to write its outputs at least once. Its operations per byte of these say
which limit it meets first; how far below it stays says what a better form could still gain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skysense_nb.models.inference import Maker, choose
from skysense_nb.models.presets import preset
from skysense_nb.runs.bench import count_gflop
from skysense_nb.runs.bench_inference import Comparison, compared, deepest, one_thread, timed
from skysense_nb.runs.bench_parts import Geometry
from skysense_nb.runtime import PRECISIONS, choose_device

if TYPE_CHECKING:
    import pandas as pd

SIDE = 2048
"""Of the product that sets a limit."""

COPIED = 256 * 10**6
"""Bytes of the array whose copy sets the other: more than any cache holds."""

ROUNDS = 5


def roofs(precisions: Sequence[str] = ("fp32", "bf16"), device: str = "auto") -> dict[str, float]:
    """GFLOP/s of a large product: in each precision in the fastest way, and in fp32 as PyTorch does it by itself.

    Measured on one thread of a CPU, like the parts in `bench_inference`.

    Example:
        >>> list(roofs(("bf16",), "cpu"))[0]
        'fp32, plain products'
    """
    where = choose_device(device)
    kinds = {precision: choose(where, PRECISIONS[precision]).kind for precision in precisions}
    wanted = dict.fromkeys([("fp32", "plain"), *kinds.items()])
    with one_thread(where):
        return {f"{name}, {kind} products": product_rate(where, PRECISIONS[name], kind) for name, kind in wanted}


@torch.inference_mode()
def product_rate(device: torch.device, dtype: torch.dtype, kind: str) -> float:
    """GFLOP/s of a square product in one way."""
    x, weight = (torch.randn(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    product = Maker(dtype, device, kind).weight(weight, None)
    return 2 * SIDE**3 / fastest(lambda: product(x), device) / 1e9


@torch.inference_mode()
def memory_rate(device: str = "auto") -> float:
    """GB/s that are read and written while a large array is copied, on one thread of a CPU.

    Example:
        >>> memory_rate("cpu") > 0
        True
    """
    where = choose_device(device)
    source, target = (torch.ones(COPIED, dtype=torch.uint8, device=where) for _ in range(2))
    with one_thread(where):
        return 2 * COPIED / fastest(lambda: target.copy_(source), where) / 1e9


def fastest(call: Callable[[], Tensor], device: torch.device) -> float:
    """Seconds of the fastest of some calls, after one for nothing."""
    call()
    return min(timed(call, device) for _ in range(ROUNDS))


def roofline_points(name: str, rows: Sequence[Comparison], geometry: Geometry) -> pd.DataFrame:
    """Each part in its plain form and its inference forms: `flop_per_byte` and `gflop_per_s`.

    Both count the operations of the plain form. An inference form that leaves some out may so stand above a limit.

    Args:
        name: Preset.
        rows: What `bench_inference` measured of it; the whole model is left out.
        geometry: What was read.
    """
    import pandas as pd

    parts = {label: (make, shape) for label, _, make, shape in compared(preset(name), geometry)}
    points, told = [], set()
    for row in rows:
        make, shape = parts[row.part]
        if not isinstance(shape, tuple):
            continue
        gflop, moved = count_gflop(make, shape), numbers_moved(make, shape)
        forms = [("inference form", row.precision, row.fast_s)]
        if row.part not in told:
            forms.insert(0, ("plain form", "fp32", row.plain_s))
            told.add(row.part)
        for form, precision, seconds in forms:
            intensity = gflop * 1e9 / (moved * PRECISIONS[precision].itemsize)
            points.append((row.part, form, precision, intensity, gflop / seconds))
    return pd.DataFrame(points, columns=["part", "form", "precision", "flop_per_byte", "gflop_per_s"])


def numbers_moved(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> int:
    """How many numbers weights, inputs and outputs have together, found without computing anything."""
    with torch.device("meta"), torch.no_grad():
        module, inputs = make().eval(), torch.empty(shape)
        outputs = deepest(module(inputs))
    return sum(parameter.numel() for parameter in module.parameters()) + inputs.numel() + outputs.numel()
