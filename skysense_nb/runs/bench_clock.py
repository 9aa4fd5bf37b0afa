"""Where the time of a training step goes: the real run under Lightning, with a clock beside it."""

from __future__ import annotations

import logging
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import torch
from lightning import Callback, Trainer

from skysense_nb.pretraining import module as training
from skysense_nb.pretraining import object_loss, prototype_update
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.pretraining.rehearsal import BLOCKS
from skysense_nb.runs.bench import read_peak, reset_peak, synchronise
from skysense_nb.runtime import fast_products
from skysense_nb.training.trainer import HARMLESS, PRECISIONS

VIEWS, STUDENT, TEACHER, CLUSTERING = "views", "student forward", "teacher forward", "clustering"

PARTS = (VIEWS, STUDENT, TEACHER, "losses", "backward", "update")
"""One after the other they make a step. `update` is all that follows the gradient: the watch for collapse, clipping,
AdamW, prototypes, the moving average. Not among them is `CLUSTERING`, Sinkhorn and the centres it alternates with:
it is counted within the losses or the update, too."""

GRAPHS = 512
"""Of one kind of block: one for each depth (its rate of stochastic depth), size of view, student and teacher. PyTorch's
own limit of 8 would leave most blocks as they are, without an error."""


class Clock(Callback):
    """Notes when the parts of each step begin and end. A GPU is waited for at each of these points.

    Attributes:
        steps: Per step wall and process time (seconds) of its parts, of `CLUSTERING` and of the whole `step`.
        peak_mib: Most memory the steps needed beyond the weights, MiB; None where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.steps, self.peak_mib = device, [], None

    def now(self) -> np.ndarray:
        """Wall and process time, seconds."""
        synchronise(self.device)
        return np.array([time.perf_counter(), time.process_time()])

    @contextmanager
    def inside(self, module: training.Pretraining) -> Iterator[None]:
        """Times the calls that Lightning does not see."""
        networks = module.networks
        calls = [
            (VIEWS, training, "make_views"),
            (STUDENT, networks.student, "features"),
            (TEACHER, networks.teacher, "features"),
            (CLUSTERING, object_loss, "cluster"),
            (CLUSTERING, prototype_update, "sinkhorn"),
        ]
        with ExitStack() as stack:
            for part, owner, name in calls:
                timed = self.timed(part, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, timed))
            yield

    def timed(self, part: str, call: Callable) -> Callable:
        """`call`, whose time is added to a part of the current step."""

        def work(*arguments: Any, **options: Any) -> Any:
            start = self.now()
            result = call(*arguments, **options)
            self.steps[-1][part] += self.now() - start
            return result

        return work

    def on_train_start(self, *_: Any) -> None:
        """The weights are where they are needed; what is held from now on comes with the steps."""
        self.held_mib = reset_peak(self.device)

    def on_train_batch_start(self, *_: Any) -> None:
        """A step begins; its tiles are there."""
        self.steps.append(defaultdict(lambda: np.zeros(2)))
        self.began = self.now()

    def on_before_backward(self, *_: Any) -> None:
        """All terms are computed: what was not spent on views and models, was on the losses."""
        self.told, step = self.now(), self.steps[-1]
        step["losses"] = self.told - self.began - step[VIEWS] - step[STUDENT] - step[TEACHER]

    def on_after_backward(self, *_: Any) -> None:
        """The gradient is there."""
        self.derived = self.now()
        self.steps[-1]["backward"] = self.derived - self.told

    def on_train_batch_end(self, *_: Any) -> None:
        """The weights have moved."""
        end, step = self.now(), self.steps[-1]
        step["update"], step["step"] = end - self.derived, end - self.began

    def on_train_end(self, *_: Any) -> None:
        """Reads the peak of all steps."""
        self.peak_mib = None if self.held_mib is None else read_peak(self.device) - self.held_mib


def timed_run(
    recipe: Recipe, device: torch.device, steps: int, compiled: bool = False
) -> tuple[training.Pretraining, Clock]:
    """Trains as `pretrain` does, but leaves no folder.

    Args:
        recipe: What to do.
        device: Where.
        steps: How many; the recipe's own number only shapes its schedules.
        compiled: Compile the blocks of student and teacher: most of the arithmetic is there, and what lies between
            them depends on the valid dates of each batch.

    Example:
        >>> from skysense_nb.pretraining import CropPlan
        >>> plan = CropPlan(global_cells=2, local_views=0, s2_dates=1, s1_dates=1)
        >>> tiny = Recipe(batch=1, tile_cells=2, tile_s2_dates=1, tile_s1_dates=1, views=plan)
        >>> module, clock = timed_run(tiny, torch.device("cpu"), steps=1)
        >>> sorted(clock.steps[0]) == sorted(["step", CLUSTERING, *PARTS])
        True
    """
    module, clock = training.Pretraining(recipe), Clock(device)
    for part in (*module.networks.student.modules(), *module.networks.teacher.modules()):
        if compiled and isinstance(part, BLOCKS):
            part.compile()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    limits = {"recompile_limit": GRAPHS, "accumulated_recompile_limit": GRAPHS}
    patience = torch._dynamo.config.patch(limits) if compiled else nullcontext()
    with TemporaryDirectory() as folder, clock.inside(module), patience, fast_products(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=HARMLESS)
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=PRECISIONS[recipe.precision],
            max_steps=steps,
            gradient_clip_val=recipe.clip or None,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
        )
        trainer.fit(module)
    return module, clock
