"""The best weights of a run: judged every so often on samples that are not trained on, kept, and brought back."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from skysense_nb.errors import CheckpointError
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.tasks.evaluation import evaluate
from skysense_nb.tasks.heads.head import Head
from skysense_nb.tasks.plan import Plan
from skysense_nb.tasks.scores import Scores
from skysense_nb.training.checkpoints import History, ended_step


class Best(Callback):
    """Evaluates, keeps the weights with the highest score, and stops when none has come for a while.

    Args:
        path: Of the weights.
        held_out: What is judged on; None: nothing is.
        plan: `check_every` and `patience`.
        history: Gets the score, and those of the classes.
    """

    def __init__(self, path: Path, held_out: Dataset | None, plan: Plan, history: History) -> None:
        self.path, self.held_out, self.plan, self.history = path, held_out, plan, history
        self.scores: Scores | None = None
        self.waited, self.gave_up = 0, False

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """A run that gave up before does not begin again."""
        trainer.should_stop = self.gave_up

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Evaluates where it is due."""
        step, every = trainer.global_step, self.plan.check_every
        due = step == trainer.max_steps or (every > 0 and step % every == 0)
        if self.held_out is None or not due or not ended_step(trainer, module):
            return
        part = max(1, self.plan.batch // self.plan.accumulate)
        scores = evaluate(module.model, module.head, self.held_out, part)
        self.history.add(step, {"score": scores.value} | {f"score/{k}": v for k, v in scores.per_class.items()})
        if self.scores is None or math.isnan(self.scores.value) or scores.value > self.scores.value:
            self.scores, self.waited = scores, 0
            if trainer.is_global_zero:
                self.keep(module)
        else:
            self.waited += 1
        self.gave_up = 0 < self.plan.patience <= self.waited
        trainer.should_stop = self.gave_up

    def keep(self, module: LightningModule) -> None:
        """Writes what is trained, whole or not at all."""
        beside = self.path.with_suffix(".part")
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in trained_state(module).items()}
        save_file(state, beside, {"scores": json.dumps(vars(self.scores) if self.scores else None)})
        os.replace(beside, self.path)

    def restore(self, module: LightningModule) -> None:
        """Brings the kept weights back; the last ones are kept where nothing was judged."""
        if self.held_out is None or not self.path.exists():
            self.keep(module)
        load_best(self.path, module.model, module.head)

    def state_dict(self) -> dict[str, Any]:
        """What goes into the checkpoint."""
        scores = None if self.scores is None else vars(self.scores)
        return {"scores": scores, "waited": self.waited, "gave_up": self.gave_up}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What a resumed run goes on with."""
        self.scores = None if state["scores"] is None else Scores(**state["scores"])
        self.waited, self.gave_up = state["waited"], state["gave_up"]


def trained_state(module: LightningModule) -> dict[str, Tensor]:
    """All of the head, and of the model what is trained."""
    parameters = () if module.model is None else module.model.named_parameters()
    trained = {f"model.{name}" for name, one in parameters if one.requires_grad}
    return {name: one for name, one in module.state_dict().items() if name in trained or name.startswith("head.")}


def load_best(path: str | Path, model: MultiModalModel | None, head: Head) -> None:
    """Fills a head, and what was trained of the model, with weights of a run.

    Args:
        path: `best.safetensors` of its folder.
        model: As the run began with it, with its adapters if it had any.
        head: Built as for the run.

    Raises:
        CheckpointError: No such weights, or those of another head or model.
    """
    try:
        state = load_file(path)
        for prefix, owner in (("head.", head), ("model.", model)):
            part = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
            if part and owner is None:
                raise KeyError("weights of a model")
            if owner is not None:
                told = owner.load_state_dict(part, strict=owner is head)
                if told.unexpected_keys:
                    raise KeyError(told.unexpected_keys[0])
    except (SafetensorError, OSError, RuntimeError, KeyError) as error:
        fix = "Build head and model as for the run."
        raise CheckpointError.of(f"weights of this head at {path}", str(error).splitlines()[0], fix) from error
