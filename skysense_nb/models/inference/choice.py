"""Which way of multiplying is fastest here: measured once on this machine, then remembered."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from skysense_nb.layers.autocast import full_precision
from skysense_nb.models.inference.linear import KINDS, PreparedLinear
from skysense_nb.runtime import PRECISIONS, onednn_switch, processor

ROUNDING = 1e-5
"""Largest error of an fp32 product, relative to its largest value; a way that rounds to bf16 inside is refused."""

CLOSE = 0.9
"""Of the best rate: the first of `KINDS` that reaches it is taken, so that noise does not decide."""

ROWS, SIDE = 512, 1024
"""Of the measured product."""


@dataclass(frozen=True)
class Choice:
    """What was measured.

    Attributes:
        kind: The fastest way for the dtype asked for.
        rates: GFLOP/s of one core for each way that works, by dtype and way; empty on a GPU, which leaves no choice.
        dtype: The dtype asked for.
    """

    kind: str
    rates: dict[str, dict[str, float]]
    dtype: str

    def __str__(self) -> str:
        if not self.rates:
            return f"{self.dtype}, {self.kind} products"
        here, half = self.rates[self.dtype], self.rates.get("bf16")
        told = f"{self.dtype}, {self.kind} products ({here[self.kind]:.0f} GFLOP/s a core"
        if "plain" in here:
            told += f"; plain {here['plain']:.0f}"
        return f"{told}, bf16 would reach {max(half.values()):.0f})" if half and self.dtype == "fp32" else f"{told})"


def choose(device: torch.device, dtype: torch.dtype) -> Choice:
    """The fastest way to multiply on a device in a dtype.

    Example:
        >>> choose(torch.device("cpu"), torch.float32).kind in KINDS
        True
    """
    name = next((name for name, one in PRECISIONS.items() if one == dtype), str(dtype))
    if device.type != "cpu":
        return Choice("plain", {}, name)
    rates = remembered()
    if name not in rates:
        return Choice("plain", {}, name)
    enough = CLOSE * max(rates[name].values())
    return Choice(next(kind for kind, rate in rates[name].items() if rate >= enough), rates, name)


@cache
def remembered() -> dict[str, dict[str, float]]:
    """Rates of a core of this machine, from the user's cache folder if they were measured before."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = root / "skysense-nb" / "matrix_products.json"
    key = f"{processor()}, torch {torch.__version__}"
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    known = known if isinstance(known, dict) else {}
    if not sound(known.get(key)):
        measured = {name: measure(PRECISIONS[name]) for name in ("fp32", "bf16")}
        known[key] = {name: rates for name, rates in measured.items() if rates}
        keep(path, known)
    return known[key]


def sound(rates: object) -> bool:
    """Whether these are rates of ways that we know, by dtype and way: anybody may have written that file."""
    return isinstance(rates, dict) and all(
        name in PRECISIONS
        and isinstance(ways, dict)
        and ways
        and all(way in KINDS and isinstance(rate, int | float) and rate > 0 for way, rate in ways.items())
        for name, ways in rates.items()
    )


def keep(path: Path, known: dict) -> None:
    """Writes the rates, beside the file first; where nothing can be written they are measured again next time."""
    beside = path.with_name(f".{os.getpid()}.json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(known, indent=1))
        os.replace(beside, path)
    except OSError:
        return


@torch.no_grad()
def measure(dtype: torch.dtype) -> dict[str, float]:
    """GFLOP/s on one core of each way that works here and is as exact as the plain one."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(rows, SIDE, generator=generator).to(dtype) for rows in (ROWS, SIDE))
    exact, rates, threads = x.double() @ weight.double().T, {}, torch.get_num_threads()
    torch.set_num_threads(1)  # process time is then what an idle core would take, whoever else computes
    try:
        for kind in KINDS:
            try:
                with full_precision(x.device), onednn_switch("none"):
                    product = PreparedLinear(weight, None, dtype, x.device, kind)
                    error = float((product(x).double() - exact).abs().max() / exact.abs().max())
                    if dtype != torch.float32 or error < ROUNDING:
                        rates[kind] = round(2 * ROWS * SIDE**2 / best_time(partial(product, x)) / 1e9, 1)
            except (RuntimeError, AttributeError):  # operators or switches that this build of torch has not
                continue
    finally:
        torch.set_num_threads(threads)
    return rates


def best_time(call: Callable[[], Tensor]) -> float:
    """Seconds of this thread for the fastest of twelve calls."""
    times = []
    for _ in range(12):
        start = time.thread_time()
        call()
        times.append(time.thread_time() - start)
    return min(times)
