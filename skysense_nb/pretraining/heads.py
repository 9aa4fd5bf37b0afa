"""What a run trains beside the model and a reader can use later: alignment of sensors, queries, text."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from skysense_nb.errors import CheckpointError
from skysense_nb.models.checkpoints import bundled
from skysense_nb.models.family import config_from_json
from skysense_nb.models.weight_files import open_weights
from skysense_nb.pretraining.alignment_loss import Alignment
from skysense_nb.pretraining.query_loss import QueryDecoder
from skysense_nb.pretraining.text_loss import TextAlignment

PREFIX = "pretraining."
"""Of their keys in a weights file; `load` leaves them out."""


class Heads(nn.Module):
    """Heads that bring features to a common space of sensors, to queries and to text; None for those not trained.

    The projection heads of the contrast are not among them: nothing but their own loss can use them.
    """

    def __init__(
        self,
        alignment: Alignment | None = None,
        decoder: QueryDecoder | None = None,
        text: TextAlignment | None = None,
    ) -> None:
        super().__init__()
        self.alignment, self.decoder, self.text = alignment, decoder, text

    def named(self) -> dict[str, Tensor]:
        """All tensors under the keys they have in a weights file."""
        return {PREFIX + key: value for key, value in self.state_dict().items()}


def load_heads(weights: str | Path) -> Heads:
    """Heads that a run saved with its model, in evaluation mode.

    Args:
        weights: A `model.safetensors` of a run, or a preset with bundled weights.

    Raises:
        CheckpointError: No such file, or one without heads.

    Example:
        >>> from skysense_nb.models import load, save
        >>> model, _ = load("skysense-tiny", weights=None, parts=("s1",))
        >>> heads = Heads(alignment=Alignment(model.config.fusion.input_dims))
        >>> _ = save(model, "mine.safetensors", extra=heads.named())
        >>> load_heads("mine.safetensors").decoder is None
        True
    """
    file = open_weights(bundled(str(weights)) or Path(weights))
    found = {key.removeprefix(PREFIX): value for key, value in file.tensors.items() if key.startswith(PREFIX)}
    if not found:
        raise CheckpointError.of(f"heads of a pre-training run in {file.path.name}", "none", "Use a run's own file.")
    heads = Heads()
    if "alignment.projections.hr.weight" in found:
        common, width = found["alignment.projections.hr.weight"].shape
        heads.alignment = Alignment(width, common_width=common)
    if "decoder.queries" in found:
        _, count, width = found["decoder.queries"].shape
        heads.decoder = QueryDecoder(width, config_from_json(file.metadata).fusion.num_heads, count)
    if "text.table" in found:
        heads.text = TextAlignment(found["text.projection.weight"].shape[1], found["text.table"])
    heads.load_state_dict({key: value.float() for key, value in found.items()})
    return heads.eval()
