"""Geo-context: prototypes of each region of the Earth, and what a cell reads from them (SkySense, CVPR 2024).

The bank is a buffer: it is learned without gradient at pre-training and saved with the weights. The published
files hold neither prototypes nor the weights around them, so a fresh module knows no region.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EARTH_RADIUS_M = 6_371_007.2  # authalic: the sphere with the Earth's surface
REGION_SIDE_M = 65_536.0  # 2³² m² per region, the "4294 km²" of the paper
BANDS = math.ceil(math.pi * EARTH_RADIUS_M / REGION_SIDE_M)
BAND_HEIGHT = math.pi / BANDS  # radians of latitude


@dataclass(frozen=True)
class GeoContextConfig:
    """Sizes of the prototype bank.

    Attributes:
        regions: Slots of the bank; the paper has 4096.
        prototypes: Prototypes per region; the paper has 100.
        width: Channels of a prototype. Not published: 512 fits the paper's parameter table, 1024 cannot.
    """

    regions: int = 4096
    prototypes: int = 100
    width: int = 512


def region_of(lonlat: Tensor) -> Tensor:
    """Number of the 65.536 km square around a place: our choice, the paper does not define regions.

    Latitude is cut into bands of one square's height, each band into as many squares as fit its parallel, so all
    regions have nearly the same area. 4096 such regions cover 17.6 million km², 3.4 % of the Earth; the whole
    Earth has about 118,800. So a bank of 4096 cannot divide the globe: it holds the regions that were sampled,
    and slots are given to regions as they are seen.

    Args:
        lonlat: … 2, degrees.

    Returns:
        … int64, band · 2²⁰ + square.

    Example:
        >>> region_of(torch.tensor([[11.6, 48.1], [11.6, 48.1]])).unique().numel()
        1
    """
    lon, lat = torch.deg2rad(lonlat.double()).unbind(-1)
    band = ((lat + math.pi / 2) / BAND_HEIGHT).long().clamp(0, BANDS - 1)
    squares = squares_of(band)
    square = ((lon + math.pi) % (2 * math.pi) / (2 * math.pi) * squares).long()
    return band * 2**20 + torch.minimum(square, squares - 1)


def squares_of(band: Tensor) -> Tensor:
    """How many regions lie side by side in bands of latitude, counted from the south pole."""
    middle = (band.double() + 0.5) * BAND_HEIGHT - math.pi / 2
    return (2 * math.pi * EARTH_RADIUS_M * middle.cos() / REGION_SIDE_M).round().clamp(min=1).long()


def region_bounds(region: int) -> tuple[float, float, float, float]:
    """Edges of a region of `region_of`: west, south, east, north in degrees.

    Example:
        >>> west, south, east, north = region_bounds(int(region_of(torch.tensor([11.6, 48.1]))))
        >>> west < 11.6 < east and south < 48.1 < north
        True
    """
    band, square = divmod(region, 2**20)
    width = 360 / int(squares_of(torch.tensor(band)))
    south = math.degrees(band * BAND_HEIGHT) - 90
    return square * width - 180, south, (square + 1) * width - 180, south + math.degrees(BAND_HEIGHT)


class GeoContext(nn.Module):
    """Reads the prototypes of a cell's own region and puts what was read beside the cell.

    F = concat[F_mm, softmax(Q Kᵀ / √d) V] with Q from the cell and K = V the region's prototypes. Where the
    cells are wider than the prototypes, one linear layer brings the query to their width (our choice).
    """

    def __init__(self, config: GeoContextConfig, width: int, region: Callable[[Tensor], Tensor] = region_of) -> None:
        super().__init__()
        self.config, self.region = config, region
        self.query = nn.Linear(width, config.width, bias=False) if width != config.width else nn.Identity()
        self.register_buffer("bank", torch.zeros(config.regions, config.prototypes, config.width))
        self.register_buffer("region_ids", torch.full((config.regions,), -1, dtype=torch.int64))

    @property
    def known_regions(self) -> int:
        """How many slots of the bank hold a region."""
        return int((self.region_ids >= 0).sum())

    def slots(self, lonlat: Tensor) -> Tensor:
        """Slot of each place's region, −1 where the bank does not know it: B of B 2 degrees."""
        hit = self.region_ids[None] == self.region(lonlat)[:, None]  # B R
        return torch.where(hit.any(1), hit.int().argmax(1), -1)

    def forward(self, fused: Tensor, lonlat: Tensor) -> Tensor:
        """Integrates region context.

        Args:
            fused: Cells, B D h w.
            lonlat: B 2, degrees.

        Returns:
            B D+P h w: the cells, then what they read; zeros were read where the region is unknown.
        """
        slots = self.slots(lonlat.to(fused.device))
        prototypes = self.bank[slots.clamp(min=0)].to(fused.dtype)  # B K P
        query = self.query(fused.flatten(2).transpose(1, 2))  # B N P
        share = (query @ prototypes.transpose(1, 2) / math.sqrt(self.config.width)).softmax(-1)  # B N K
        read = (share @ prototypes) * (slots >= 0)[:, None, None]
        return torch.cat((fused, read.transpose(1, 2).unflatten(2, fused.shape[-2:])), dim=1)
