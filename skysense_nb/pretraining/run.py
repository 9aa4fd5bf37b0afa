"""One call from a recipe to a trained model, in a folder that a later call goes on from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from skysense_nb.models import save
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.pretraining.checkpoints import History, KeepLast, WholeCheckpoints
from skysense_nb.pretraining.module import Pretraining
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.runtime import seed_everything

HARMLESS = ".*does not have many workers.*|.*not resumable.*|.*max_epochs.*|.*LeafSpec.*"
"""Lightning's warnings about what is meant to be so."""

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Pretrained:
    """What a run has left.

    Attributes:
        model: The teacher, in evaluation mode: the average is better than the student.
        module: Everything, for a look inside.
        history: What was measured, one row per step and name.
        folder: Checkpoint `last.ckpt`, `history.csv`, and `model.safetensors` once the run is complete.
        complete: Whether all steps were done.
    """

    model: MultiModalModel
    module: Pretraining
    history: pd.DataFrame
    folder: Path
    complete: bool

    def curves(self) -> pd.DataFrame:
        """One column per name, one row per step."""
        return self.history.pivot_table(index="step", columns="name", values="value")


class Warner(Callback):
    """Says in words when a run collapses, once per kind, after the warm-up."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def on_train_batch_end(self, trainer: Trainer, module: Pretraining, *_: Any) -> None:
        """Looks every ten steps."""
        if trainer.global_step % 10 or trainer.global_step <= 2 * module.recipe.warmup:
            return
        words = module.collapse.words()
        if words and words not in self.said:
            self.said.add(words)
            print(f"Step {trainer.global_step}: {words}")


class Progress(TQDMProgressBar):
    """The bar, with the loss and how far the fused features are spread."""

    def get_metrics(self, trainer: Trainer, module: Pretraining) -> dict[str, str]:
        """What stands behind the bar."""
        told = getattr(module, "told", {})
        rank = module.collapse.ranks.get("fused")
        shown = {"loss": f"{float(told['loss']):.3f}"} if "loss" in told else {}
        return shown | ({"rank": f"{rank:.0f}"} if rank else {})


def pretrain(
    recipe: Recipe,
    folder: str | Path,
    *,
    accelerator: str = "auto",
    devices: int | str = 1,
    nodes: int = 1,
    strategy: str = "auto",
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Pretrained:
    """Trains, or goes on training, and returns the teacher.

    Args:
        recipe: What to do. A folder that holds an unfinished run of the same recipe is gone on with.
        folder: Where checkpoint and history are kept.
        accelerator, devices, nodes, strategy: As in Lightning's `Trainer`: `cpu` or `gpu`, how many, `ddp` or `fsdp`.
        progress: Whether to show a bar.
        callbacks: More of Lightning's callbacks, such as a probe.

    Raises:
        CheckpointError: The folder holds a run of another recipe or number of processes, or a damaged checkpoint.
        RunError: A checkpoint could not be written; the one before is whole.

    Example:
        >>> from skysense_nb.pretraining.crops import CropPlan
        >>> plan = CropPlan(global_cells=2, local_views=0, s2_dates=1, s1_dates=1)
        >>> tiny = Recipe(steps=1, batch=1, tile_cells=2, tile_s2_dates=1, tile_s1_dates=1, views=plan)
        >>> pretrain(tiny, "run", accelerator="cpu", progress=False).complete
        True
    """
    folder, last = Path(folder), Path(folder) / "last.ckpt"
    seed_everything(recipe.seed)
    module, history = Pretraining(recipe), History(folder / "history.csv")
    watching = [history, Warner(), *([Progress()] if progress else [])]
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=PRECISIONS[recipe.precision],
        max_steps=recipe.steps,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip or None,
        callbacks=[*watching, *callbacks, KeepLast(last, recipe.save_every)],
        plugins=[WholeCheckpoints()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=HARMLESS)
        trainer.fit(module, ckpt_path=last if last.exists() else None)
    complete = trainer.global_step >= recipe.steps
    teacher = module.networks.teacher.eval()
    teacher.name = recipe.preset
    if complete and trainer.is_global_zero:
        save(teacher, folder / "model.safetensors")
    table = pd.read_csv(history.path) if history.path.exists() else pd.DataFrame(columns=["step", "name", "value"])
    return Pretrained(teacher, module, table, folder, complete)
