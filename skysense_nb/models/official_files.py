"""The published form of weights: which file holds what, under which keys. The way back from `weight_files.rename`.

For code that reads the published files, and for files of that layout to try a loader on.
"""

from __future__ import annotations

from torch import Tensor

from skysense_nb.errors import CheckpointError
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.models.skysense import SkySense
from skysense_nb.models.weight_files import DATE_TABLE, SEPARATE

FILE_NAMES = {
    "hr": "skysense_model_backbone_hr.pth",
    "s2": "skysense_model_backbone_s2.pth",
    "s1": "skysense_model_backbone_s1.pth",
    "fusion": "skysense_model_fusion.pth",
    "head_s2": "skysense_model_head_s2.pth",
    "head_s1": "skysense_model_head_s1.pth",
}
"""Names of the separate files of the release."""


def official_tensors(model: MultiModalModel) -> dict[str, dict[str, Tensor]]:
    """Weights of a SkySense v1 model as the separate published files hold them, without copying.

    The published high-resolution file also has a `backbone.mask_token`, which no part of the model uses; it is
    not made up here.

    Args:
        model: A model of any size, also one built from some parts, or on the meta device.

    Returns:
        Per file of `FILE_NAMES` its tensors under the published keys.

    Raises:
        CheckpointError: A model of SkySense V2, or one with prototypes: neither has a published form.

    Example:
        >>> from skysense_nb.models import load
        >>> list(official_tensors(load("skysense-tiny", "random")[0]))
        ['hr', 's2', 's1', 'fusion', 'head_s2', 'head_s1']
    """
    if not isinstance(model, SkySense):
        raise CheckpointError.of("a model of SkySense v1", type(model).__name__, "No weights of V2 are published.")
    if model.context is not None:
        fix = "Save the whole with save(model, …), or load the model without context."
        raise CheckpointError.of("a model without prototypes", "one with", fix)
    files: dict[str, dict[str, Tensor]] = {part: {} for part in FILE_NAMES}
    for key, tensor in model.state_dict().items():
        if key == DATE_TABLE:
            part, published = "s2", "ctpe"
        else:
            part, (old, new) = next((part, names) for part, names in SEPARATE.items() if key.startswith(names[1]))
            published = old + key.removeprefix(new)
        files[part][published] = tensor
    return {part: tensors for part, tensors in files.items() if tensors}
