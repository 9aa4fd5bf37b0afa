"""The finest contrast: one ground cell on one date, seen by student and teacher in two crops."""

from __future__ import annotations

from torch import Tensor

from skysense_nb.errors import SampleError
from skysense_nb.pretraining.contrast import Contrast


def pixel_loss(student: Tensor, teacher: Tensor, match: Tensor, valid: Tensor, contrast: Contrast) -> Tensor:
    """L_pix = 1 / (N_S T) Σ_s Σ_t L_CL(f_s,t, f′_s,t) (SkySense, CVPR 2024).

    The paper does not say how the dates of two views are paired: ours are, by their position in the two series, which
    are sorted by day. The mean is over all cells of the batch that both views hold, so an image with little overlap
    weighs less than one with much (our choice).

    Args:
        student: Features of the student's view, B T N D.
        teacher: Features of the teacher's view, B T M D; it may hold another number of cells.
        match: B N int64, for each cell of the student's view the same ground in the teacher's, −1 where there is none.
        valid: B T bool, dates that are valid in both views.
        contrast: Of this source; its level "pixel" is used.

    Returns:
        Scalar fp32; 0 where the views share nothing.

    Raises:
        SampleError: Shapes that do not belong together.

    Example:
        >>> import torch
        >>> from skysense_nb.pretraining.projection import ProjectionHead
        >>> views, contrast = torch.rand(2, 2, 3, 9, 24), Contrast(ProjectionHead(24, 32, 8, 10))
        >>> pixel_loss(*views, torch.arange(9).expand(2, 9), torch.ones(2, 3, dtype=torch.bool), contrast).shape
        torch.Size([])
    """
    partner = take_matched(teacher, match, like=student)
    both = valid[:, :, None] & (match >= 0)[:, None]  # B T N
    return contrast(student[both], partner[both], "pixel")


def take_matched(teacher: Tensor, match: Tensor, like: Tensor) -> Tensor:
    """The teacher's feature of each cell of the student's view, without gradient.

    Args:
        teacher: B T M D.
        match: B N int64, −1 where there is none.
        like: The student's features, B T N D.

    Returns:
        B T N D; any feature where there is no match.

    Raises:
        SampleError: Other numbers of images, dates or channels on the two sides, or of cells in `match`.

    Example:
        >>> import torch
        >>> teacher = torch.tensor([[[[7.0], [8.0]]]])
        >>> take_matched(teacher, torch.tensor([[1, 0, 1]]), like=torch.zeros(1, 1, 3, 1)).flatten()
        tensor([8., 7., 8.])
    """
    batch, dates, cells, width = like.shape
    if (*teacher.shape[:2], teacher.shape[3]) != (batch, dates, width) or match.shape != (batch, cells):
        expected = f"a teacher {batch} {dates} M {width} and a match {batch} {cells}"
        got = f"{tuple(teacher.shape)} and {tuple(match.shape)}"
        raise SampleError.of(expected, got, "Draw as many dates in all views, and match from the student's view.")
    index = match.clamp(min=0)[:, None, :, None].expand(-1, dates, -1, width)
    return teacher.detach().gather(2, index)
