"""The coarsest contrast: the mean of a whole view on one date."""

from __future__ import annotations

import torch
from torch import Tensor

from skysense_nb.pretraining.contrast import Contrast


def image_loss(student: Tensor, teacher: Tensor, valid: Tensor, contrast: Contrast) -> Tensor:
    """L_img = 1 / T Σ_t L_CL(mean_s f_s,t, mean_s f′_s,t) (SkySense, CVPR 2024).

    The two views need not share ground: they are crops of one place, and the whole of each is averaged. Dates are
    paired by their position in the two series (our choice).

    Args:
        student: Features of the student's view, B T N D.
        teacher: Features of the teacher's view, B T M D.
        valid: B T bool, dates that are valid in both views.
        contrast: Of this source; its level "image" is used.

    Returns:
        Scalar fp32, the mean over images; 0 where no date is valid.

    Example:
        >>> from skysense_nb.pretraining.projection import ProjectionHead
        >>> contrast = Contrast(ProjectionHead(24, 32, 8, 10))
        >>> image_loss(torch.rand(2, 3, 9, 24), torch.rand(2, 3, 4, 24), torch.ones(2, 3).bool(), contrast).shape
        torch.Size([])
    """
    means = (side.mean(2, dtype=torch.float32)[valid] for side in (student, teacher))  # n D
    return contrast(*means, "image")
