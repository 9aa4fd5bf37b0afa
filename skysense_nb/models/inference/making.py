"""From a model to its inference form: what is chosen for the user, and when a form that was made serves again."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from skysense_nb.errors import ParameterError
from skysense_nb.layers import Experts
from skysense_nb.layers.autocast import full_precision
from skysense_nb.models.inference.choice import choose
from skysense_nb.models.inference.form import InferenceModel, sides
from skysense_nb.models.inference.linear import KINDS, Maker
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.models.skysense import SkySense
from skysense_nb.models.skysense_v2 import SkySenseV2
from skysense_nb.runtime import choose_device, choose_precision

FORMS: WeakKeyDictionary[MultiModalModel, tuple[tuple, InferenceModel]] = WeakKeyDictionary()
"""Forms that were made, as long as their models live."""

SMALL, SAMPLES = 2**21, 8
"""To see whether weights have changed, tensors of up to so many values are summed, and of larger ones so many values
are looked at."""


def make_form(
    model: MultiModalModel,
    dtype: torch.dtype | None,
    device: str | torch.device | None,
    kind: str | None,
    tokens_at_once: int | None,
    graphs: bool | None,
    quiet: bool,
) -> InferenceModel:
    """See `MultiModalModel.for_inference`."""
    if kind is not None and kind not in KINDS:
        raise ParameterError.of(f"a kind among {', '.join(KINDS)}", repr(kind), "Leave it out for the fastest.")
    if tokens_at_once is not None and not (isinstance(tokens_at_once, int) and tokens_at_once >= 1):
        raise ParameterError.of("tokens_at_once of at least 1", f"{tokens_at_once!r}", "Leave it out if unsure.")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ParameterError.of("a dtype such as torch.bfloat16", repr(dtype), "Leave it out for the model's.")
    if (got := obstacle(model)) is not None:
        raise ParameterError.of("SkySense or SkySense V2 as it was built", got, "Run the model as it is.")
    model.look_at_weights()
    where = model.device if device is None else choose_device(str(device))
    if dtype is None:
        own = next(model.parameters()).dtype
        dtype = choose_precision("auto", where) if where.type == "cuda" else own
    if graphs and where.type != "cuda":
        raise ParameterError.of("a CUDA device for graphs", where.type, "Leave graphs out.")
    if graphs is None:
        graphs = where.type == "cuda" and not any(isinstance(part, Experts) for part in model.modules())
    choice = choose(where, dtype)
    with full_precision(where):
        form = InferenceModel(model, Maker(dtype, where, kind or choice.kind), choice, tokens_at_once, graphs)
    if not quiet:
        asked = f", {kind} products as asked" if kind else ""
        print(f"Inference form of {model.name} on {where.type}: {choice}{asked}{', CUDA graphs' if graphs else ''}.")
    return form


def obstacle(model: object) -> str | None:
    """What about a model no inference form would know, so that it has none: a subclass, a strange part, a hook."""
    name = type(model).__name__
    if type(model) not in (SkySense, SkySenseV2):
        return name
    if len(sides(model)) > 1:
        return f"{name} with patches of {sorted(sides(model))}"
    for path, part in model.named_modules():
        if not type(part).__module__.startswith(("skysense_nb.", "torch.nn.")):
            return f"{name} with a {type(part).__qualname__} at {path}"
        if part._forward_hooks or part._forward_pre_hooks or "forward" in vars(part):
            return f"{name} with a hook at {path or 'its top'}"
    return None


def kept(model: MultiModalModel) -> InferenceModel | MultiModalModel:
    """The inference form in the model's own dtype and place, made again when its weights have changed.

    Models that have none stand for themselves.
    """
    if obstacle(model) is not None:
        return model
    model.look_at_weights()
    now = fingerprint(model)
    if model not in FORMS or FORMS[model][0] != now:
        own = next(model.parameters()).dtype
        FORMS[model] = now, make_form(model, own, None, None, None, None, quiet=True)
    return FORMS[model][1]


def fingerprint(model: MultiModalModel) -> tuple:
    """What changes when weights do: place and version of each tensor, and its sum or a few of its values.

    Fused optimizers and what is written through `.data` or NumPy change values without a new version.
    """
    tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
    versions = [0 if one.is_inference() else one._version for one in tensors]
    some = torch.cat([looked_at(one.flatten()) for one in tensors])
    places = [(one.data_ptr(), one.dtype) for one in tensors]
    return model.provenance, tuple(zip(places, versions, strict=True)), tuple(some.tolist())


def looked_at(values: Tensor) -> Tensor:
    """A few numbers that tell whether values are the same."""
    if len(values) <= SMALL:
        return values.sum(dtype=torch.float64)[None]
    return values[:: len(values) // SAMPLES][:SAMPLES].double()
