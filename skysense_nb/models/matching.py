"""Strict assignment of tensors to a module, with a receipt that accounts for every one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from skysense_nb.errors import CheckpointError
from skysense_nb.layers.window_attention import WindowAttention, relative_coordinates, relative_index
from skysense_nb.models.weight_files import COMBINED, DATE_TABLE, Origin, sound

NO_ID = -1
"""What an integer buffer holds where nothing is known, such as the region of an empty slot."""

RIGHT_PRESET = "Load the preset these weights belong to."
WHOLE_FILE = "Get the whole file; allow_missing=(…,) accepts a gap by name."


@dataclass
class Receipt:
    """What became of every tensor; prints as a few lines.

    Attributes:
        origins: The files.
        matched: Keys loaded from the files.
        recomputed: Buffers computed from the configuration (and compared with the file where it holds them).
        ignored: Keys of the files that were left out, with the reason.
        filled: Keys the caller allowed to be missing, now zeros.
        widened: Keys extended from R G B to R G B NIR.
        dtypes: Dtypes found in the files.
        dtype: Dtype of the loaded model.
        seed: Of random weights.
        training: Where the weights come from, as their file says.
    """

    origins: list[Origin] = field(default_factory=list)
    matched: list[str] = field(default_factory=list)
    recomputed: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    filled: list[str] = field(default_factory=list)
    widened: list[str] = field(default_factory=list)
    dtypes: list[str] = field(default_factory=list)
    dtype: str = "float32"
    seed: int | None = None
    training: str = ""

    @property
    def files(self) -> list[tuple[str, str, str]]:
        """Per file its name, the form it was recognised as, and its SHA-256, for which it is read once."""
        return [(one.path.name, one.form, one.sha256) for one in self.origins]

    @property
    def checksum(self) -> str:
        """Short name of the weights: the start of each file's SHA-256, or the seed of random ones."""
        return "+".join(sha[:12] for _, _, sha in self.files) or f"random, seed {self.seed}"

    def __str__(self) -> str:
        if not self.origins:
            return (
                f"Random weights, seed {self.seed}: nothing was loaded. Features show the architecture, not knowledge."
            )
        lines = [f"{name}: recognised as {form}, sha256 {sha[:12]}…" for name, form, sha in self.files]
        counts = f"{len(self.matched)} tensors matched, {len(self.recomputed)} recomputed, {len(self.ignored)} ignored"
        lines.append(f"{counts}, 0 missing, 0 unexpected · {', '.join(self.dtypes)} → {self.dtype}")
        lines += [self.training] if self.training else []
        for reason in dict.fromkeys(self.ignored.values()):
            keys = [key for key, its_reason in self.ignored.items() if its_reason == reason]
            lines.append(f"  ignored {keys[0]}{f' and {len(keys) - 1} more' if keys[1:] else ''}: {reason}")
        lines += [f"  zeros, as you allowed: {key}" for key in self.filled]
        lines += [f"  widened to R G B NIR (NIR starts as a copy of red): {key}" for key in self.widened]
        return "\n".join(lines)


def match(
    module: nn.Module,
    tensors: dict[str, Tensor],
    *,
    dtype: torch.dtype = torch.float32,
    allow_missing: tuple[str, ...] = (),
    names: Mapping[str, str] | None = None,
    look: bool = True,
) -> Receipt:
    """Gives a module built on the meta device its tensors, without a second copy; raises unless all fit.

    Args:
        module: Any module of this library.
        tensors: One tensor per key of the module's state dict; position buffers may be absent.
        dtype: Dtype of the parameters.
        allow_missing: Keys that become zeros when absent.
        names: How the file spelled each key, for messages.
        look: Look at every value now; without it nothing is read of tensors that are mapped from a file.

    Raises:
        CheckpointError: A tensor missing, unexpected, or of another shape.
    """
    names = names or {}
    state = recompute(module, tensors)
    receipt = Receipt(recomputed=sorted(state))
    receipt.dtypes = sorted({short(t.dtype) for t in tensors.values() if t.is_floating_point()})
    wanted = {key: value for key, value in module.state_dict().items() if key not in state}
    strangers = [key for key in allow_missing if key not in wanted]
    refuse("names of the model in allow_missing", strangers, "Spell them as the receipt does.")
    missing = [key for key in wanted if key not in tensors and key not in allow_missing]
    unexpected = [names.get(key, key) for key in tensors if key not in wanted and key not in state]
    wrong = [
        f"{names.get(key, key)} {tuple(tensors[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in tensors and tensors[key].shape != value.shape
    ]
    refuse("shapes of the model", wrong, RIGHT_PRESET)
    step = missing_step(module, missing, tensors)
    refuse("every tensor of the model", [f"no {describe(key)}" for key in missing], step)
    refuse("only tensors of the model", [f"also {key}" for key in unexpected], "Leave them out by name: ignore=(…,).")
    broken = [
        names.get(key, key)
        for key, value in wanted.items()
        if key in tensors and (not same_kind(tensors[key], value) or (look and not sound(tensors[key])))
    ]
    refuse("dense, finite numbers", broken, "The file is damaged; get it again.")
    for key, value in wanted.items():
        if key in tensors:
            state[key] = tensors[key].to(dtype) if tensors[key].is_floating_point() else tensors[key]
            receipt.matched.append(key)
        else:
            nothing = 0 if value.is_floating_point() else NO_ID
            state[key] = torch.full(value.shape, nothing, dtype=dtype if value.is_floating_point() else value.dtype)
            receipt.filled.append(key)
    module.load_state_dict(state, assign=True)
    return receipt


def same_kind(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor is a plain one of the kind of numbers the model wants."""
    return tensor.layout == torch.strided and tensor.is_floating_point() == wanted.is_floating_point()


def recompute(module: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Buffers that follow from the window size; a file holds all of them or none, and equal ones."""
    state = {}
    for name, part in module.named_modules():
        if isinstance(part, WindowAttention):
            state[f"{name}.relative_coords_table"] = relative_coordinates(part.window)
            state[f"{name}.relative_position_index"] = relative_index(part.window)
    held = [key for key in state if key in tensors]
    if held:
        refuse(
            "all position buffers or none", [f"no {describe(key)}" for key in state if key not in tensors], WHOLE_FILE
        )
    for key in held:
        if tensors[key].shape != state[key].shape or not torch.allclose(
            tensors[key].float(), state[key].float(), atol=1e-2
        ):
            refuse("position buffers of this window size", [f"others in {describe(key)}"], RIGHT_PRESET)
    return state


def describe(key: str) -> str:
    """Our key with the name it has in the published files."""
    if key == DATE_TABLE:
        return f"{key} (ctpe in the Sentinel-2 file)"
    for old, new in COMBINED.items():
        if key.startswith(new):
            return f"{key} ({key.removeprefix(new)} under {old}* or in its own file)"
    return key


def missing_step(module: nn.Module, missing: list[str], tensors: dict[str, Tensor]) -> str:
    """Next step for missing tensors: whole parts can be left out, single ones mean damage."""
    prefixes = defaultdict(tuple)
    for prefix, parts in getattr(module, "owners", {}).items():
        prefixes[parts[0] if len(parts) == 1 else f"head_{parts[0]}"] += (prefix,)
    absent = [
        part
        for part, owned in prefixes.items()
        if any(key.startswith(owned) for key in missing) and not any(key.startswith(owned) for key in tensors)
    ]
    named = ", ".join(absent)
    return f"Add the files of {named}, or load fewer parts=(…)." if absent else WHOLE_FILE


def refuse(expected: str, problems: list[str], next_step: str) -> None:
    """Raises if there are problems, naming the first few."""
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CheckpointError.of(expected, "; ".join(problems[:5]) + more, next_step)


def short(dtype: torch.dtype) -> str:
    """A dtype without its package."""
    return str(dtype).removeprefix("torch.")
