"""How fast each task trains and predicts, and how much memory it takes: model and head on random images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch

from skysense_nb.models import load
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.runs.bench import read_peak, reset_peak, synchronise
from skysense_nb.runtime import PRECISIONS, choose_device, choose_precision
from skysense_nb.sensors import HR_PIXELS_PER_CELL
from skysense_nb.tasks.heads import (
    BoxHead,
    CellHead,
    ChangeHead,
    Head,
    LabelHead,
    MultiLabelHead,
    OrientedBoxHead,
    UPerHead,
    widths_of,
)
from skysense_nb.tasks.heads.head import Batch, summed

CLASSES = tuple(f"class {number}" for number in range(10))
BOXES = 8
"""Per image."""

Maker = Callable[[MultiModalModel, int], Head]


@dataclass(frozen=True)
class Job:
    """One task: its sensors with their dates, its head, and what its truth is."""

    dates: dict[str, int]
    head: Maker
    truth: str


def dense(kind: type[Head], sources: Sequence[str]) -> Maker:
    """A head on the maps of some sources, with as many channels as fit the model."""
    return lambda model, channels: kind(widths_of(model, sources), CLASSES, channels=channels)


JOBS = {
    "scene classification": Job({"hr": 1}, lambda model, _: LabelHead(model.width, CLASSES), "label"),
    "multi-label": Job({"s2": 1, "s1": 1}, lambda model, _: MultiLabelHead(model.width, CLASSES), "labels"),
    "time series": Job({"s2": 8}, lambda model, _: LabelHead(model.width, CLASSES), "label"),
    "segmentation": Job({"hr": 1}, dense(UPerHead, ("hr",)), "mask"),
    "crop mapping": Job({"s2": 8, "s1": 4}, lambda model, width: CellHead(model.width, CLASSES, width), "cells"),
    "change": Job({"hr": 2}, dense(ChangeHead, ("hr",)), "mask"),
    "boxes": Job({"hr": 1}, dense(BoxHead, ("hr",)), "bbox_xyxy"),
    "oriented boxes": Job({"hr": 1}, dense(OrientedBoxHead, ("hr",)), "bbox_corners"),
}


@dataclass(frozen=True)
class TaskRate:
    """Speed and memory of one task on random images.

    Attributes:
        task: One of `JOBS`.
        preset, device, precision: Of the model.
        size: Ground cells a side.
        training_per_s: Samples per second of a step: forward, loss, backward, AdamW. All of the model is trained.
        inference_per_s: Samples per second of a prediction.
        training_mib, inference_mib: Most memory beyond what was held before, MiB; None where the system does not tell.
    """

    task: str
    preset: str
    device: str
    precision: str
    size: int
    training_per_s: float
    inference_per_s: float
    training_mib: float | None
    inference_mib: float | None

    def __str__(self) -> str:
        memory = [f"{mib:7.0f} MiB" if mib is not None else "          -" for mib in self.memory]
        training = f"training {self.training_per_s:8.2f}/s {memory[0]}"
        return f"{self.task:<20} {self.preset} · {training} · inference {self.inference_per_s:8.2f}/s {memory[1]}"

    @property
    def memory(self) -> tuple[float | None, float | None]:
        """Of training and of inference."""
        return self.training_mib, self.inference_mib

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a table or JSON."""
        return asdict(self)


def bench_tasks(
    preset: str = "skysense-tiny",
    tasks: Sequence[str] = tuple(JOBS),
    cells: int = 8,
    batch: int = 4,
    device: str = "auto",
    precision: str = "auto",
    rounds: int = 3,
) -> Iterator[TaskRate]:
    """Measures tasks one after the other, each with fresh random weights.

    Args:
        preset: Of the model.
        tasks: Names of `JOBS`.
        cells: Side of the images in ground cells; HR has 32 times as many pixels.
        batch: Samples at a time.
        device: As in `session`.
        precision: Of the autocast: `fp32`, `bf16`, or `auto`.
        rounds: Calls that are timed; the median counts.

    Example:
        >>> [row.task for row in bench_tasks(tasks=["time series"], cells=4, batch=1, device="cpu", rounds=1)]
        ['time series']
    """
    where = choose_device(device)
    kind = choose_precision(precision, where)
    word = next(name for name, one in PRECISIONS.items() if one == kind)
    for task in tasks:
        job = JOBS[task]
        model, _ = load(preset, weights=None, device=where)
        head = job.head(model, 512 if preset in ("skysense", "skysense-v2", "skysense-v2-moe") else 64).to(where)
        sample = random_batch(job, cells, batch, where)
        optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-6)

        def train(model=model, head=head, sample=sample, optimiser=optimiser) -> None:
            optimiser.zero_grad()
            with torch.autocast(where.type, kind, enabled=kind != torch.float32):
                terms = head.loss(head(model.features(sample), sample), sample)
            summed(terms).backward()
            optimiser.step()

        @torch.no_grad()
        def predict(model=model, head=head, sample=sample) -> None:
            with torch.autocast(where.type, kind, enabled=kind != torch.float32):
                head.predict(head(model.features(sample), sample), sample)

        model.train(), head.train()
        training = timed(train, where, rounds)
        model.eval(), head.eval()
        inference = timed(predict, where, rounds)
        rates = (batch / training[0], batch / inference[0])
        yield TaskRate(task, preset, str(where), word, cells, *rates, training[1], inference[1])


def timed(work: Callable[[], None], device: torch.device, rounds: int) -> tuple[float, float | None]:
    """Median seconds of a call after a first one, and the most memory beyond what was held, MiB."""
    held = reset_peak(device)
    work()
    seconds = []
    for _ in range(rounds):
        synchronise(device)
        start = perf_counter()
        work()
        synchronise(device)
        seconds.append(perf_counter() - start)
    return median(seconds), None if held is None else read_peak(device) - held


def random_batch(job: Job, cells: int, batch: int, device: torch.device) -> Batch:
    """Noise of the right form, with random truth."""
    made: Batch = {}
    bands, side = {"hr": 3, "s2": 10, "s1": 2}, HR_PIXELS_PER_CELL * cells
    for name, dates in job.dates.items():
        pixels = side if name == "hr" else cells
        made[name] = torch.randn(batch, dates, bands[name], pixels, pixels, device=device)
        made[f"{name}_day"] = torch.arange(dates, device=device).expand(batch, dates) * 30
    if job.truth == "label":
        made["label"] = torch.randint(len(CLASSES), (batch,), device=device)
    elif job.truth == "labels":
        made["label"] = torch.rand(batch, len(CLASSES), device=device) > 0.7
    elif job.truth in ("mask", "cells"):
        pixels = side if job.truth == "mask" else cells
        made["mask"] = torch.randint(len(CLASSES), (batch, pixels, pixels), device=device)
    else:
        corner = torch.rand(batch, BOXES, 2, device=device) * (side - 24)
        upright = torch.cat([corner, corner + 20], dim=2)  # B n 4
        boxes = upright[..., [0, 1, 2, 1, 2, 3, 0, 3]].unflatten(2, (4, 2)) if "corners" in job.truth else upright
        made[job.truth] = list(boxes)
        made["bbox_label"] = list(torch.randint(len(CLASSES), (batch, BOXES), device=device))
    return made
