"""Features of a frozen model, computed once and kept: a head then trains on them in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from skysense_nb.data.benchmarks.samples import TARGETS
from skysense_nb.errors import SampleError
from skysense_nb.models.features import Features
from skysense_nb.models.multimodal import MultiModalModel, kept_form
from skysense_nb.runtime import evaluation_mode, explain_out_of_memory
from skysense_nb.sensors import SENSORS
from skysense_nb.tasks.feature_files import Frozen, StoredFeatures, cache_key, write_item
from skysense_nb.tasks.heads.head import Batch
from skysense_nb.tasks.heads.levels import validity
from skysense_nb.tasks.samples import TaskSamples, collate_tasks

KEPT_AS = torch.float16
"""Rounding features to half precision changes them by at most 0.05 %, and halves the cache."""


class FrozenSamples(Dataset):
    """Samples with features in place of images. What is frozen sees no images that are moved at random.

    Args:
        items: One per sample.
        classes: Names in the order of ids.
    """

    def __init__(self, items: Sequence[Frozen], classes: Sequence[str]) -> None:
        self.items, self.classes = items, tuple(classes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Frozen:
        return self.items[index]

    def pooled(self) -> Tensor:
        """One vector per sample, n D float32."""
        return torch.cat([item["features"].pooled for item in self.items]).float()

    def labels(self) -> Tensor:
        """`label` of all samples, n or n K."""
        return torch.stack([item["label"] for item in self.items])


def freeze_features(
    model: MultiModalModel,
    samples: TaskSamples,
    maps: Sequence[str] = (),
    folder: str | Path | None = None,
    batch: int = 8,
    progress: bool = True,
) -> FrozenSamples:
    """Computes the features of all samples, in evaluation mode and without moves.

    With a folder they are kept there, one file per sample, under a key of the weights, the data and how they were
    prepared. A call that was stopped goes on where it was; other weights or other data get another key.

    Args:
        model: Its mode is left as it was.
        samples: A split, ready for the model.
        maps: Sensors whose maps are kept, too: those that a dense head reads. The fused map always is.
        folder: Of the cache; without it features are held in memory.
        batch: Samples at a time.
        progress: Whether to show a bar.

    Raises:
        EnvironmentProblem: Not enough memory; it says what would fit.
    """
    home = None if folder is None else Path(folder) / cache_key(model, samples, maps)
    paths = [] if home is None else [home / f"{number:06d}.safetensors" for number in range(len(samples))]
    missing = [number for number in range(len(samples)) if home is None or not paths[number].exists()]
    items: dict[int, Frozen] = {}
    with tqdm(total=len(samples), initial=len(samples) - len(missing), desc="features", disable=not progress) as bar:
        for start in range(0, len(missing), batch):
            numbers = missing[start : start + batch]
            for number, item in zip(numbers, frozen(model, [samples[one] for one in numbers], maps), strict=True):
                if home is None:
                    items[number] = item
                else:
                    write_item(paths[number], item)
                bar.update()
    held = StoredFeatures(paths) if home else [items[number] for number in range(len(samples))]
    return FrozenSamples(held, samples.classes)


@torch.no_grad()
def frozen(model: MultiModalModel, loaded: Sequence[dict[str, Any]], maps: Sequence[str]) -> list[Frozen]:
    """Items of some samples, in their order; those of one size are computed together."""
    groups = defaultdict(list)
    for place, sample in enumerate(loaded):
        groups[tuple(sample[name].shape[2:] for name in SENSORS if name in sample)].append(place)
    found: dict[int, Frozen] = {}
    fix = f"Use batch={max(1, len(loaded) // 2)}, or smaller images; what is in the cache stays."
    for places in groups.values():
        batch = collate_tasks([loaded[place] for place in places])
        with explain_out_of_memory(fix), evaluation_mode(model):
            features = kept_form(model).features(batch, maps=bool(maps))
        for row, place in enumerate(places):
            finest = next(name for name in SENSORS if name in loaded[place])
            item = {"features": row_of(features, row, maps), "size": tuple(loaded[place][finest].shape[-2:])}
            found[place] = item | {name: loaded[place][name] for name in ("id", *TARGETS) if name in loaded[place]}
    return [found[place] for place in range(len(loaded))]


def row_of(features: Features, row: int, maps: Sequence[str]) -> Features:
    """Features of one sample of a batch with the maps asked for, as they are kept."""

    def kept(values: Tensor) -> Tensor:
        return values[row : row + 1].to("cpu", KEPT_AS).clone()

    return Features(
        maps={name: [kept(level) for level in features.maps[name]] for name in maps if name in features.maps},
        fused=kept(features.fused),
        pooled=kept(features.pooled),
        valid=features.valid[row : row + 1].cpu().clone(),
        token_dates=list(features.token_dates),
        context=None if features.context is None else kept(features.context),
    )


def collate_frozen(items: Sequence[Frozen]) -> Batch:
    """One batch: features together, fp32, series padded with invalid dates; truth as `collate_tasks` has it."""
    truth = collate_tasks([{key: value for key, value in item.items() if key != "features"} for item in items])
    return truth | {"features": together([item["features"] for item in items]), "size": items[0]["size"]}


def together(rows: Sequence[Features]) -> Features:
    """Features of several samples as one batch.

    Raises:
        SampleError: Samples of different sizes.
    """
    if len(sizes := {tuple(row.fused.shape[-2:]) for row in rows}) > 1:
        got = f"{sorted(sizes)} ground cells"
        raise SampleError.of("features of samples of one size", got, "Pass cells=(…, …) to TaskSamples.")
    sensors = [name for name in SENSORS if any(name in row.maps for row in rows)]
    maps, valid, dates = {}, [], []
    for name in dict.fromkeys(name for row in rows for name, _ in row.token_dates):
        counts = [sum(sensor == name for sensor, _ in row.token_dates) for row in rows]
        dates += [(name, date) for date in range(max(counts))]
        seen = [validity(row, name) for row in rows]
        valid.append(torch.cat([padded(one, max(counts)) for one in seen]))
    for name in sensors:
        like = next(row.maps[name] for row in rows if name in row.maps)
        none = [level[:, :0] for level in like]
        held = [row.maps.get(name, none) for row in rows]
        count = max(levels[0].shape[1] for levels in held)
        maps[name] = [torch.cat([padded(one, count) for one in level]).float() for level in zip(*held, strict=True)]
    return Features(
        maps=maps,
        fused=torch.cat([row.fused for row in rows]).float(),
        pooled=torch.cat([row.pooled for row in rows]).float(),
        valid=torch.cat(valid, dim=1) if valid else torch.cat([row.valid for row in rows]),
        token_dates=dates,
        context=None if rows[0].context is None else torch.cat([row.context for row in rows]).float(),
    )


def padded(values: Tensor, count: int) -> Tensor:
    """1 T … with zeros, or False, up to `count` dates."""
    return torch.cat([values, values.new_zeros(1, count - values.shape[1], *values.shape[2:])], dim=1)
