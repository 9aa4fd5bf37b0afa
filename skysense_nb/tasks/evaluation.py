"""Predictions of a model and a head on samples they have not seen, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchmetrics import Metric
from tqdm.auto import tqdm

from skysense_nb.models.features import Features
from skysense_nb.models.inference import InferenceModel
from skysense_nb.models.multimodal import MultiModalModel, kept_form
from skysense_nb.runtime import evaluation_mode, explain_out_of_memory
from skysense_nb.tasks.frozen import FrozenSamples, collate_frozen
from skysense_nb.tasks.heads.head import Batch, Head, Prediction
from skysense_nb.tasks.samples import collate_tasks
from skysense_nb.tasks.scores import Scores


def evaluate(
    model: MultiModalModel | None,
    head: Head,
    samples: Dataset,
    batch: int = 8,
    metric: Metric | None = None,
    progress: bool = False,
) -> Scores:
    """Predicts all samples and compares with their truth.

    Args:
        model: None for `FrozenSamples`.
        head: Of the task.
        samples: `TaskSamples` or `FrozenSamples` of a split that nothing was trained on.
        batch: Samples at a time.
        metric: Fresh; that of the head by default, such as `metric_for(reader.entry)` where papers report another.
        progress: Whether to show a bar.
    """
    metric = (metric or head.metric()).to(device_of(head))
    for predicted, truth in predictions(model, head, samples, batch, progress):
        metric.update(predicted, truth)
    return metric.compute()


def predictions(
    model: MultiModalModel | None, head: Head, samples: Dataset, batch: int = 8, progress: bool = False
) -> Iterator[tuple[Prediction, Batch]]:
    """Predictions of batches in the order of the samples, each with the batch it is of.

    Modes of model and head, and whether gradients are recorded, are as they were whenever a pair is handed out.

    Raises:
        EnvironmentProblem: Not enough memory; it says what would fit.
    """
    collate = collate_frozen if isinstance(samples, FrozenSamples) else collate_tasks
    loader = DataLoader(samples, batch, collate_fn=collate)
    fix = f"Use batch={max(1, batch // 2)}, or smaller images."
    for loaded in tqdm(loader, desc="predictions", disable=not progress, leave=False):
        moved = to_device(loaded, device_of(head))
        with explain_out_of_memory(fix), evaluation_mode(model, head), torch.no_grad():
            features = features_of(None if model is None else kept_form(model), moved)
            predicted = head.predict(head(features, moved), moved)
        yield predicted, moved


def features_of(model: InferenceModel | MultiModalModel | None, batch: Batch) -> Features:
    """The features of a batch: cached ones, or computed by the model."""
    return batch["features"] if "features" in batch else model.features(batch)


def to_device(value: Any, device: torch.device) -> Any:
    """A batch elsewhere: tensors in dicts, lists and features; all else as it is."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: to_device(one, device) for name, one in value.items()}
    if isinstance(value, list):
        return [to_device(one, device) for one in value]
    if isinstance(value, Features):
        return Features(**{name: to_device(one, device) for name, one in vars(value).items()})
    return value


def device_of(head: Head) -> torch.device:
    """Where a head is."""
    return next(head.parameters()).device
