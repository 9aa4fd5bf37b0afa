"""Weights files: opened safely, recognised by their keys, renamed to the keys of our modules.

Recognised are the separate files of the SkySense release (`backbone_hr`, `backbone_s2`, `backbone_s1`, `fusion`,
`head_s2`, `head_s1`), one combined file with prefixes, and the files `checkpoints.save` writes.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from skysense_nb.errors import CheckpointError

SEPARATE = {
    "hr": ("backbone.", "encoders.hr."),
    "s2": ("", "encoders.s2."),
    "s1": ("", "encoders.s1."),
    "fusion": ("", "fusion."),
    "head_s2": ("", "heads.s2."),
    "head_s1": ("", "heads.s1."),
}
"""Per file of the release: the prefix its keys carry and the prefix they get."""

COMBINED = {
    "backbone_gep.": "encoders.hr.",
    "backbone.": "encoders.hr.",
    "backbone_s2.": "encoders.s2.",
    "backbone_s1.": "encoders.s1.",
    "fusion.": "fusion.",
    "head_s2.": "heads.s2.",
    "head_s1.": "heads.s1.",
}
"""Prefixes of one combined file and what they become."""

DATE_TABLE = "dates.table"
OWN_PREFIXES = ("encoders.", "heads.", "dates.", "context.", "backbone.tokenisers.")
WRAPPERS = ("state_dict", "model", "module")
NEXT_STEP = "Download the file again from the source you trust."


@dataclass(frozen=True)
class Origin:
    """A file and what it was recognised as."""

    path: Path
    form: str

    @cached_property
    def sha256(self) -> str:
        """Checksum of the file; the first to ask waits until it is read.

        Raises:
            CheckpointError: The file is gone.
        """
        try:
            return sha256(self.path)
        except OSError as error:
            got, fix = error.strerror or str(error), "Keep it as long as its model is used."
            raise CheckpointError.of(f"the weights file {self.path} where it was", got, fix) from error


@dataclass(frozen=True)
class WeightsFile(Origin):
    """One opened file with its tensors under our keys."""

    tensors: dict[str, Tensor]
    original_keys: dict[str, str]
    metadata: dict[str, str]


def open_weights(path: Path, role: str | None = None) -> WeightsFile:
    """Opens one file without executing anything in it and without reading the tensors yet.

    Args:
        path: A `.safetensors`, `.pth` or `.pt` file.
        role: Which file of the release it is, if known; otherwise its keys tell.

    Raises:
        CheckpointError: Missing, cut short, not tensors only, or not recognised.
    """
    if not path.is_file():
        raise CheckpointError.of(f"a weights file at {path}", "no such file", "Check the path.")
    tensors, metadata = read_safetensors(path) if path.suffix == ".safetensors" else (read_torch(path), {})
    own = metadata.get("format", "").startswith("skysense-nb")
    form = "skysense-nb" if own else role or recognise({strip(key): value for key, value in tensors.items()}, path)
    renamed = {key: rename(strip(key), form) for key in tensors}
    original = {new: old for old, new in renamed.items()}
    if twice := [key for key, new in renamed.items() if original[new] != key]:
        both = f"{twice[0]} and {original[renamed[twice[0]]]}"
        raise CheckpointError.of(f"every tensor once in {path.name}", f"two for one place, {both}", NEXT_STEP)
    return WeightsFile(
        path=path,
        form=form,
        tensors={renamed[key]: value for key, value in tensors.items()},
        original_keys=original,
        metadata=metadata,
    )


def strip(key: str) -> str:
    """A key without what parallel and compiled training put in front."""
    while key.startswith(("module.", "_orig_mod.")):
        key = key.partition(".")[2]
    return key


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors mapped from a safetensors file, and its metadata."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError.of(f"a whole safetensors file at {path.name}", str(error), NEXT_STEP) from error


def read_torch(path: Path) -> dict[str, Tensor]:
    """Tensors mapped from a torch file; anything but tensors in plain containers is refused."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            pickled = file.read(1) in (b"\x80", b"P")  # how pickles and torch's zip files begin
        reason = "an object that would run code when opened" if pickled else "something that torch did not write"
        raise CheckpointError.of(f"tensors only in {path.name}", reason, NEXT_STEP) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError.of(f"a whole torch file at {path.name}", first_line, NEXT_STEP) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise CheckpointError.of(f"a state dict in {path.name}", type(content).__name__, NEXT_STEP)
    others = [str(key) for key, value in content.items() if not (isinstance(value, Tensor) and isinstance(key, str))]
    if others:
        raise CheckpointError.of(f"tensors only in {path.name}", f"other values at {', '.join(others[:3])}", NEXT_STEP)
    return content


def recognise(tensors: dict[str, Tensor], path: Path) -> str:
    """Which file this is, told by its keys; single missing tensors do not hide it.

    Raises:
        CheckpointError: None that SkySense has.
    """
    keys = set(tensors)

    def any_starts(*prefixes: str) -> bool:
        return any(key.startswith(prefixes) for key in keys)

    if any_starts(*OWN_PREFIXES):
        return "skysense-nb"
    if any_starts(*COMBINED.keys() - {"backbone."}):
        return "combined"
    if any_starts("backbone.stages.", "stages."):
        return "hr"
    if any_starts("porj_linear."):
        return "fusion"
    if any_starts("decoder.0."):
        return "head_" + sentinel_in_name(path)
    if any_starts("pos_embed", "patch_embed."):
        first = tensors.get("patch_embed.projection.weight")
        known = {10: "s2", 2: "s1"}.get(first.shape[1]) if first is not None and first.ndim == 4 else None
        return known or ("s2" if "ctpe" in keys else sentinel_in_name(path))
    few = ", ".join(sorted(keys)[:3])
    raise CheckpointError.of(
        "keys of a SkySense file", f"{len(keys)} others ({few}, …) in {path.name}", "Check which model it is."
    )


def sentinel_in_name(path: Path) -> str:
    """`s1` or `s2`, read off a file name whose keys do not tell."""
    found = re.findall(r"s[12](?![0-9])", path.stem.lower())
    if len(set(found)) != 1:
        raise CheckpointError.of(
            "a file whose keys or name tell Sentinel-1 from Sentinel-2",
            path.name,
            "Pass weights={'s2': path, …} by part.",
        )
    return found[0]


def rename(key: str, form: str) -> str:
    """Our key for a key of a file of the given form; keys that have no place come back as they are."""
    if form == "skysense-nb":
        return key
    if key in ("ctpe", "backbone_s2.ctpe") and form in ("s2", "combined"):
        return DATE_TABLE
    if form == "combined":
        for old, new in COMBINED.items():
            if key.startswith(old):
                return new + key.removeprefix(old)
        return key
    old, new = SEPARATE[form]
    return new + key.removeprefix(old)


def sound(tensor: Tensor) -> bool:
    """Whether a tensor holds finite numbers (one pass: NaN and ∞ survive a sum)."""
    return not tensor.is_floating_point() or bool(tensor.sum(dtype=torch.float64).isfinite())


def sha256(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
