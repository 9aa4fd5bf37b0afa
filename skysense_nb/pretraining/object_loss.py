"""The middle contrast: objects, found in one image by clustering its cells without labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.layers.autocast import full_precision
from skysense_nb.pretraining.assignment import sinkhorn
from skysense_nb.pretraining.contrast import Contrast
from skysense_nb.pretraining.pixel_loss import take_matched

ALTERNATIONS = 3
"""Rounds of assignment and centres. Not published."""


def object_loss(
    student: Tensor, teacher: Tensor, match: Tensor, valid: Tensor, contrast: Contrast, clusters: int = 8
) -> Tensor:
    """L_obj = 1 / (N_C T) Σ_c Σ_t L_CL(C_c,t, C′_c,t) (SkySense, CVPR 2024).

    C are centres of a Sinkhorn clustering of the cells of one image, that is one sample on one date. The paper does
    not say how the centres of two views are paired: here the teacher's cells are clustered, and the student's centre
    is the mean of the same ground with the same shares, so that geometry pairs them. Only ground that both views
    hold is clustered. `clusters` (N_C) is not published.

    Args:
        student: Features of the student's view, B T N D.
        teacher: Features of the teacher's view, B T M D.
        match: B N int64, for each cell of the student's view the same ground in the teacher's, −1 where there is none.
        valid: B T bool, dates that are valid in both views.
        contrast: Of this source; its level "object" is used.
        clusters: N_C. An image with fewer shared cells gets some of its centres more than once.

    Returns:
        Scalar fp32, the mean over centres and over images that share ground; 0 where none does.

    Raises:
        SampleError: Shapes that do not belong together.

    Example:
        >>> from skysense_nb.pretraining.projection import ProjectionHead
        >>> views, contrast = torch.rand(2, 2, 3, 9, 24), Contrast(ProjectionHead(24, 32, 8, 10))
        >>> object_loss(*views, torch.arange(9).expand(2, 9), torch.ones(2, 3, dtype=torch.bool), contrast).shape
        torch.Size([])
    """
    partner = take_matched(teacher, match, like=student)
    shared = (match >= 0)[:, None].expand(-1, student.shape[1], -1)  # B T N
    images = valid & shared.any(2)  # B T
    student, partner, shared = student[images], partner[images], shared[images]  # one row per image
    share = cluster(partner, shared, clusters)
    with full_precision(share.device):
        pairs = [weighted_means(side, share).flatten(0, 1) for side in (student, partner)]
    return contrast(*pairs, "object")


@torch.no_grad()
def cluster(cells: Tensor, mask: Tensor, clusters: int) -> Tensor:
    """Divides the cells of each image among clusters of equal size, by their direction.

    Starts from cells far apart, then assigns by Sinkhorn and averages in turn (our choice; the paper names the
    Sinkhorn clustering only). Nothing is drawn, so the same image always gives the same clusters.

    Args:
        cells: M N D, one row per image.
        mask: M N bool, cells that take part; at least one per image.
        clusters: K.

    Returns:
        M N K fp32, shares of the clusters in each cell; rows sum to one, those outside the mask to zero.

    Example:
        >>> cells = torch.tensor([[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]]])
        >>> cluster(cells, torch.ones(1, 4, dtype=torch.bool), clusters=2)[0].argmax(1)
        tensor([0, 0, 1, 1])
    """
    direction = F.normalize(cells.detach().float(), dim=-1)
    with full_precision(cells.device):
        centres = distant_cells(direction, mask, clusters)
        for _ in range(ALTERNATIONS):
            scores = direction @ F.normalize(centres, dim=-1).transpose(1, 2)  # M N K
            share = sinkhorn(scores, across_ranks=False, mask=mask)
            centres = weighted_means(direction, share)
    return share


def distant_cells(direction: Tensor, mask: Tensor, count: int) -> Tensor:
    """Cells that differ most: the one most like the mean, then always the one least like all before it.

    Args:
        direction: Unit vectors, M N D.
        mask: M N bool.
        count: K. Where there are fewer different cells, some come again.

    Returns:
        M K D.

    Example:
        >>> direction = torch.eye(3)[None, [0, 0, 1, 2]]
        >>> distant_cells(direction, torch.ones(1, 4, dtype=torch.bool), 3)[0].argmax(1)
        tensor([0, 1, 2])
    """
    image = torch.arange(len(direction), device=direction.device)
    mean = (direction * mask[..., None]).sum(1, keepdim=True)  # M 1 D
    typical = (direction @ mean.transpose(1, 2)).squeeze(-1).masked_fill(~mask, float("-inf"))  # M N
    chosen = [direction[image, typical.argmax(1)]]  # M D
    likeness = torch.full_like(typical, -2.0)  # M N, to the most similar chosen cell
    for _ in range(count - 1):
        likeness = torch.maximum(likeness, (direction @ chosen[-1][..., None]).squeeze(-1))
        chosen.append(direction[image, likeness.masked_fill(~mask, 2.0).argmin(1)])
    return torch.stack(chosen, dim=1)


def weighted_means(cells: Tensor, share: Tensor) -> Tensor:
    """Centres M K D of cells (M N D) divided by shares (M N K), in fp32.

    Example:
        >>> weighted_means(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])).flatten()
        tensor([2., 3.])
    """
    return share.transpose(1, 2) @ cells.float() / share.sum(1).clamp(min=1e-6)[..., None]
