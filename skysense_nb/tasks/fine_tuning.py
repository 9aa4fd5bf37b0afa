"""Fine-tuning on Lightning: one call from a model, a head and two splits to the best weights, in a folder.

All chance follows from the plan's seed and the number of steps done, so a run that was stopped goes on as if it had
not been: on a CPU to the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning import Callback, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from skysense_nb.errors import CheckpointError, ParameterError
from skysense_nb.models.multimodal import MultiModalModel, kept_form
from skysense_nb.runtime import explain_out_of_memory, mixed_seed, seed_everything
from skysense_nb.tasks.best import Best, trained_state
from skysense_nb.tasks.evaluation import features_of, to_device
from skysense_nb.tasks.frozen import FrozenSamples, collate_frozen
from skysense_nb.tasks.heads.head import Batch, Head, summed
from skysense_nb.tasks.lora import add_lora
from skysense_nb.tasks.optimisation import Schedule, constant, freeze, parameter_groups, poly, steps_at
from skysense_nb.tasks.plan import Plan
from skysense_nb.tasks.samples import EndlessSamples, collate_tasks
from skysense_nb.tasks.scores import Scores
from skysense_nb.training.checkpoints import History, KeepLast
from skysense_nb.training.optimiser import adamw
from skysense_nb.training.sampler import EndlessSampler
from skysense_nb.training.trainer import train

MAY_CHANGE = ("accumulate", "workers", "save_every")
"""What a resumed run may do differently."""


@dataclass(frozen=True)
class FineTuned:
    """What a run has left.

    Attributes:
        model: As it was best; None where features were cached.
        head: Likewise.
        scores: Best scores on the second split; None without one.
        history: What was measured, one row per step and name.
        folder: `last.ckpt`, `best.safetensors`, `history.csv`.
        steps: Steps done; fewer than planned where training stopped early or was stopped.
        complete: Whether the run is over: all steps done, or no better score for `patience` evaluations.
    """

    model: MultiModalModel | None
    head: Head
    scores: Scores | None
    history: pd.DataFrame
    folder: Path
    steps: int
    complete: bool

    def curves(self) -> pd.DataFrame:
        """One column per name, one row per step."""
        return self.history.pivot_table(index="step", columns="name", values="value")


def fine_tune(
    model: MultiModalModel | None,
    head: Head,
    samples: Dataset,
    held_out: Dataset | None,
    plan: Plan,
    folder: str | Path,
    *,
    accelerator: str = "auto",
    devices: int | str = 1,
    strategy: str = "auto",
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> FineTuned:
    """Trains, or goes on training, a head and as much of a model as the plan says.

    Args:
        model: Trained in place; None where `samples` have cached features.
        head: Of the task, trained in place.
        samples: To train on: `TaskSamples` or `FrozenSamples`.
        held_out: To choose the best weights by, and to stop early; None: the last weights are taken.
        plan: What to do. A folder that holds an unfinished run of the same plan is gone on with.
        folder: Where checkpoint, best weights and history are kept.
        accelerator, devices, strategy: As in Lightning's `Trainer`.
        progress: Whether to show a bar.
        callbacks: More of Lightning's callbacks.

    Raises:
        CheckpointError: The folder holds a run of another plan or head.
        EnvironmentProblem: Not enough memory; it says what would fit, and the checkpoint is whole.
        ParameterError: Cached features cannot train a model.

    Example:
        >>> fine_tune(model, head, train, val, Plan(train="full"), "run").scores.value      # doctest: +SKIP
        0.81
    """
    folder = Path(folder)
    seed_everything(plan.seed)
    module = FineTuning(model, head, samples, plan)
    history = History(folder / "history.csv")
    best = Best(folder / "best.safetensors", held_out, plan, history)
    trainer = train(
        module,
        folder,
        steps=plan.steps,
        callbacks=[history, *callbacks, best, KeepLast(folder / "last.ckpt", plan.save_every)],
        precision=plan.precision,
        accumulate=plan.accumulate,
        clip=plan.clip,
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        progress=progress,
    )
    best.restore(module)
    table = pd.read_csv(history.path) if history.path.exists() else pd.DataFrame(columns=["step", "name", "value"])
    complete = trainer.global_step >= plan.steps or best.gave_up
    return FineTuned(model, head, best.scores, table, folder, trainer.global_step, complete)


class FineTuning(LightningModule):
    """Model and head with their optimiser, schedule and samples.

    Args:
        model: None where samples have cached features.
        head: Of the task.
        samples: To train on.
        plan: What to do.
    """

    strict_loading = False  # a checkpoint holds what is trained, and nothing else

    def __init__(self, model: MultiModalModel | None, head: Head, samples: Dataset, plan: Plan) -> None:
        super().__init__()
        cached = isinstance(samples, FrozenSamples)
        if (model is None) != cached or (cached and plan.train != "head"):
            expected = "a model with images, or cached features and a plan that trains the head alone"
            got = f"train={plan.train!r} with {'cached features' if cached else 'images'}"
            raise ParameterError.of(expected, got, "Pass TaskSamples and the model, or train='head' and model None.")
        self.model, self.head, self.samples, self.plan = model, head, samples, plan
        self.batches_seen, self.told = 0, {}
        if model is not None:
            what, _, number = plan.train.partition(":")
            add_lora(model, int(number)) if what == "lora" else freeze(model, plan.train)
            model.train(plan.train != "head")  # Lightning warns of parts in evaluation mode when training starts

    def on_train_start(self) -> None:
        """Counts on from the steps that are done."""
        self.batches_seen = self.trainer.global_step * self.plan.accumulate

    def on_train_batch_start(self, *_: Any) -> None:
        """A model that is not trained stays in evaluation mode; chance follows from the number of the batch."""
        torch.manual_seed(mixed_seed(self.plan.seed, self.batches_seen, self.global_rank))
        self.head.train()
        if self.model is not None:
            self.model.train(self.plan.train != "head")

    def training_step(self, batch: Batch) -> Tensor:
        """Features, outputs, the sum of the terms."""
        with explain_out_of_memory(self.what_fits):
            trained = self.model is None or self.plan.train != "head"
            features = features_of(self.model if trained else kept_form(self.model), batch)
            terms = self.head.loss(self.head(features, batch), batch)
        self.batches_seen += 1
        self.told = {name: term.detach() for name, term in terms.items()}
        loss = summed(terms)
        self.told["loss"] = loss.detach()
        return loss

    def backward(self, loss: Tensor, *arguments: Any, **options: Any) -> None:
        """The gradients, with the same advice where memory ends."""
        with explain_out_of_memory(self.what_fits):
            super().backward(loss, *arguments, **options)

    @property
    def what_fits(self) -> str:
        """Advice for a batch that is too large."""
        plan = self.plan
        parts = next((n for n in range(2 * plan.accumulate, plan.batch + 1) if plan.batch % n == 0), None)
        smaller = f"accumulate={parts} ({plan.batch // parts} at a time)" if parts else "smaller images"
        return f"Call again with {smaller}: the run goes on from its last checkpoint."

    def measured(self) -> dict[str, Any]:
        """What the history of the run gets of a step."""
        return self.told

    def shown(self) -> dict[str, str]:
        """The loss, for the bar."""
        return {"loss": f"{float(self.told['loss']):.3f}"} if self.told else {}

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with a learning rate per block, as the published configurations have it."""
        plan = self.plan
        groups = parameter_groups(self.model, self.head, plan.learning_rate, plan.weight_decay, plan.layer_decay)
        optimiser = adamw(groups, plan.learning_rate)
        schedule = schedule_of(plan)(optimiser)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader:
        """Samples from where the run stands."""
        plan, ranks = self.plan, self.trainer.world_size
        row = EndlessSamples(self.samples, plan.seed, plan.moves and not isinstance(self.samples, FrozenSamples))
        sampler = EndlessSampler(self.trainer.global_step * plan.batch * ranks, self.global_rank, ranks)
        collate = collate_frozen if isinstance(self.samples, FrozenSamples) else collate_tasks
        workers = {"num_workers": plan.workers, "persistent_workers": plan.workers > 0}
        return DataLoader(row, plan.batch // plan.accumulate, sampler=sampler, collate_fn=collate, **workers)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Features are no tensor and no dict, so Lightning would leave them."""
        return to_device(batch, device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what is trained, and what a resumed run must agree with."""
        checkpoint["state_dict"] = trained_state(self)
        checkpoint["plan"] = asdict(self.plan)
        checkpoint["base"] = self.base

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint of another run.

        Raises:
            CheckpointError: Another plan, other weights to start from, or another head.
        """
        saved, mine = {**checkpoint["plan"], "base": checkpoint["base"]}, {**asdict(self.plan), "base": self.base}
        differing = [name for name in mine if name not in MAY_CHANGE and saved.get(name) != mine[name]]
        if not differing and checkpoint["state_dict"].keys() != trained_state(self).keys():
            differing, saved, mine = ["head"], {"head": "another"}, {"head": type(self.head).__name__}
        if differing:
            got = ", ".join(f"{name} {mine[name]!r} instead of {saved.get(name)!r}" for name in differing[:3])
            raise CheckpointError.of("the plan the run began with", got, "Use that, or another folder for a new run.")

    @property
    def base(self) -> str:
        """What the run starts from."""
        return "cached features" if self.model is None else self.model.provenance


def schedule_of(plan: Plan) -> Schedule:
    """The schedule that a plan names."""
    if plan.schedule == "poly":
        return poly(plan.warmup, plan.steps)
    if plan.schedule == "steps":
        return steps_at([round(share * plan.steps) for share in plan.drops], plan.warmup, steps_per_epoch=1)
    return constant(plan.warmup)
