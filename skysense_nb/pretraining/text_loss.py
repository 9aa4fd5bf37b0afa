"""Image and text: cells that OpenStreetMap tags with a class move towards the vector of the class's name."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.layers.autocast import full_precision

FORMS = ("per_cell", "printed")


class TextAlignment(nn.Module):
    """L_ITA of the student's fused features with class names (SkySense V2, ICCV 2025).

    One linear layer brings cells to the width of the text; its form, and the temperature (CLIP's first), are our
    choice. The table of text vectors stays as it is.

    Args:
        width: Of the fused features.
        table: Text vectors of the classes, K D, from `text_table`.
        temperature: Cosines are divided by it.
        form: As in `text_loss`.

    Example:
        >>> align = TextAlignment(24, table=torch.rand(5, 512))
        >>> align(torch.rand(2, 9, 24), torch.randint(-1, 5, (2, 9))).shape
        torch.Size([])
    """

    def __init__(
        self,
        width: int,
        table: Tensor,
        temperature: float = 0.07,
        form: Literal["per_cell", "printed"] = "per_cell",
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(width, table.shape[1], bias=False)
        self.register_buffer("table", table.detach().clone())
        self.temperature, self.form = temperature, form

    def forward(self, cells: Tensor, tags: Tensor) -> Tensor:
        """Loss of fused cells (B N D) with their `tags`, as in `text_loss`."""
        return text_loss(self.projection(cells), self.table, tags, self.temperature, self.form)


def text_loss(
    cells: Tensor,
    table: Tensor,
    tags: Tensor,
    temperature: float = 0.07,
    form: Literal["per_cell", "printed"] = "per_cell",
) -> Tensor:
    """Cross-entropy between the cells of a class and the text vector of its name.

    With p_ij = exp(F_i · F_j^text / τ) / Σ_k exp(F_i · F_k^text / τ), the formula for the n cells of a class j is
    printed as −1/n log Σ_i p_ij: "printed", here averaged over the classes of the batch. We suspect that the
    logarithm belongs inside the sum: "per_cell", −1/n Σ_i log p_ij over all n tags of the batch, the usual
    cross-entropy. It is the default because the printed form is content with one good cell per class (its gradient
    goes to cells that are right already), because its lowest value, −log(n)/n, depends on n, and because the larger a
    class, the less it counts. F are divided by their norms.

    Args:
        cells: Features of ground cells in the width of the text, B N D.
        table: Text vectors of the classes, K D.
        tags: B N int64, the class of each cell, −1 for none; or B N K bool, where a cell may have several.
        temperature: τ, not published.
        form: "per_cell" or "printed".

    Returns:
        Scalar fp32, of the cells of this rank; 0 where nothing is tagged.

    Raises:
        ParameterError: An unknown form.
        SampleError: Tags that do not fit cells and table.

    Example:
        >>> text_loss(torch.eye(3)[None], torch.eye(3), torch.tensor([[0, -1, 2]]), temperature=0.01)
        tensor(-0.)
    """
    if form not in FORMS:
        raise ParameterError.of(f"a form among {', '.join(FORMS)}", repr(form), "Leave it out for per_cell.")
    tagged = several(tags, cells.shape[:2], len(table)).flatten(0, 1)  # n K
    with full_precision(cells.device):
        cosines = F.normalize(cells.float(), dim=-1) @ F.normalize(table.float(), dim=-1).T
        log_share = (cosines / temperature).log_softmax(-1).flatten(0, 1)  # n K
    if form == "per_cell":
        return -log_share.masked_fill(~tagged, 0.0).sum() / tagged.sum().clamp(min=1)
    present = tagged.any(0)
    count = tagged[:, present].sum(0)
    per_class = log_share[:, present].masked_fill(~tagged[:, present], float("-inf")).logsumexp(0) / count
    return -per_class.sum() / present.sum().clamp(min=1)


def several(tags: Tensor, cells: torch.Size, classes: int) -> Tensor:
    """Tags as B N K bool, whether they came as numbers or as bool.

    Raises:
        SampleError: Another shape, or a class that the table does not have.
    """
    expected = f"tags as {' '.join(map(str, cells))} class numbers below {classes}, or {classes} bool each"
    if tags.dtype == torch.bool and tags.shape == (*cells, classes):
        return tags
    if tags.is_floating_point() or tags.dtype == torch.bool or tags.shape != cells:
        raise SampleError.of(expected, f"{tags.dtype} {tuple(tags.shape)}", "Use −1 for cells without a tag.")
    if tags.numel() and not -1 <= int(tags.min()) <= int(tags.max()) < classes:
        got = f"numbers {int(tags.min())} to {int(tags.max())}"
        raise SampleError.of(expected, got, "Build the table from all names, in the order of the numbers.")
    return tags[..., None] == torch.arange(classes, device=tags.device)
