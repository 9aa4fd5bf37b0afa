"""The cache of frozen features: one file per sample, under a key of everything they depend on."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from skysense_nb.data.benchmarks.samples import TARGETS
from skysense_nb.errors import CheckpointError, writable
from skysense_nb.models.digest import weights_digest
from skysense_nb.models.features import Features
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.tasks.samples import TaskSamples

Frozen = dict[str, Any]
"""One sample: `features` (a batch of one, on the CPU), `size` of HR or of its finest sensor, `id` and its truth."""


class StoredFeatures(Sequence):
    """Items that are read from their files when they are asked for, so memory stays flat."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Frozen:
        return read_item(self.paths[index])


def cache_key(model: MultiModalModel, samples: TaskSamples, maps: Sequence[str]) -> str:
    """A name for features that changes with everything they depend on: weights, files, and how both are used."""
    digest = hashlib.sha256(weights_digest(model).encode())
    layers = [samples]  # such as samples of windows of a reader
    while hasattr(layers[-1], "reader"):
        layers.append(layers[-1].reader)
    reader = layers[-1]
    for item in reader.items:
        for path in reader.files(item):
            told = path.stat()
            digest.update(f"{reader.root.name(path)} {told.st_size} {told.st_mtime_ns}".encode())
    digest.update(repr((type(model).__name__, model.config, sorted(maps), list(map(settings, layers)))).encode())
    return f"{reader.name}-{reader.split}-{digest.hexdigest()[:16]}"


def settings(layer: object) -> tuple[str, list[tuple[str, Any]]]:
    """Type and plain values of samples, windows or a reader; names of classes are looked up late, and no setting."""
    plain = {name: value for name, value in vars(layer).items() if isinstance(value, str | int | float | tuple)}
    return type(layer).__name__, sorted((name, value) for name, value in plain.items() if name != "class_names")


def write_item(path: Path, item: Frozen) -> None:
    """One file, whole or not there.

    Raises:
        CheckpointError: It cannot be written.
    """
    features = item["features"]
    tensors = {f"truth/{name}": item[name].contiguous() for name in TARGETS if name in item}
    for name in ("fused", "pooled", "valid", "context"):
        if getattr(features, name) is not None:
            tensors[name] = getattr(features, name).contiguous()
    for name, maps in features.maps.items():
        tensors |= {f"maps/{name}/{level}": one.contiguous() for level, one in enumerate(maps)}
    told = {"id": item["id"], "size": json.dumps(item["size"]), "token_dates": json.dumps(features.token_dates)}
    beside = path.with_suffix(".part")
    with writable(path.parent, CheckpointError):
        save_file(tensors, beside, told)
        os.replace(beside, path)


def read_item(path: Path) -> Frozen:
    """What `write_item` wrote.

    Raises:
        CheckpointError: A damaged file.
    """
    try:
        with safe_open(path, "pt") as file:
            told, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        fix = "Delete it; it is computed again."
        raise CheckpointError.of(f"whole features at {path}", str(error).splitlines()[0], fix) from error
    maps: dict[str, list[Tensor]] = defaultdict(list)
    for key in sorted(name for name in tensors if name.startswith("maps/")):
        maps[key.split("/")[1]].append(tensors[key])
    plain = {name: tensors[name] for name in ("fused", "pooled", "valid", "context") if name in tensors}
    dates = [(name, date) for name, date in json.loads(told["token_dates"])]
    truth = {key.removeprefix("truth/"): value for key, value in tensors.items() if key.startswith("truth/")}
    features = Features(maps=dict(maps), token_dates=dates, **plain)
    return {"features": features, "id": told["id"], "size": tuple(json.loads(told["size"])), **truth}
