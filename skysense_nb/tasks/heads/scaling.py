"""Maps on one scale: channels of a pre-trained model are alike, and what tells small things apart is faint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skysense_nb.errors import SampleError
from skysense_nb.tasks.heads.levels import Widths, levels, total

FLOOR = 0.01
"""Share of the mean variance that is added to that of every direction, so that none without content is blown up."""
SMALLEST_VARIANCE = 1e-12
"""Mean of maps that never change."""


class Scaling(nn.Module):
    """Takes the mean from four maps and whitens their channels; at first it does nothing.

    Whitening turns the channels so that they are uncorrelated and of variance 1 (ZCA, Bell and Sejnowski, Vision
    Research 1997). A convolution could learn the same, but takes thousands of steps to find directions of small
    variance. The numbers are constants, so no layer looks at other images of a batch, and weights of the head that
    were learned on frozen features mean the same when the model moves. Our choice.

    Args:
        channels: Of the four maps.

    Example:
        >>> Scaling((2, 4, 8, 16))([torch.ones(1, 2, 1, 1)])[0].flatten().tolist()
        [1.0, 1.0]
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        for level, count in enumerate(channels):
            self.register_buffer(f"mean_{level}", torch.zeros(count))
            self.register_buffer(f"whitening_{level}", torch.eye(count))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps B C h w, fine to coarse."""
        return [
            torch.einsum(
                "oc,bchw->bohw",
                self.get_buffer(f"whitening_{number}").to(level.dtype),
                level - self.get_buffer(f"mean_{number}")[:, None, None].to(level.dtype),
            )
            for number, level in enumerate(maps)
        ]


@torch.no_grad()
def measured_scaling(items: Iterable[Mapping[str, Any]], widths: Widths) -> Scaling:
    """The scaling that whitens the maps of some samples, over all of their cells.

    Args:
        items: With `features`, such as `FrozenSamples` of the split that a head is trained on.
        widths: Of `widths_of`.

    Raises:
        SampleError: No samples.

    Example:
        >>> from skysense_nb.models import Features
        >>> maps = [torch.rand(1, 1, 8, side, side) for side in (16, 8, 4, 2)]
        >>> cells, valid = torch.rand(1, 8, 2, 2), torch.ones(1, 1).bool()
        >>> features = Features({"hr": maps}, fused=cells, pooled=cells.mean((2, 3)), valid=valid)
        >>> measured_scaling([{"features": features}], {"hr": (8, 8, 8, 8)}).whitening_0.shape
        torch.Size([8, 8])
    """
    channels = total(widths)
    scaling = Scaling(channels)
    cells = [0] * len(channels)
    sums = [torch.zeros(count, dtype=torch.float64) for count in channels]
    products = [torch.zeros(count, count, dtype=torch.float64) for count in channels]
    for item in items:
        for number, level in enumerate(levels(item["features"], widths)):
            values = level.double().transpose(0, 1).flatten(1).cpu()  # C n
            cells[number] += values.shape[1]
            sums[number] += values.sum(1)
            products[number] += values @ values.T
    if not all(cells):
        raise SampleError.of("samples to measure", "none", "Pass the split that the head is trained on.")
    for number, count in enumerate(cells):
        mean = sums[number] / count
        scaling.get_buffer(f"mean_{number}").copy_(mean)
        scaling.get_buffer(f"whitening_{number}").copy_(whitening(products[number] / count - mean.outer(mean)))
    return scaling


def whitening(covariance: Tensor) -> Tensor:
    """The symmetric matrix C C that makes channels of a covariance uncorrelated and all but faint ones of spread 1.

    Example:
        >>> [round(value, 2) for value in whitening(torch.diag(torch.tensor([4.0, 1.0]))).diag().tolist()]
        [0.5, 0.99]
    """
    variances, directions = torch.linalg.eigh(covariance)
    floor = FLOOR * variances.mean().clamp(min=SMALLEST_VARIANCE)
    return directions @ torch.diag((variances.clamp(min=0) + floor).rsqrt()) @ directions.T
