"""Lightning's trainer as every run here uses it: one history, one checkpoint file, no logger, no replaced sampler."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.strategies import Strategy

from skysense_nb.runtime import fast_products
from skysense_nb.training.checkpoints import WholeCheckpoints

HARMLESS = (
    ".*does not have many workers.*|.*not resumable.*|.*max_epochs.*|.*LeafSpec.*"
    "|.*broadcast_buffers.*|.*returned a view tensor.*"
)
"""Warnings of Lightning and PyTorch about what is meant to be so."""

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Progress(TQDMProgressBar):
    """The bar, with what the module says under `shown`."""

    def get_metrics(self, trainer: Trainer, module: LightningModule) -> dict[str, str]:
        """What stands behind the bar."""
        return module.shown()


def train(
    module: LightningModule,
    folder: Path,
    *,
    steps: int,
    callbacks: Sequence[Callback],
    precision: str = "fp32",
    accumulate: int = 1,
    clip: float = 0.0,
    accelerator: str = "auto",
    devices: int | str = 1,
    nodes: int = 1,
    strategy: str | Strategy = "auto",
    progress: bool = True,
    **options: Any,
) -> Trainer:
    """Trains a module up to a number of optimiser steps, going on from `last.ckpt` of the folder if it is there.

    Args:
        module: With `batches_seen`, a buffer, and `shown()`, a dict of short texts for the bar.
        folder: Of the run.
        steps: Optimiser steps altogether.
        callbacks: In the order they are to be called; the one that saves comes last.
        precision: `fp32` or `bf16`.
        accumulate: Batches per optimiser step.
        clip: Largest norm of the gradient; 0 for any.
        accelerator, devices, nodes, strategy: As in Lightning's `Trainer`.
        progress: Whether to show a bar.
        options: Others of Lightning's `Trainer`.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=PRECISIONS[precision],
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=clip or None,
        callbacks=[*([Progress()] if progress else []), *callbacks],
        plugins=[WholeCheckpoints()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        **options,
    )
    last = folder / "last.ckpt"
    with fast_products(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=HARMLESS)
        trainer.fit(module, ckpt_path=last if last.exists() else None)
    return trainer
