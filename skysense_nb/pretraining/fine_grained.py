"""SkySense's multi-granularity contrast of one source: pixels, objects and whole images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.contrast import LEVELS, Contrast
from skysense_nb.pretraining.image_loss import image_loss
from skysense_nb.pretraining.object_loss import object_loss
from skysense_nb.pretraining.pixel_loss import pixel_loss


def fine_grained_loss(
    student: Tensor,
    teacher: Tensor,
    match: Tensor,
    valid: Tensor,
    contrast: Contrast,
    levels: Sequence[str] = LEVELS,
    clusters: int = 8,
) -> dict[str, Tensor]:
    """The terms of L_FGCL = L_pix + L_obj + L_img (SkySense, CVPR 2024), one by one, for the caller to add.

    L_MGCL is their sum over the sources hr, s2, s1 and fused, each with a `Contrast` of its own.

    Args:
        student: Features of the student's view, B T N D; the fused source has one date.
        teacher: Features of the teacher's view, B T M D. Gets no gradient.
        match: B N int64, for each cell of the student's view the same ground in the teacher's, −1 where there is none.
        valid: B T bool, dates that are valid in both views.
        contrast: Of this source.
        levels: Among pixel, object, image. The same on every rank.
        clusters: Objects per image.

    Returns:
        Level to scalar.

    Raises:
        ParameterError: An unknown level.
        SampleError: Shapes that do not belong together.

    Example:
        >>> import torch
        >>> from skysense_nb.pretraining.projection import ProjectionHead
        >>> views, contrast = torch.rand(2, 2, 3, 9, 24), Contrast(ProjectionHead(24, 32, 8, 10))
        >>> terms = fine_grained_loss(*views, torch.arange(9).expand(2, 9), torch.ones(2, 3).bool(), contrast)
        >>> list(terms)
        ['pixel', 'object', 'image']
    """
    if unknown := set(levels) - set(LEVELS):
        raise ParameterError.of(f"levels among {', '.join(LEVELS)}", ", ".join(sorted(unknown)), "Leave out for all.")
    losses = {
        "pixel": lambda: pixel_loss(student, teacher, match, valid, contrast),
        "object": lambda: object_loss(student, teacher, match, valid, contrast, clusters),
        "image": lambda: image_loss(student, teacher, valid, contrast),
    }
    return {level: losses[level]() for level in levels}
