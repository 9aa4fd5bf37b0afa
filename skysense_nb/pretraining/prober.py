"""Probes on held-out places while a model is being trained: whether a falling loss means better features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from torch.utils.data import Subset

from skysense_nb.pretraining.evaluation import evaluate, fused_cells
from skysense_nb.pretraining.module import Pretraining
from skysense_nb.pretraining.places import SPLITS, SyntheticPlaces
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.pretraining.tiles import StoredPlaces, write_tiles
from skysense_nb.training.checkpoints import History, ended_step


class Prober(Callback):
    """Measures the teacher every `recipe.probe_every` steps and at the end, in full precision, on labelled tiles.

    Every process measures, because a sharded teacher needs all of them, and the first one writes it down.

    Args:
        folder: Where the labelled tiles are kept.
        recipe: Of the run.
        history: Gets `probe/scene_accuracy` and `probe/land_cover_miou`.
    """

    def __init__(self, folder: Path, recipe: Recipe, history: History) -> None:
        self.folder, self.recipe, self.history = folder, recipe, history

    def on_train_start(self, trainer: Trainer, module: Pretraining) -> None:
        """Makes the labelled tiles that are not there yet."""
        if trainer.is_global_zero:
            probe_tiles(self.recipe, self.folder)
        trainer.strategy.barrier()
        self.train, self.test = probe_tiles(self.recipe, self.folder)

    def on_train_batch_end(self, trainer: Trainer, module: Pretraining, *_: Any) -> None:
        """Measures, once per step that is due."""
        step = trainer.global_step
        due = step % self.recipe.probe_every == 0 or step == trainer.max_steps
        if not due or not ended_step(trainer, module):
            return
        score = evaluate(fused_cells(module.networks.teacher), self.train, self.test)
        module.networks.teacher.train()
        if trainer.is_global_zero:
            self.history.add(step, {f"probe/{name}": value for name, value in vars(score).items()})


def probe_tiles(recipe: Recipe, folder: Path) -> tuple[Subset, Subset]:
    """Labelled tiles to fit probes on and to measure them on, of the world's two splits; made where they are missing.

    The recipe says how many, of what side and dates. Their seed is not that of the training tiles.
    """
    dates = {"s2_dates": recipe.tile_s2_dates, "s1_dates": recipe.tile_s1_dates}
    found = []
    for split, count in zip(SPLITS, recipe.probe_tiles, strict=True):
        places = SyntheticPlaces(recipe.seed + 1, recipe.tile_cells, **dates, split=split, labels=True)
        found.append(Subset(StoredPlaces(write_tiles(folder / split, places, count)), range(count)))
    return tuple(found)
