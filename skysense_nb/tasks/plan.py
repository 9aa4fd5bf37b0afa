"""Everything that decides a fine-tuning run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skysense_nb.errors import ParameterError

SCHEDULES = ("poly", "steps", "constant")


@dataclass(frozen=True)
class Plan:
    """How a head, and as much of the model as wanted, is trained.

    Attributes:
        train: What of the model is trained beside the head: `head`: nothing; `last:n`: the last n blocks of every
            encoder, and the fusion; `full`; `lora:r`: adapters of rank r on its attention.
        steps: Optimiser steps.
        batch: Samples per step, over all of `accumulate` parts.
        accumulate: Parts of a batch that are computed one after the other; saves memory, changes no gradient but
            for batch norm in the head.
        learning_rate: Highest, of the head.
        weight_decay: AdamW's, of weights that are not vectors.
        layer_decay: The learning rate of a block is this much smaller than of the one above it.
        schedule: `poly`: a line down to zero; `steps`: a tenth at each of `drops`; `constant`.
        drops: As shares of `steps`.
        warmup: Steps of a climbing learning rate before that.
        clip: Largest norm of the gradient; 0 for any.
        moves: Whether training samples are mirrored, turned and enlarged at random.
        check_every: Steps between evaluations; 0: only at the end.
        patience: Evaluations without a better score after which training stops; 0: never.
        save_every: Steps between checkpoints.
        precision: `fp32` or `bf16`.
        workers: Processes that read samples.
        seed: Of order, moves, and stochastic depth.

    Raises:
        ParameterError: A value that cannot be.

    Example:
        >>> Plan(train="full", steps=100).schedule
        'poly'
    """

    train: str = "head"
    steps: int = 200
    batch: int = 8
    accumulate: int = 1
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    layer_decay: float = 0.9
    schedule: str = "poly"
    drops: tuple[float, ...] = (8 / 12, 11 / 12)
    warmup: int = 10
    clip: float = 5.0
    moves: bool = True
    check_every: int = 0
    patience: int = 0
    save_every: int = 100
    precision: str = "fp32"
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"head|full|last:\d+|lora:[1-9]\d*", self.train):
            raise ParameterError.of("train of head, last:n, full or lora:r", repr(self.train), "Choose one of these.")
        if self.schedule not in SCHEDULES:
            expected = f"a schedule among {', '.join(SCHEDULES)}"
            raise ParameterError.of(expected, repr(self.schedule), "Choose one of these.")
        if min(self.steps, self.batch, self.accumulate) < 1 or self.batch % self.accumulate:
            got = f"{self.steps} steps of {self.batch} in {self.accumulate}"
            raise ParameterError.of("steps of a batch that divides into its parts", got, "Use 1 for accumulate.")
        if not 0 <= self.warmup < self.steps:
            got = f"{self.warmup} of {self.steps} steps"
            raise ParameterError.of("a warm-up shorter than the training", got, "Pass warmup=0 for none.")
        if self.precision not in ("fp32", "bf16"):
            raise ParameterError.of("fp32 or bf16", repr(self.precision), "Use fp32 on a CPU.")


ISAID = Plan(
    train="full",
    steps=80_000,
    batch=16,
    learning_rate=6e-5,
    weight_decay=0.01,
    layer_decay=0.9,
    schedule="poly",
    warmup=1500,
    clip=0.0,
)
"""As published for iSAID (SkySense, CVPR 2024), whose images are 896 × 896 pixels on 8 GPUs."""

DIOR = Plan(
    train="full",
    steps=17_592,
    batch=8,
    learning_rate=1e-4,
    weight_decay=0.05,
    layer_decay=0.9,
    schedule="steps",
    warmup=1000,
    clip=0.0,
)
"""As published for DIOR: 12 times through its 11,725 training images, a tenth after the 8th and the 11th time."""
