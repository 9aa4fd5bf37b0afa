"""Checkpoints that are whole or not there, and the history of a run as a table."""

from __future__ import annotations

import csv
import os
import pickle
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.io import CheckpointIO

from skysense_nb.errors import CheckpointError, RunError, writable

COLUMNS = ("step", "seconds", "name", "value")


class WholeCheckpoints(CheckpointIO):
    """Writes beside and renames: a full disk or a kill leaves the previous checkpoint as it was."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes a checkpoint.

        Raises:
            RunError: No room, or no right to write.
        """
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except (OSError, RuntimeError) as error:  # torch's writer raises RuntimeError when the disk is full
            unfinished.unlink(missing_ok=True)
            step = "Free some space and start again: the run goes on from the checkpoint before."
            raise RunError.of(f"room for a checkpoint in {path.parent}", str(error).splitlines()[0], step) from error

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> dict:
        """Reads a checkpoint without running anything in it.

        Raises:
            CheckpointError: Damaged, or not one of ours.
        """
        try:
            return torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            fix = "Delete it to begin anew."
            raise CheckpointError.of(f"a whole checkpoint at {path}", str(error).splitlines()[0], fix) from error

    def remove_checkpoint(self, path: str | Path) -> None:
        """Deletes a checkpoint."""
        Path(path).unlink(missing_ok=True)


def ended_step(trainer: Trainer, module: LightningModule) -> bool:
    """Whether the last batch was the last part of an optimiser step."""
    return int(module.batches_seen) % trainer.accumulate_grad_batches == 0


class KeepLast(Callback):
    """Saves the run every few steps, and at its end, to one file."""

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Saves after the steps whose number divides by `every`, once per step, and where training is to stop."""
        step = trainer.global_step
        due = step % self.every == 0 or step == trainer.max_steps or trainer.should_stop
        if ended_step(trainer, module) and due:
            trainer.save_checkpoint(self.path)


class History(Callback):
    """Appends what was measured to a CSV file with one value per row; a resumed run cuts what it will do again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Keeps the rows up to the step the run goes on from.

        Raises:
            RunError: The folder cannot be made or written.
        """
        self.started = time.monotonic()
        if not trainer.is_global_zero:
            return
        kept = [row for row in read_rows(self.path) if int(row["step"]) <= trainer.global_step]
        self.before = max((float(row["seconds"]) for row in kept), default=0.0)
        with writable(self.path.parent, RunError), self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Adds what the module measured in this step."""
        if ended_step(trainer, module) and trainer.is_global_zero:
            learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
            self.add(trainer.global_step, {**module.measured(), "learning_rate": learning_rate})

    def add(self, step: int, values: dict[str, Any]) -> None:
        """Appends one row per value."""
        seconds = round(self.before + time.monotonic() - self.started, 3)
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows([step, seconds, name, f"{float(value):.6g}"] for name, value in values.items())


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a history, none if there is no file; a last row that was cut off is left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["value"] and row["step"].isdigit()]
