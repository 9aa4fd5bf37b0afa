"""What geo-context prototypes say of cells: which is nearest, how well that splits land cover, how regions differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.errors import SampleError


def cosines(cells: Tensor, prototypes: Tensor) -> Tensor:
    """Cosine of every cell with every prototype, … K.

    Args:
        cells: … D, as wide as the prototypes: where a bank has a `query`, what it makes of the cells.
        prototypes: K D.

    Raises:
        SampleError: Cells and prototypes of different width.

    Example:
        >>> cosines(torch.tensor([[0.0, 2.0]]), torch.eye(2))
        tensor([[0., 1.]])
    """
    if cells.shape[-1] != prototypes.shape[-1]:
        expected = f"cells as wide as the prototypes, {prototypes.shape[-1]}"
        raise SampleError.of(expected, str(cells.shape[-1]), "Pass them through the bank's query first.")
    return F.normalize(cells, dim=-1) @ F.normalize(prototypes, dim=-1).T


def assign(cells: Tensor, prototypes: Tensor) -> Tensor:
    """Number of the nearest prototype (K D) of every cell (… D), by cosine: an unsupervised segmentation.

    Example:
        >>> assign(torch.tensor([[0.0, 2.0], [3.0, 1.0]]), torch.eye(2))
        tensor([1, 0])
    """
    return cosines(cells, prototypes).argmax(-1)


@dataclass(frozen=True)
class Agreement:
    """How well groups of cells agree with classes, whatever the groups are called.

    Attributes:
        purity: Share of cells whose class is the most frequent one of their group, 0–1. Grows with more groups.
        adjusted_rand: Share of pairs of cells that both put together or both apart, corrected so that chance is 0
            and perfect agreement 1 (Hubert and Arabie, Journal of Classification 1985).
    """

    purity: float
    adjusted_rand: float


def agreement(classes: Tensor, groups: Tensor) -> Agreement:
    """Compares groups with the truth, both n int64.

    Example:
        >>> agreement(torch.tensor([0, 0, 1, 1]), torch.tensor([5, 5, 3, 3]))
        Agreement(purity=1.0, adjusted_rand=1.0)
    """
    from sklearn.metrics import adjusted_rand_score
    from sklearn.metrics.cluster import contingency_matrix

    table = contingency_matrix(classes.cpu().numpy(), groups.cpu().numpy())
    return Agreement(float(table.max(0).sum() / table.sum()), float(adjusted_rand_score(classes.cpu(), groups.cpu())))


def region_likeness(banks: Tensor) -> Tensor:
    """How alike the prototypes of regions are: mean over prototypes of the cosine with the most alike one there.

    Args:
        banks: R K D.

    Returns:
        R R, symmetric, 1 for equal sets of prototypes.

    Example:
        >>> region_likeness(torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [3.0, 0.0]]]))
        tensor([[1., 1.],
                [1., 1.]])
    """
    directions = F.normalize(banks.float(), dim=-1)
    pairs = torch.einsum("rkd,sld->rskl", directions, directions)
    return (pairs.amax(3).mean(2) + pairs.amax(2).mean(2)) / 2


def nearest_cells(cells: Tensor, prototypes: Tensor, count: int) -> Tensor:
    """Numbers of the cells (n D) most alike to each prototype (K D), most alike first: K count.

    Example:
        >>> nearest_cells(torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]), torch.eye(2), 1).flatten()
        tensor([1, 2])
    """
    return cosines(cells, prototypes).T.topk(min(count, len(cells)), dim=1).indices


def drift(snapshots: Sequence[Tensor]) -> Tensor:
    """Cosine of every prototype with what it is at the end: S … K of S snapshots … K D in the order of training.

    Example:
        >>> drift([torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])]).tolist()
        [[0.0], [1.0]]
    """
    return torch.stack([F.cosine_similarity(one.float(), snapshots[-1].float(), dim=-1) for one in snapshots])
