"""Memory and time of a pre-training run before it is started: what fits where, how long it takes, what limits it.

Activations and operations are counted in a rehearsal of the real step, the rest follows from the number of weights.
Times are a model: operations at a share (`efficiency`) of the rate of a large matrix product, bytes at the rate of
memory and links. Loading of data is not in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache

from skysense_nb.errors import ParameterError
from skysense_nb.models.counts import count
from skysense_nb.models.meter import COPIES, PARTS, REST
from skysense_nb.pretraining.machines import GIB, Machine
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.pretraining.rehearsal import BLOCKS, Rehearsal, fresh_networks, rehearse

STRATEGIES = ("single", "ddp", "fsdp")

EFFICIENCY = 0.35
"""Our choice. The published run, 24,600 hours of A100, comes to 0.14–0.25 of these GPUs' rate, well-tuned training of
large transformers to 0.5. `calibrate` measures it."""

USABLE = 0.92
"""Of a machine's memory; the rest is for the CUDA context and what the allocator cannot use. Our choice."""

ACTIVATIONS = (*PARTS, REST, COPIES, "passing")
"""What of the memory depends on the batch, or is made anew in each step."""

SEARCHES = 4
"""Rehearsals that look for the largest batch."""


@dataclass(frozen=True)
class Plan:
    """What one process of a run needs and how long a step takes; prints as a table.

    Attributes:
        recipe, machine, gpus, strategy, efficiency: What was planned.
        memory_gib: Peak of one GPU, by what holds it. `hr` to `losses` are activations kept for the backward pass,
            `passing` is freed within the step: the teacher's maps, views, intermediate values.
        tflop: Operations of one GPU per step, × 10¹².
        arithmetic_s, update_s, link_s: Time for these; for the optimiser and the teacher; for traffic between GPUs.
    """

    recipe: Recipe
    machine: Machine
    gpus: int
    strategy: str
    efficiency: float
    memory_gib: dict[str, float]
    tflop: float
    arithmetic_s: float
    update_s: float
    link_s: float

    @property
    def tiles_at_once(self) -> int:
        """Tiles of one forward and backward pass of one GPU."""
        return self.recipe.batch // self.recipe.accumulate

    @property
    def total_gib(self) -> float:
        """All memory of one GPU."""
        return sum(self.memory_gib.values())

    @property
    def fits(self) -> bool:
        """Whether the machine has as much."""
        return self.total_gib <= USABLE * self.machine.memory_gib

    @property
    def step_s(self) -> float:
        """Seconds of one step; traffic goes on beside the arithmetic."""
        return max(self.arithmetic_s, self.link_s) + self.update_s

    @property
    def tiles_per_s(self) -> float:
        """Tiles that all GPUs together train on."""
        return self.gpus * self.recipe.batch / self.step_s

    @cached_property
    def most_at_once(self) -> int:
        """Most tiles that fit at once on one GPU, 0 if not even one does; looked for when first asked for.

        Long losses are recomputed in parts (`Contrast`), so memory does not simply grow with the batch. The search
        rehearses what the last rehearsal lets expect, and takes the most that it has seen to fit.
        """
        tiles, best, tried = self.tiles_at_once, 0, set()
        while tiles >= 1 and tiles not in tried and len(tried) < SEARCHES:
            tried.add(tiles)
            table = memory(replace(self.recipe, batch=tiles, accumulate=1), self.machine, self.gpus, self.strategy)
            state = sum(size for name, size in table.items() if name not in ACTIVATIONS)
            room, held = USABLE * self.machine.memory_gib - state, sum(table.values()) - state
            best = max(best, tiles) if held <= room else best
            tiles = int(tiles * room / held)
        return best

    @property
    def limit(self) -> str:
        """What to change first."""
        if not self.fits:
            way = "shard over more GPUs" if self.recipe.recompute else "switch recompute on"
            if self.most_at_once:
                way = f"at most {self.most_at_once} tiles at once fit, so raise accumulate"
            usable = f"{USABLE * self.machine.memory_gib:.0f} of {self.machine.memory_gib:.0f} GiB"
            return f"Memory: {self.total_gib:.1f} GiB are needed where {usable} can be used; {way}."
        if self.link_s > self.arithmetic_s:
            times = self.link_s / self.arithmetic_s
            return f"Link: traffic takes {times:.1f} × as long as the arithmetic; raise the batch."
        share = self.arithmetic_s / self.step_s
        if share < 0.5:
            return "Memory's bandwidth: optimiser and teacher take longer than the arithmetic; raise the batch."
        return f"Arithmetic: {share:.0%} of a step, at {self.efficiency:.0%} of a matrix product's rate."

    def to_dict(self) -> dict[str, object]:
        """Plain values for a table or JSON."""
        derived = ("total_gib", "most_at_once", "fits", "step_s", "tiles_per_s", "limit")
        return asdict(self) | {name: getattr(self, name) for name in derived}

    def __str__(self) -> str:
        recipe, machine = self.recipe, self.machine
        copies = f"{self.gpus} × {machine.name}, {self.strategy}" if self.gpus > 1 else machine.name
        recompute = ", recomputed" if recipe.recompute else ""
        lines = [f"{recipe.preset} on {copies} · {recipe.precision}{recompute} · {self.tiles_at_once} tiles at once"]
        lines += [f"  {name:<28}{size:8.2f} GiB" for name, size in self.memory_gib.items()]
        verdict = "fits" if self.fits else "does not fit"
        lines.append(f"  {'in all':<28}{self.total_gib:8.2f} GiB of {machine.memory_gib:.0f}: {verdict}")
        lines.append(f"  {'most tiles at once':<28}{self.most_at_once:5d}")
        times = f"arithmetic {self.arithmetic_s:.3g} s, link {self.link_s:.3g} s, update {self.update_s:.3g} s"
        lines.append(f"  {'step':<28}{self.step_s:8.3g} s   ({times})")
        work = f"{self.tflop:.3g} TFLOP in each"
        lines.append(f"  {'all GPUs together':<28}{self.tiles_per_s:8.3g} tiles/s   ({work})")
        hours = recipe.steps * self.step_s / 3600
        lines.append(f"  {f'{recipe.steps:,} steps':<28}{hours:8.3g} h   ({hours * self.gpus:.3g} GPU hours)")
        return "\n".join([*lines, self.limit])


def plan(
    recipe: Recipe, machine: Machine, gpus: int = 1, strategy: str = "auto", efficiency: float = EFFICIENCY
) -> Plan:
    """Says what a recipe needs on each of some GPUs, and how long a step takes there.

    Every process has the recipe's `batch`, so more GPUs train on more tiles per step.

    Args:
        recipe: What to run.
        machine: One GPU.
        gpus: How many.
        strategy: `single`; `ddp`, everything on every GPU; `fsdp`, weights, gradients, moments and teacher divided
            among the GPUs block by block (`sharding.shard`), buffers with the prototypes whole on each; or `auto`:
            `single` for one GPU, for more `ddp` where it fits, else `fsdp`.
        efficiency: Achieved share of the rate of a matrix product, from `calibrate`.

    Raises:
        ParameterError: An unknown strategy, or one that does not go with the number of GPUs.

    Example:
        >>> from skysense_nb.pretraining.crops import CropPlan
        >>> from skysense_nb.pretraining.machines import MACHINES
        >>> small = Recipe(batch=1, views=CropPlan(global_cells=2, local_views=0, s2_dates=1, s1_dates=1))
        >>> plan(small, MACHINES["h200"]).fits
        True
    """
    if strategy == "auto" and gpus > 1:
        replicated = plan(recipe, machine, gpus, "ddp", efficiency)
        return replicated if replicated.fits else plan(recipe, machine, gpus, "fsdp", efficiency)
    strategy = "single" if strategy == "auto" else strategy
    if strategy not in STRATEGIES or gpus < 1 or (strategy == "single") != (gpus == 1):
        got = f"{strategy!r} with {gpus} GPUs"
        raise ParameterError.of("single for one GPU, ddp or fsdp for more, or auto", got, "Leave it at auto.")
    sizes = weights(recipe)
    shards = gpus if strategy == "fsdp" else 1
    updated = (28 * sizes.trained + 12 * sizes.frozen) / shards  # bytes read and written, fp32
    tflop = recipe.accumulate * rehearse_part(recipe, machine).step_flops / 1e12
    return Plan(
        recipe=recipe,
        machine=machine,
        gpus=gpus,
        strategy=strategy,
        efficiency=efficiency,
        memory_gib=memory(recipe, machine, gpus, strategy),
        tflop=tflop,
        arithmetic_s=tflop / (machine.tflops(recipe.precision) * efficiency),
        update_s=updated / machine.bandwidth_gb_s / 1e9,
        link_s=traffic(sizes, recipe, gpus, strategy) / machine.link(gpus) / 1e9,
    )


def scale(
    recipe: Recipe, machine: Machine, counts: Sequence[int] = (1, 8, 64, 128), efficiency: float = EFFICIENCY
) -> list[Plan]:
    """Plans of the same recipe for several numbers of GPUs, each with the strategy `auto` takes.

    Example:
        >>> from skysense_nb.pretraining.crops import CropPlan
        >>> from skysense_nb.pretraining.machines import MACHINES
        >>> small = Recipe(batch=1, views=CropPlan(global_cells=2, local_views=0, s2_dates=1, s1_dates=1))
        >>> [each.strategy for each in scale(small, MACHINES["h200"])]
        ['single', 'ddp', 'ddp', 'ddp']
    """
    return [plan(recipe, machine, gpus, efficiency=efficiency) for gpus in counts]


@dataclass(frozen=True)
class Weights:
    """Numbers of weights of a run: trained; following (the teacher); those of the largest block; bytes of buffers."""

    trained: int
    frozen: int
    block: int
    buffer_bytes: int


@lru_cache(maxsize=64)
def weights(recipe: Recipe) -> Weights:
    """Counts the weights of a run, without making them.

    Example:
        >>> weights(Recipe()).trained > weights(Recipe()).frozen  # the student has projections of its own
        True
    """
    network = fresh_networks(recipe)
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    largest = max(count(part) for part in network.student.modules() if isinstance(part, BLOCKS))
    return Weights(trained, count(network) - trained, largest, sum(buffer.nbytes for buffer in network.buffers()))


def memory(recipe: Recipe, machine: Machine, gpus: int, strategy: str) -> dict[str, float]:
    """What one GPU holds at the peak of a step, GiB.

    Weights are in fp32 also in mixed precision. Gradients count in full beside the activations: Lightning frees the
    last step's after the forward pass only. DDP holds them a second time in its buckets. FSDP gathers the weights of
    two blocks at a time, and the gradient of one, in fp32; autocast keeps its copies in either case.
    """
    sizes, rehearsal = weights(recipe), rehearse_part(recipe, machine)
    shards = gpus if strategy == "fsdp" else 1
    held = {
        "student and its heads": 4 * sizes.trained / shards,
        "gradients": 4 * sizes.trained / shards,
        "moments of AdamW": 8 * sizes.trained / shards,
        "teacher and its heads": 4 * sizes.frozen / shards,
        "prototypes and tables": sizes.buffer_bytes,
    }
    if strategy == "ddp":
        held["buckets of DDP"] = 4 * sizes.trained
    if strategy == "fsdp":
        held["gathered blocks"] = 3 * 4 * sizes.block
    kept = {part: rehearsal.kept[part] for part in ACTIVATIONS if part in rehearsal.kept}
    passing = rehearsal.peak - sum(kept.values())
    return {name: size / GIB for name, size in (held | kept | {"passing": passing}).items()}


def traffic(sizes: Weights, recipe: Recipe, gpus: int, strategy: str) -> float:
    """Bytes that one GPU sends in a step, in rings.

    All in fp32. DDP sums the gradients once. FSDP gathers weights for every forward and every backward pass and sums
    gradients after each; views of another size are passes of their own.
    """
    share = (gpus - 1) / gpus
    if strategy != "fsdp":
        return 2 * share * 4 * sizes.trained
    views = recipe.views
    passes = len({views.global_cells, *([views.local_cells] if views.local_views else [])})
    teacher = passes if recipe.terms.queries else 1
    return recipe.accumulate * share * 4 * (3 * passes * sizes.trained + teacher * sizes.frozen)


def rehearse_part(recipe: Recipe, machine: Machine) -> Rehearsal:
    """A rehearsal of as many tiles as the recipe computes at once."""
    return rehearse(replace(recipe, batch=recipe.batch // recipe.accumulate, accumulate=1), machine.device)
