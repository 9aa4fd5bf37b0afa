"""The alignment of SkySense: what two sensors say of one ground cell is alike, and unlike what they say of others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers.autocast import full_precision
from skysense_nb.pretraining.distributed import gather_rows, global_count, world_size


class Alignment(nn.Module):
    """L_align = Σ_{i≠j} L_MMCL(F_i, F_j) over the sensors' features before the fusion (SkySense, CVPR 2024).

    The figure puts it on the student alone. L_MMCL is published as symmetric and contrastive between two features of
    the same place; the rest is our choice: InfoNCE with the other cells of the batch as negatives, a mean over valid
    dates, since the sensors have different numbers of them, one linear layer per sensor to a common width, and the
    temperature. A pair is computed once: the sum over i ≠ j counts it twice, which the weight of the loss absorbs.

    Args:
        width: Of the features, D.
        modalities: Sensors that may come.
        common_width: Where their features meet.
        temperature: τ of the InfoNCE.
        cells_per_image: Draw as many cells of each image at every call, to bound the cells × cells memory; None for
            all.

    Example:
        >>> sources = {"hr": torch.rand(2, 1, 9, 24), "s2": torch.rand(2, 5, 9, 24)}
        >>> valid = {name: torch.ones(2, len(dates[0]), dtype=torch.bool) for name, dates in sources.items()}
        >>> list(Alignment(24)(sources, valid))
        ['hr-s2']
    """

    def __init__(
        self,
        width: int,
        modalities: Sequence[str] = ("hr", "s2", "s1"),
        common_width: int = 256,
        temperature: float = 0.1,
        cells_per_image: int | None = None,
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleDict({name: nn.Linear(width, common_width, bias=False) for name in modalities})
        self.temperature, self.cells_per_image = temperature, cells_per_image

    def forward(
        self, sources: dict[str, Tensor], valid: dict[str, Tensor], generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Aligns every two of the sensors that are there.

        Args:
            sources: Per modality the student's features, B T N D, of the same N ground cells. The same modalities
                on every rank.
            valid: Per modality, B T bool. Cells without any valid date of a sensor do not take part in its pairs.
            generator: On the CPU; draws the cells. All images of a call give the same ones.

        Returns:
            "hr-s2", "hr-s1", "s2-s1" to a scalar fp32 each. Its mean over ranks is the joined batch's.
        """
        chosen = self.choose(next(iter(sources.values())).shape[2], generator)
        if chosen is not None:
            sources = {name: dates[:, :, chosen.to(dates.device)] for name, dates in sources.items()}
        cells = self.embed(sources, valid)
        seen = {name: valid[name].any(1) for name in cells}  # B
        pairs = {}
        for one, other in combinations(cells, 2):
            both = seen[one] & seen[other]
            rows = (cells[name][both].flatten(0, 1) for name in (one, other))
            pairs[f"{one}-{other}"] = contrast_places(*rows, self.temperature)
        return pairs

    def embed(self, sources: dict[str, Tensor], valid: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cells of each sensor in the common space: unit vectors B N C fp32, from the mean over its valid dates."""
        return {
            name: F.normalize(projection(mean_over_dates(sources[name], valid[name])).float(), dim=-1)
            for name, projection in self.projections.items()
            if name in sources
        }

    def choose(self, count: int, generator: torch.Generator | None) -> Tensor | None:
        """Numbers of the cells that take part; None for all `count` of them."""
        if self.cells_per_image is None or self.cells_per_image >= count:
            return None
        return torch.randperm(count, generator=generator)[: self.cells_per_image]


def mean_over_dates(dates: Tensor, valid: Tensor) -> Tensor:
    """Mean of each cell over its valid dates: B N D of B T N D; zeros without any. Invalid dates may hold anything.

    Example:
        >>> dates = torch.tensor([1.0, 3.0, 100.0]).view(1, 3, 1, 1)
        >>> float(mean_over_dates(dates, torch.tensor([[True, True, False]])))
        2.0
    """
    kept = dates.float().masked_fill(~valid[:, :, None, None], 0.0)
    return (kept.sum(1) / valid.sum(1).clamp(min=1)[:, None, None]).to(dates.dtype)


def contrast_places(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Symmetric InfoNCE: each row of `one` must find its own row of `other` among all ranks' rows, and the reverse.

    Args:
        one: Unit vectors, n D; n may differ between ranks, and be 0.
        other: The same places from another sensor, n D.
        temperature: Cosines are divided by it.

    Returns:
        Scalar: mean over both directions and all rows of all ranks, if averaged over ranks.

    Example:
        >>> contrast_places(torch.eye(3), torch.eye(3), temperature=0.01)
        tensor(0.)
    """
    with full_precision(one.device):
        loss = one.new_zeros(())
        for query, key in ((one, other), (other, one)):
            cosines = query @ gather_rows(key).T  # n N
            own = (query * key).sum(1)
            loss = loss + ((cosines / temperature).logsumexp(1) - own / temperature).sum() / 2
    total = global_count(torch.ones(len(one), dtype=torch.bool, device=one.device))
    return loss * world_size() / total.clamp(min=1)
