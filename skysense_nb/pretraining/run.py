"""One call from a recipe to a trained model, in a folder that a later call goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy

from skysense_nb.models import save
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.pretraining.module import Pretraining
from skysense_nb.pretraining.prober import Prober
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.pretraining.sharding import whole_networks
from skysense_nb.runtime import seed_everything
from skysense_nb.training.checkpoints import History, KeepLast
from skysense_nb.training.trainer import train

ONE_REGION = "All tiles lie in one region, so its prototypes tell nothing regional. Take tiles of several regions."


@dataclass(frozen=True)
class Pretrained:
    """What a run has left.

    Attributes:
        model: The teacher, in evaluation mode: the average is better than the student.
        module: Everything, for a look inside.
        history: What was measured, one row per step and name.
        folder: `recipe.yaml`, checkpoint `last.ckpt`, `history.csv`, and `model.safetensors` once the run is complete.
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
    """Says in words when a run collapses, or sees one region only; once per kind, after the warm-up."""

    def __init__(self) -> None:
        self.said: set[str] = set()

    def on_train_batch_end(self, trainer: Trainer, module: Pretraining, *_: Any) -> None:
        """Looks every ten steps."""
        early = trainer.global_step <= 2 * module.recipe.warmup
        if trainer.global_step % 10 or early or not trainer.is_global_zero:
            return
        bank = module.networks.bank
        lonely = bank is not None and bank.known_regions == 1
        for words in filter(None, (module.collapse.words(), ONE_REGION if lonely else None)):
            if words not in self.said:
                self.said.add(words)
                print(f"Step {trainer.global_step}: {words}")


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
        accelerator, devices, nodes: As in Lightning's `Trainer`: `cpu` or `gpu`, and how many processes and machines.
        strategy: `ddp`: everything on every process; `fsdp`: weights, gradients and moments divided among them (run
            on CPUs only so far); `auto`: `ddp` for several. Other names go to Lightning.
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
    folder = Path(folder)
    seed_everything(recipe.seed)
    module, history = Pretraining(recipe), History(folder / "history.csv")
    watching = [history, Warner()]
    watching += [Prober(folder / "probe", recipe, history)] if recipe.probe_every else []
    trainer = train(
        module,
        folder,
        steps=recipe.steps,
        callbacks=[*watching, *callbacks, KeepLast(folder / "last.ckpt", recipe.save_every)],
        precision=recipe.precision,
        accumulate=recipe.accumulate,
        clip=recipe.clip,
        accelerator=accelerator,
        devices=devices,
        nodes=nodes,
        strategy=strategy_of(strategy, devices, nodes),
        progress=progress,
    )
    complete = trainer.global_step >= recipe.steps
    module.networks = whole_networks(module.networks)
    model = module.networks.result()
    if complete and trainer.is_global_zero:
        told = f"{story(recipe)} On {device_name(trainer.strategy.root_device, trainer.world_size)}."
        save(model, folder / "model.safetensors", training=told, extra=module.networks.heads().named())
    table = pd.read_csv(history.path) if history.path.exists() else pd.DataFrame(columns=["step", "name", "value"])
    return Pretrained(model, module, table, folder, complete)


def strategy_of(name: str, devices: int | str = 1, nodes: int = 1) -> str | Strategy:
    """Lightning's strategy for `ddp` and `fsdp`, and for `auto` with several processes; other names as they are.

    A term that is switched off, or a sensor that no tile of a batch has, leaves weights without a gradient, so DDP
    looks for them. It need not send buffers, which are equal on all ranks: centres and prototypes follow from sums
    and gathers over all of them. FSDP is FSDP2 (`shard`), not Lightning's `FSDPStrategy`, whose flat pieces of weights
    the teacher could not follow and the optimiser could not tell from vectors.

    Example:
        >>> type(strategy_of("auto", devices=2)).__name__, strategy_of("auto")
        ('DDPStrategy', 'auto')
    """
    if name == "ddp" or (name == "auto" and (nodes > 1 or devices not in (1, "1"))):
        return DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
    return ModelParallelStrategy(save_distributed_checkpoint=False) if name == "fsdp" else name


def story(recipe: Recipe) -> str:
    """What a receipt says of weights that this recipe made.

    Example:
        >>> from skysense_nb.pretraining import Terms
        >>> story(Recipe(steps=10, batch=4, terms=Terms(object=0.0)))
        'Pre-trained: 10 steps of 4 tiles of the synthetic world, losses pixel 1, image 1, alignment 0.5.'
    """
    terms = ", ".join(f"{name} {weight:g}" for name, weight in asdict(recipe.terms).items() if weight)
    data = f"tiles of {recipe.tiles}" if recipe.tiles else "tiles of the synthetic world"
    bank = f", prototypes of up to {recipe.geo_regions} regions" if recipe.geo_regions else ""
    return f"Pre-trained: {recipe.steps} steps of {recipe.batch} {data}, losses {terms}{bank}."


def device_name(device: torch.device, count: int) -> str:
    """Words for what a run was computed on.

    Example:
        >>> device_name(torch.device("cpu"), 1)
        '1 CPU process'
    """
    if device.type == "cuda":
        return f"{count} × {torch.cuda.get_device_name(device)}"
    return f"{count} {device.type.upper()} process{'es' if count > 1 else ''}"
