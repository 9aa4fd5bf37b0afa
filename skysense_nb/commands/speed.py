"""`skysense-nb bench`: what it can measure, in a table by subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from skysense_nb.commands.application import AsJson, app, print_json
from skysense_nb.errors import ParameterError, RunError, make_folder

TINY = "skysense-tiny"
KEEPABLE = ("inference", "training")


@dataclass(frozen=True)
class Asked:
    """What was said on the command line; each subject takes what concerns it."""

    preset: str | None
    precisions: list[str] | None
    sizes: dict[str, int]
    parts: tuple[str, ...]
    device: str
    batch: int
    recompute: bool
    compiled: bool

    @property
    def forms(self) -> tuple[str, ...]:
        """Precisions that are compared."""
        return tuple(self.precisions or ("fp32", "bf16"))


def modules(asked: Asked) -> Iterator[Any]:
    """Each module of a preset."""
    from skysense_nb.runs.bench import bench
    from skysense_nb.runs.bench_parts import Geometry

    geometry = Geometry(**asked.sizes)
    return bench(asked.preset or "skysense", geometry=geometry, precisions=asked.forms, device=asked.device)


def inference(asked: Asked) -> Iterator[Any]:
    """Inference forms beside the plain ones."""
    from skysense_nb.runs.bench_inference import bench_inference
    from skysense_nb.runs.bench_parts import Geometry

    options = {"geometry": Geometry(**asked.sizes), "precisions": asked.forms, "parts": asked.parts}
    return bench_inference(asked.preset or TINY, **options, device=asked.device)


def training(asked: Asked) -> Iterator[Any]:
    """Ways to take a step of training."""
    from skysense_nb.runs.bench_step import bench_step

    return bench_step(device=asked.device)


def pretraining(asked: Asked) -> Iterator[Any]:
    """Steps of pre-training, and the data for them."""
    from skysense_nb.runs.bench_pretraining import bench_pretraining, chosen_recipes

    sizes = {"cells": asked.sizes["cells"], "batch": asked.batch, "device": asked.device}
    recipes = chosen_recipes(asked.preset, asked.precisions, asked.recompute, **sizes)
    return bench_pretraining(recipes, compiled=asked.compiled, device=asked.device)


def readers(asked: Asked) -> Iterator[Any]:
    """Readers of the benchmarks."""
    from skysense_nb.runs.bench_readers import bench_readers

    return bench_readers()


def tasks(asked: Asked) -> Iterator[Any]:
    """Training and prediction of each downstream task."""
    from skysense_nb.runs.bench_tasks import bench_tasks

    options = {"cells": asked.sizes["cells"], "batch": asked.batch, "device": asked.device}
    return bench_tasks(asked.preset or TINY, precision=(asked.precisions or ["auto"])[0], **options)


def mapping(asked: Asked) -> Iterator[Any]:
    """How fast a region is mapped."""
    from skysense_nb.runs.bench_mapping import bench_mapping

    return bench_mapping(asked.preset or TINY)


SUBJECTS: dict[str, Callable[[Asked], Iterator[Any]]] = {
    one.__name__: one for one in (modules, inference, training, pretraining, readers, tasks, mapping)
}


def subject_flag(text: str) -> Any:
    """A flag that says what is measured."""
    return typer.Option(help=text, rich_help_panel="What is measured, instead of the modules of a model")


@app.command("bench")
def bench_command(
    preset: Annotated[
        str | None, typer.Argument(help="Model; none: skysense, or the tiny ones where more is done.")
    ] = None,
    inference: Annotated[bool, subject_flag("Its inference form, beside the plain one.")] = False,
    training: Annotated[bool, subject_flag("Ways to take a step of training.")] = False,
    pretraining: Annotated[bool, subject_flag("A pre-training step and its data.")] = False,
    readers: Annotated[bool, subject_flag("Readers of the benchmarks, on miniatures.")] = False,
    tasks: Annotated[bool, subject_flag("Training and prediction of each downstream task.")] = False,
    mapping: Annotated[bool, subject_flag("How fast a region is mapped, beside the model alone.")] = False,
    precision: Annotated[list[str] | None, typer.Option(help="fp32, bf16 or fp16, repeatable.")] = None,
    cells: Annotated[int, typer.Option(help="Ground cells a side; HR has 32 times as many pixels.")] = 8,
    s2_dates: Annotated[int, typer.Option(help="Sentinel-2 dates of modules and inference.")] = 10,
    s1_dates: Annotated[int, typer.Option(help="Sentinel-1 dates of modules and inference.")] = 5,
    part: Annotated[
        list[str] | None, typer.Option(help="With --inference: only HR, S2, S1, fusion, experts, dense or whole.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    batch: Annotated[int, typer.Option(help="Tiles of a pre-training step, or samples of a task.")] = 8,
    recompute: Annotated[bool, typer.Option(help="With --pretraining: recompute activations.")] = False,
    compiled: Annotated[bool, typer.Option(help="With --pretraining: compile the models.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Add what was measured to today's record in this folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure speed and memory on this machine: modules of a model, or one of many other things."""
    flags = {
        "inference": inference, "training": training, "pretraining": pretraining,
        "readers": readers, "tasks": tasks, "mapping": mapping,
    }  # fmt: skip
    subject = chosen(flags, keep)
    if keep is not None:
        make_folder(keep, RunError)  # told now, not after minutes
    sizes = {"cells": cells, "s2_dates": s2_dates, "s1_dates": s1_dates}
    asked = Asked(preset, precision, sizes, tuple(part or ()), device, batch, recompute, compiled)
    rows = []
    for row in SUBJECTS[subject](asked):
        rows.append(row.to_dict())
        if not as_json:
            print(row, flush=True)
        if keep is not None:
            add_to_record(row, asked, keep)
    if as_json:
        print_json(rows)


def chosen(flags: dict[str, bool], keep: Path | None) -> str:
    """The one subject that was asked for."""
    subjects = [name for name, on in flags.items() if on] or ["modules"]
    if len(subjects) > 1:
        raise ParameterError.of("one thing to measure", ", ".join(subjects), "Call once for each.")
    if keep is not None and subjects[0] not in KEEPABLE:
        next_step = "Leave --keep out, and take --json for a file of your own."
        raise ParameterError.of(f"--keep with --{' or --'.join(KEEPABLE)}", subjects[0], next_step)
    return subjects[0]


def add_to_record(row: Any, asked: Asked, folder: Path) -> None:
    """Keeps a row as soon as it is there, so that a run that is stopped has kept what it measured."""
    from skysense_nb.runs.speed_records import keep
    from skysense_nb.runtime import choose_device

    keep(asked.preset or TINY, [row], folder, choose_device(asked.device))
