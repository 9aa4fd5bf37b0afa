"""How fast pre-training is on this machine: the parts of a step, and whether the data keep up with it.

Measured is the real run, `Pretraining` under Lightning on stored synthetic places, not a copy of its step. Views are
cut in the training process, so they are a part of the step; reading and collating tiles is the data side.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from tempfile import TemporaryDirectory
from typing import Any

from skysense_nb.errors import ParameterError
from skysense_nb.models.presets import preset as config_of
from skysense_nb.models.skysense_v2 import SkySenseV2Config
from skysense_nb.pretraining import CropPlan, Recipe, Terms
from skysense_nb.pretraining.places import SyntheticPlaces
from skysense_nb.pretraining.tiles import write_tiles
from skysense_nb.runs.bench_clock import CLUSTERING, PARTS, timed_run
from skysense_nb.runs.bench_data import DataRate, bench_data
from skysense_nb.runtime import choose_device

FAMILIES = ("skysense", "skysense-v2")


@dataclass(frozen=True)
class StepPart:
    """One part of a pre-training step, or the whole step.

    Attributes:
        preset, precision, recompute, compiled, batch: What was run on how many tiles.
        part: `step`, one of `PARTS`, or `CLUSTERING`.
        wall_s, cpu_s: Wall and process time, seconds.
        share: Of the step's wall time.
        steps_per_s, tiles_per_s: Rates of training; None for a part.
        peak_mib: What the step needs beyond the weights, MiB: gradients, moments of AdamW, activations; None for a
            part, and where the system does not tell.
    """

    preset: str
    precision: str
    recompute: bool
    compiled: bool
    batch: int
    part: str
    wall_s: float
    cpu_s: float
    share: float
    steps_per_s: float | None = None
    tiles_per_s: float | None = None
    peak_mib: float | None = None

    def __str__(self) -> str:
        form = ", ".join([self.precision, *["recomputed"] * self.recompute, *["compiled"] * self.compiled])
        rates = "" if self.tiles_per_s is None else f" · {self.steps_per_s:.3g} steps/s, {self.tiles_per_s:.3g} tiles/s"
        peak = "" if self.peak_mib is None else f" · {self.peak_mib:.0f} MiB"
        return f"{self.preset:<17} {form} · {self.part:<15} {self.wall_s:7.3f} s, {self.share:4.0%}{rates}{peak}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a table or JSON."""
        return asdict(self)


def recipe_of(
    preset: str, precision: str = "fp32", *, recompute: bool = False, cells: int = 8, batch: int = 8
) -> Recipe:
    """A recipe for a preset with the terms of its paper; large views have `cells` ground cells a side, small ones half.

    Example:
        >>> recipe_of("skysense-v2-tiny").terms.queries, recipe_of("skysense-tiny").terms.alignment
        (1.0, 0.5)
    """
    unified = isinstance(config_of(preset), SkySenseV2Config)
    return Recipe(
        preset=preset,
        batch=batch,
        precision=precision,
        recompute=recompute,
        terms=Terms(alignment=0.0, queries=1.0, text=1.0) if unified else Terms(),
        tile_cells=2 * math.ceil(0.75 * cells),
        views=CropPlan(global_cells=cells, local_cells=cells // 2, s2_dates=6, s1_dates=3),
    )


def chosen_recipes(
    preset: str | None = None,
    precisions: Sequence[str] | None = None,
    recompute: bool = False,
    *,
    cells: int = 8,
    batch: int = 8,
    device: str = "auto",
) -> list[Recipe]:
    """Recipes of a preset in some precisions; without one, of the tiny presets, and on a GPU of all sizes in bf16.

    Example:
        >>> [recipe.preset for recipe in chosen_recipes(precisions=["bf16"], device="cpu")]
        ['skysense-tiny', 'skysense-v2-tiny']
    """
    names = [preset] if preset else [f"{family}-tiny" for family in FAMILIES]
    forms = [(name, precision, recompute) for name in names for precision in precisions or ("fp32", "bf16")]
    if not preset and choose_device(device).type == "cuda":
        forms += [(f"{family}-small", "bf16", recompute) for family in FAMILIES]
        forms += [(family, "bf16", True) for family in FAMILIES]
    return [recipe_of(name, kind, recompute=again, cells=cells, batch=batch) for name, kind, again in forms]


def bench_pretraining(
    recipes: Sequence[Recipe],
    *,
    compiled: bool = False,
    device: str = "auto",
    rounds: int = 2,
    workers: Sequence[int] = (0, 2),
) -> Iterator[StepPart | DataRate]:
    """Measures a step of each recipe on tiles stored for it, then how fast such tiles come.

    Args:
        recipes: With the same tiles and batch: `recipe_of` with the same `cells` and `batch`.
        compiled: Compile the blocks of the models; the first steps then take minutes on a CPU, and are not counted.
        device: auto, cuda, mps or cpu.
        rounds: Steps that are timed; the middle one counts.
        workers: Numbers of processes that prepare data.

    Raises:
        ParameterError: No round, no recipe, or recipes with different tiles.

    Example:
        >>> rows = list(bench_pretraining([recipe_of("skysense-tiny", cells=2, batch=1)], rounds=1, workers=[0]))
        >>> rows[0].part, rows[-1].source
        ('step', 'synthetic places')
    """
    kinds = {(recipe.tile_cells, recipe.tile_s2_dates, recipe.tile_s1_dates, recipe.batch) for recipe in recipes}
    if len(kinds) != 1 or rounds < 1:
        got = f"{len(kinds)} kinds of tiles and batches, {rounds} rounds"
        raise ParameterError.of("recipes with the same tiles and batch, and a round", got, "Ask for them one by one.")
    ((cells, s2_dates, s1_dates, batch),) = kinds
    places, fastest = SyntheticPlaces(0, cells, s2_dates, s1_dates, labels=True), 0.0
    with TemporaryDirectory() as folder:
        write_tiles(folder, places, batch)
        for recipe in recipes:
            rows = bench_step(replace(recipe, tiles=folder, workers=0), compiled=compiled, device=device, rounds=rounds)
            fastest = max(fastest, rows[0].tiles_per_s)
            yield from rows
        yield from bench_data(places, folder, batch, fastest, workers)


def bench_step(recipe: Recipe, *, compiled: bool = False, device: str = "auto", rounds: int = 2) -> list[StepPart]:
    """The parts of a step of one recipe, the whole step first and the clustering last.

    Example:
        >>> rows = bench_step(recipe_of("skysense-tiny", cells=2, batch=1), device="cpu", rounds=1)
        >>> [row.part for row in rows][:3]
        ['step', 'views', 'student forward']
    """
    recipe = replace(recipe, accumulate=1)
    warm_up = 3 if compiled else 1  # the second batch has other numbers of valid dates, which compiles once more
    gc.collect()  # models and trainers of earlier runs hold each other
    clock = timed_run(recipe, choose_device(device), warm_up + rounds, compiled)[1]
    steps = sorted(clock.steps[warm_up:], key=lambda step: step["step"][0])
    middle = steps[(rounds - 1) // 2]
    form = recipe.preset, recipe.precision, recipe.recompute, compiled, recipe.batch
    whole, cpu = middle["step"].tolist()
    rows = [StepPart(*form, "step", whole, cpu, 1.0, 1 / whole, recipe.batch / whole, clock.peak_mib)]
    for part in (*PARTS, CLUSTERING):
        wall, cpu = middle[part].tolist()
        rows.append(StepPart(*form, part, wall, cpu, wall / whole))
    return rows
