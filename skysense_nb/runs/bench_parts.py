"""The parts of a model that the bench measures one by one, and what each reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from skysense_nb.errors import ParameterError
from skysense_nb.layers import PixelShuffleLift
from skysense_nb.models.family import Config
from skysense_nb.models.fusion import FusionTransformer
from skysense_nb.models.skysense_v2 import SkySenseV2Config
from skysense_nb.models.swin import SwinEncoder
from skysense_nb.models.unified import UnifiedBackbone
from skysense_nb.models.vit import ViTEncoder
from skysense_nb.sensors import HR_PIXELS_PER_CELL

Part = tuple[str, str, Callable[[], nn.Module], tuple[int, ...]]
"""Name, what it reads, a constructor, and the shape of its input."""


@dataclass(frozen=True)
class Geometry:
    """What one forward pass reads.

    Attributes:
        cells: Ground cells a side; HR has 32 × `cells` pixels a side, the Sentinels `cells`.
        s2_dates, s1_dates: Dates of each series.
        hr_stride: Output stride of V2's HR path, 32, 16, 8 or 4.
    """

    cells: int = 8
    s2_dates: int = 10
    s1_dates: int = 5
    hr_stride: int = HR_PIXELS_PER_CELL


class OneSensor(nn.Module):
    """The unified backbone as one sensor sees it."""

    def __init__(self, backbone: UnifiedBackbone, name: str, stride: int) -> None:
        super().__init__()
        self.backbone, self.name, self.stride = backbone, name, stride

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.backbone(image, self.name, self.stride)


def modules(config: Config, geometry: Geometry) -> Iterator[Part]:
    """The parts of a model that cost time, HR first; V2's linear layer behind HR is left out."""
    side, tokens = geometry.cells, 1 + geometry.s2_dates + geometry.s1_dates
    yield hr_path(config, geometry)
    for name, dates in (("s2", geometry.s2_dates), ("s1", geometry.s1_dates)):
        build, head, channels, patch = sentinel_path(config, name)
        reads = f"{dates} dates of {side} × {side} px"
        yield f"{name.upper()} encoder", reads, build, (dates, channels, side, side)
        grid = math.ceil(side / patch)
        yield f"{name.upper()} head", reads, lambda h=head: PixelShuffleLift(*h), (dates, head[0], grid, grid)
    reads = f"{side**2} cells × {tokens} tokens"
    width = config.fusion.input_dims
    yield "fusion", reads, lambda: FusionTransformer(config.fusion), (side**2, tokens, width)


def hr_path(config: Config, geometry: Geometry) -> Part:
    """What reads the HR image."""
    pixels = HR_PIXELS_PER_CELL * geometry.cells
    reads, shape = f"{pixels} × {pixels} px", (1, 3, pixels, pixels)
    if isinstance(config, SkySenseV2Config):
        build = partial(one_sensor, config, "hr", geometry.hr_stride)
        return "HR encoder", reads, build, shape
    if geometry.hr_stride != HR_PIXELS_PER_CELL:
        raise ParameterError.of("hr_stride 32 for a v1 model", str(geometry.hr_stride), "Only V2 ends finer.")
    return "HR encoder", reads, lambda: SwinEncoder(config.hr), shape


def sentinel_path(config: Config, name: str) -> tuple[Callable[[], nn.Module], tuple[int, int, int], int, int]:
    """Constructor of what reads a Sentinel image, sizes of its head, its bands, and its patch."""
    if isinstance(config, SkySenseV2Config):
        patch = config.backbone.patch_size
        head = (config.backbone.widths[-1], config.fusion.input_dims, patch)
        return partial(one_sensor, config, name, HR_PIXELS_PER_CELL), head, config.backbone.channels(name), patch
    vit = getattr(config, name)
    return (
        lambda: ViTEncoder(vit),
        (vit.embed_dims, config.fusion.input_dims, vit.patch_size),
        vit.in_channels,
        vit.patch_size,
    )


def one_sensor(config: SkySenseV2Config, name: str, stride: int) -> OneSensor:
    """The backbone with the tokeniser of one sensor."""
    return OneSensor(UnifiedBackbone(config.backbone, (name,)), name, stride)
