"""From a model to its inference form: what is chosen for the user, and when a form that was made serves again."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch

from skysense_nb.errors import ParameterError
from skysense_nb.layers import Experts
from skysense_nb.models.inference.choice import choose
from skysense_nb.models.inference.form import InferenceModel
from skysense_nb.models.inference.linear import KINDS, Maker
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.models.skysense import SkySense
from skysense_nb.models.skysense_v2 import SkySenseV2
from skysense_nb.runtime import choose_device, choose_precision

FORMS: WeakKeyDictionary[MultiModalModel, tuple[tuple, InferenceModel]] = WeakKeyDictionary()
"""Forms that were made, as long as their models live."""

SAMPLES = 8
"""Values of each tensor that are looked at to see whether weights have changed."""


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
    if tokens_at_once is not None and tokens_at_once < 1:
        raise ParameterError.of("tokens_at_once of at least 1", f"{tokens_at_once}", "Leave it out if unsure.")
    model.look_at_weights()
    where = model.device if device is None else choose_device(device) if isinstance(device, str) else device
    if dtype is None:
        own = next(model.parameters()).dtype
        dtype = choose_precision("auto", where) if where.type == "cuda" else own
    choice = choose(where, dtype)
    if graphs and where.type != "cuda":
        raise ParameterError.of("a CUDA device for graphs", where.type, "Leave graphs out.")
    if graphs is None:
        graphs = where.type == "cuda" and not any(isinstance(part, Experts) for part in model.modules())
    form = InferenceModel(model, Maker(dtype, where, kind or choice.kind), tokens_at_once, graphs)
    if not quiet:
        asked = f", {kind} products as asked" if kind else ""
        print(f"Inference form of {model.name} on {where.type}: {choice}{asked}{', CUDA graphs' if graphs else ''}.")
    return form


def kept(model: MultiModalModel) -> InferenceModel | MultiModalModel:
    """The inference form in the model's own dtype and place, made again when its weights have changed.

    Models of other kinds than SkySense have none, and stand for themselves.
    """
    if not isinstance(model, SkySense | SkySenseV2):
        return model
    model.look_at_weights()
    now = fingerprint(model)
    if model not in FORMS or FORMS[model][0] != now:
        own = next(model.parameters()).dtype
        FORMS[model] = now, make_form(model, own, None, None, None, None, quiet=True)
    return FORMS[model][1]


def fingerprint(model: MultiModalModel) -> tuple:
    """What changes when weights do: place and version of each tensor, and a few of its values.

    Fused optimizers and teacher averages change values without a new version, but then all of them.
    """
    tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
    versions = [0 if one.is_inference() else one._version for one in tensors]
    flat = [one.flatten() for one in tensors]
    some = torch.cat([one[:: max(1, len(one) // SAMPLES)][:SAMPLES].float() for one in flat])
    places = [(one.data_ptr(), one.dtype) for one in tensors]
    return model.provenance, tuple(zip(places, versions, strict=True)), tuple(some.tolist())
