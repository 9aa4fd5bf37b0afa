"""Machines that a run is planned for: data sheets of two GPUs, and this machine as it is measured.

`calibrate` compares a real step with what its operations should take: the share is the planner's `efficiency`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.absent_gpu import mixed_precision
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.pretraining.rehearsal import fresh_networks, overlapping_views, rehearse
from skysense_nb.runtime import choose_device

GIB = 2**30


@dataclass(frozen=True)
class Machine:
    """One GPU, or one computer without, and how it reaches its neighbours.

    Attributes:
        name: For the table.
        memory_gib: What a program can have.
        tflops_bf16, tflops_fp32: Rate of a large matrix product.
        bandwidth_gb_s: Of its memory.
        link_gb_s: To the other GPUs of the same computer, in one direction.
        node: GPUs of a computer.
        network_gb_s: Per GPU to other computers, in one direction.
        device: `cuda` or `cpu`: whose kernels and whose mixed precision.
    """

    name: str
    memory_gib: float
    tflops_bf16: float
    tflops_fp32: float
    bandwidth_gb_s: float
    link_gb_s: float
    node: int = 8
    network_gb_s: float = 50.0
    device: str = "cuda"

    def tflops(self, precision: str) -> float:
        """Rate in a recipe's precision."""
        return self.tflops_bf16 if precision == "bf16" else self.tflops_fp32

    def link(self, gpus: int) -> float:
        """GB/s of the slowest link that a ring of so many GPUs has."""
        return self.link_gb_s if gpus <= self.node else min(self.link_gb_s, self.network_gb_s)


MACHINES = {
    "h200": Machine("H200", 139, 790, 67, 4300, 450),
    "a100": Machine("A100-80GB", 79, 312, 19.5, 2000, 300),
}
"""Memory, bf16 and bandwidth of the H200 as they are in use, the rest from data sheets; the network is assumed to be
one of 400 Gbit/s per GPU. fp32 without TF32, PyTorch's default."""


def machine(name: str) -> Machine:
    """A machine by name; `here` measures this one.

    Raises:
        ParameterError: An unknown name.

    Example:
        >>> machine("h200").memory_gib
        139
    """
    if name == "here":
        return this_machine()
    if name not in MACHINES:
        raise ParameterError.of(f"a machine among {', '.join(MACHINES)}, here", repr(name), "Or make a Machine.")
    return MACHINES[name]


def this_machine() -> Machine:
    """Measures this machine in a few seconds: rates of matrix products, bandwidth, memory. Links are taken as memory's.

    Example:
        >>> this_machine().tflops_fp32 > 0
        True
    """
    device = choose_device("cuda" if torch.cuda.is_available() else "cpu")
    side = 8192 if device.type == "cuda" else 1024
    rates = {}
    for dtype in (torch.bfloat16, torch.float32):
        a, b = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
        rates[dtype] = 2 * side**3 / fastest(lambda a=a, b=b: nn.functional.linear(a, b), device) / 1e12
    block = torch.ones(2**26 if device.type == "cuda" else 2**23, device=device)
    bandwidth = 2 * block.nbytes / fastest(lambda: block.mul_(1.0), device) / 1e9
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "this CPU"
    sizes = memory_gib(device), *rates.values(), bandwidth, bandwidth
    return Machine(name, *sizes, node=max(1, torch.cuda.device_count()), device=device.type)


def memory_gib(device: torch.device) -> float:
    """All memory of a GPU, or of this computer."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory / GIB
    import psutil

    return psutil.virtual_memory().total / GIB


def fastest(work: Callable[[], object], device: torch.device, rounds: int = 4) -> float:
    """Seconds of the fastest of some calls; a first one warms up."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


@dataclass(frozen=True)
class Calibration:
    """What a real step reached here; prints as one line.

    Attributes:
        machine: This machine.
        seconds: Time of one step, forward, backward and optimiser.
        tflop: Its operations, × 10¹².
        efficiency: Achieved share of the rate of a matrix product.
    """

    machine: Machine
    seconds: float
    tflop: float
    efficiency: float

    def __str__(self) -> str:
        rate = f"{self.tflop / self.seconds:.3g} TFLOP/s, {self.efficiency:.0%} of a matrix product's"
        return f"{self.machine.name}: a step of {self.seconds:.3g} s at {rate}"


def calibrate(recipe: Recipe, machine: Machine | None = None, rounds: int = 2) -> Calibration:
    """Times real steps of a recipe on this machine, with random images.

    Args:
        recipe: Must fit here; a smaller model or batch reaches less of the machine's rate than a large one.
        machine: This machine, if it has been measured already.
        rounds: Steps; the fastest counts, after one that warms up.

    Example:
        >>> from skysense_nb.pretraining.crops import CropPlan
        >>> small = Recipe(batch=1, views=CropPlan(global_cells=2, local_views=0, s2_dates=1, s1_dates=1))
        >>> calibrate(small).seconds > 0
        True
    """
    machine = machine or this_machine()
    device = torch.device(machine.device)
    network = fresh_networks(recipe, device)
    optimiser = torch.optim.AdamW([weight for weight in network.parameters() if weight.requires_grad], fused=True)
    views = overlapping_views(recipe, network, recipe.batch, device)

    def step() -> None:
        with mixed_precision(device.type, recipe.precision == "bf16"):
            loss = torch.stack(list(network.losses(views).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        network.follow(recipe.teacher_momentum)

    seconds = fastest(step, device, rounds)
    tflop = rehearse(recipe, device.type).step_flops / 1e12
    return Calibration(machine, seconds, tflop, tflop / seconds / machine.tflops(recipe.precision))
