"""Loading and saving weights, with a receipt that accounts for every tensor.

Nothing is ever loaded by silent partial match: each tensor of the model must come from the file, be recomputed, or be
named by the caller; each tensor of the file must be used, be on the short list below, or be named by the caller.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from skysense_nb.errors import CheckpointError, PresetError, writable
from skysense_nb.models.family import Config, build, config_from_json, config_to_json
from skysense_nb.models.first_use import LARGE, FirstUse
from skysense_nb.models.matching import Receipt, match, short
from skysense_nb.models.multimodal import PARTS, MultiModalModel
from skysense_nb.models.presets import preset
from skysense_nb.models.skysense import SkySenseConfig
from skysense_nb.models.weight_files import SEPARATE, Origin, WeightsFile, open_weights
from skysense_nb.runtime import choose_device

IGNORED = {
    "encoders.hr.mask_token": "used only by the pre-training of the published encoder",
    "pretraining.": "used only by pre-training",
}
"""Beginnings of keys in files that may be left out, with the reason."""

BUNDLED = Path(__file__).parent / "weights"
"""Small weights that come with this package, each with a model card: how they were trained, and what they are worth."""

Weights = str | Path | Mapping[str, str | Path] | None


def load(
    name: str | Config | None = None,
    weights: Weights = "bundled",
    *,
    parts: tuple[str, ...] = PARTS,
    seed: int = 0,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    near_infrared: bool = False,
    context: bool = False,
    recompute: bool = False,
    allow_missing: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
) -> tuple[MultiModalModel, Receipt]:
    """Builds a model, fills it, and says what became of every tensor.

    Args:
        name: A preset, a configuration, or None to take the configuration from a file that `save` wrote.
        weights: `bundled` for those that come with this package, random ones where a preset has none; `random` or
            None; a file; a folder of separate files; `{"hr": path, "s2": path, …}`; or a Hugging Face repository id
            `owner/name`.
        parts: What to build among `hr`, `s2`, `s1`, `fusion`.
        seed: Seed of random weights.
        device: Where to put the model; `auto` takes a GPU if there is one.
        dtype: Dtype of the parameters.
        near_infrared: Give the HR encoder a fourth band; R G B weights are widened, NIR starts as a copy of red.
        context: Give a preset the geo-context whose prototypes the weights hold. Samples then need `lonlat`.
        recompute: Recompute activations in the backward pass: less memory, about a third more time in training.
        allow_missing: Our keys (receipt spelling) that may be missing; they become zeros.
        ignore: Prefixes of keys in the files to leave out.

    Returns:
        The model in evaluation mode and the receipt.

    Raises:
        PresetError: Unknown name.
        EnvironmentProblem: The device is not there.
        CheckpointError: Any tensor missing, unexpected, or of another shape; a damaged or unsafe file.

    Example:
        >>> model, receipt = load("skysense-tiny", weights="random", seed=0)
        >>> print(receipt)
        Random weights, seed 0: nothing was loaded. Features show the architecture, not knowledge.
    """
    weights = None if weights == "random" else bundled(name) if weights == "bundled" else weights
    files = [] if weights is None else open_all(weights)
    allow_missing, ignore = ((names,) if isinstance(names, str) else tuple(names) for names in (allow_missing, ignore))
    config = config_for(name, files, near_infrared, context)
    if weights is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, receipt = build(config, parts, recompute), Receipt(seed=seed)
    else:
        with torch.device("meta"):
            model = build(config, parts, recompute)
        receipt = fill(model, files, parts, dtype, near_infrared, allow_missing, ignore)
    saved_as = next((file.metadata["preset"] for file in files if "preset" in file.metadata), "custom")
    model.name = name if isinstance(name, str) else saved_as
    model.receipt = receipt
    receipt.dtype = short(dtype)
    where = choose_device(device) if isinstance(device, str) else device
    return model.to(device=where, dtype=dtype).eval(), receipt


def bundled(name: str | Config | None) -> Path | None:
    """The weights of a preset that come with this package, None if it has none."""
    path = BUNDLED / f"{name}.safetensors"
    return path if isinstance(name, str) and path.is_file() else None


def config_for(name: str | Config | None, files: list[WeightsFile], near_infrared: bool, context: bool) -> Config:
    """The configuration asked for, which must be the one a file of ours was saved with, apart from its prototypes."""
    saved = next((config for file in files if (config := config_from_json(file.metadata))), None)
    if name is None and saved is None:
        raise PresetError.of(
            "a preset name", "none, and the weights carry no configuration", "Pass 'skysense' or another preset."
        )
    asked = preset(name) if isinstance(name, str) else name
    prototypes = saved and saved.context
    if context and not prototypes:
        got = "weights without" if files else "random weights"
        raise CheckpointError.of("weights that hold prototypes", got, "Leave context out.")
    if prototypes and asked is not None and asked.context is None:
        asked, saved = (replace(one, context=prototypes if context else None) for one in (asked, saved))
    if near_infrared:
        asked, saved = (one and widened_to_near_infrared(one) for one in (asked, saved))
    if asked is not None and saved is not None and asked != saved:
        wanted = name if isinstance(name, str) else "this configuration"
        same_model = type(asked) is type(saved)
        found = f"weights of another {'size' if same_model else 'model'} in {files[0].path.name}"
        raise CheckpointError.of(f"weights of {wanted}", found, "Pass name=None to use theirs.")
    published = [file for file in files if file.form != "skysense-nb"]
    if published and not isinstance(asked or saved, SkySenseConfig):
        got = f"{published[0].path.name} in the form of the SkySense v1 release"
        raise CheckpointError.of("weights of SkySense V2", got, "Load 'skysense'; no weights of V2 are published.")
    return asked or saved


def widened_to_near_infrared(config: Config) -> Config:
    """The same model with R G B NIR as its HR bands."""
    if isinstance(config, SkySenseConfig):
        return replace(config, hr=replace(config.hr, in_channels=4))
    return replace(config, backbone=replace(config.backbone, hr_channels=4))


def open_all(weights: Weights) -> list[WeightsFile]:
    """Opens what `weights` names: one file, a folder, files by part, or a Hugging Face repository."""
    if isinstance(weights, Mapping):
        if unknown := sorted(set(weights) - set(SEPARATE)):
            raise CheckpointError.of(f"parts among {', '.join(SEPARATE)}", ", ".join(unknown), "Rename them.")
        return [open_weights(Path(path), role) for role, path in weights.items()]
    path = Path(weights)
    if not path.exists() and re.fullmatch(r"\w[\w.-]*/[\w.-]*\w", str(weights)) and not path.suffix:
        if path.parent.is_dir():
            raise CheckpointError.of(f"weights at {path}", "no such file or folder", "Check the path.")
        path = from_hub(str(weights))
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".pth", ".pt"))
        if not found:
            raise CheckpointError.of(
                f"weights files in {path}", "none", "Point to the folder that holds the .pth files."
            )
        return [open_weights(file) for file in found]
    return [open_weights(path)]


def from_hub(repository: str) -> Path:
    """Folder with the weights files of a Hugging Face repository, downloaded once."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=["*.safetensors", "*.pth", "*.pt"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = (
            "no network and no earlier download" if isinstance(error, LocalEntryNotFoundError) else type(error).__name__
        )
        raise CheckpointError.of(
            f"the repository {repository}", reason, "Check the name, or pass a local path."
        ) from error


def fill(
    model: MultiModalModel,
    files: list[WeightsFile],
    parts: tuple[str, ...],
    dtype: torch.dtype,
    near_infrared: bool,
    allow_missing: tuple[str, ...],
    ignore: tuple[str, ...],
) -> Receipt:
    """Fills a model on the meta device from opened files."""
    tensors = {key: tensor for file in files for key, tensor in file.tensors.items()}
    origin = {new: old for file in files for new, old in file.original_keys.items()}
    if len(tensors) < sum(len(file.tensors) for file in files):
        raise CheckpointError.of("every tensor once", "the same part in two files", "Remove one of the files.")
    ignored = {key: reason for key in tensors if (reason := why_ignored(key, model, parts, ignore, origin))}
    projection = model.hr_projection
    three_bands = tensors.get(projection, torch.empty(0, 0)).shape[1] == 3
    widened = [projection] if near_infrared and three_bands and projection not in ignored else []
    for key in widened:
        tensors[key] = torch.cat((tensors[key], tensors[key][:, :1]), dim=1)
    used = {key: tensor for key, tensor in tensors.items() if key not in ignored}
    mapped = all(tensor.dtype == dtype for tensor in used.values() if tensor.is_floating_point())
    later = mapped and sum(tensor.numel() * tensor.element_size() for tensor in used.values()) >= LARGE
    receipt = match(model, used, dtype=dtype, allow_missing=allow_missing, names=origin, look=not later)
    model.first_use = FirstUse({key: origin[key] for key in receipt.matched}) if later else None
    receipt.origins = [Origin(file.path, file.form) for file in files]
    if not later:
        _ = receipt.checksum  # read now, when the files are certainly there
    receipt.ignored, receipt.widened = ignored, widened
    receipt.training = " ".join(file.metadata.get("training", "") for file in files).strip()
    return receipt


def why_ignored(
    key: str, model: MultiModalModel, parts: tuple[str, ...], ignore: tuple[str, ...], origin: dict[str, str]
) -> str:
    """Why a tensor of a file may be left out; empty if it may not."""
    for beginning, reason in IGNORED.items():
        if key.startswith(beginning):
            return reason
    if key.startswith("context.") and model.config.context is None:
        return "geo-context was not asked for"
    if ignore and (key.startswith(ignore) or origin[key].startswith(ignore)):
        return "left out by the caller"
    for prefix, owners in model.owners.items():
        absent = [part for part in owners if part not in parts]
        if key.startswith(prefix) and absent:
            return f"{absent[0]} was not asked for"
    return ""


def save(
    model: MultiModalModel,
    path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    training: str = "",
    extra: Mapping[str, Tensor] | None = None,
) -> Path:
    """Writes weights and configuration to a safetensors file, beside the target first and then renamed.

    Args:
        model: What to save.
        path: Ends in `.safetensors`.
        dtype: Of the floating-point numbers in the file; without it as they are.
        training: One line on where the weights come from, which the receipt of `load` repeats.
        extra: What pre-training needs beside the model, under keys that begin with `pretraining.`.

    Raises:
        CheckpointError: Another ending, or a place that cannot be written.

    Example:
        >>> model, _ = load("skysense-tiny", parts=("s1",))
        >>> save(model, "mine.safetensors", dtype=torch.float16).name
        'mine.safetensors'
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise CheckpointError.of("a path that ends in .safetensors", path.name, "Rename it.")
    unfinished = path.with_name(f".{path.name}.unfinished")
    metadata = {"format": "skysense-nb 1", "preset": model.name} | config_to_json(model.config)
    metadata |= {"training": training} if training else {}
    content = {**model.state_dict(), **(extra or {})}
    tensors = {key: value.detach().cpu().contiguous() for key, value in content.items()}
    if dtype is not None:
        tensors = {key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors.items()}
    with writable(path.parent, CheckpointError):
        save_file(tensors, unfinished, metadata)
        os.replace(unfinished, path)
    return path
