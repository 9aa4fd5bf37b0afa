"""How geo-context prototypes are learned: without gradient, as moving centres of what is seen in each region."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.layers.autocast import full_precision
from skysense_nb.models.geo_context import GeoContext
from skysense_nb.pretraining.assignment import sinkhorn
from skysense_nb.pretraining.distributed import gather_rows

DEAD = 0.1
"""A prototype is dead when fewer cells are nearest to it than this fraction of an even share."""

USAGE_MOMENTUM = 0.9
"""Of the running shares: they look back on about ten visits of a region."""


@dataclass(frozen=True)
class PrototypeReport:
    """What one update found; prints as one line.

    Attributes:
        known: Regions that the bank holds now.
        new: Regions that got a slot in this update.
        refused: Regions that found the bank full; their cells were ignored.
        used: Prototypes that cells are nearest to, in the regions counted.
        dead: The others there: fewer cells than a tenth of an even share.
    """

    known: int
    new: int
    refused: int
    used: int
    dead: int

    def __str__(self) -> str:
        full = f", {self.refused} refused (the bank is full)" if self.refused else ""
        return f"Regions: {self.known} known, {self.new} new{full} · prototypes: {self.used} used, {self.dead} dead"


def start_usage(bank: GeoContext) -> Tensor:
    """A table for `update_prototypes` to count in: R K fp32, zero.

    Example:
        >>> from skysense_nb.models.geo_context import GeoContextConfig
        >>> start_usage(GeoContext(GeoContextConfig(regions=4, prototypes=3, width=8), width=8)).shape
        torch.Size([4, 3])
    """
    return torch.zeros(bank.bank.shape[:2], device=bank.bank.device)


@torch.no_grad()
def update_prototypes(
    bank: GeoContext,
    cells: Tensor,
    lonlat: Tensor,
    momentum: float = 0.99,
    epsilon: float = 0.05,
    iterations: int = 3,
    usage: Tensor | None = None,
) -> PrototypeReport:
    """Moves the prototypes of the regions in a batch towards their cells (SkySense, CVPR 2024, GCPL).

    M = cosine(F, P_r), S = Sinkhorn(M), P̄ = Sᵀ F, P_r ← m P_r + (1 − m) P̄. As printed, Sᵀ F is a sum that grows with
    the cells; here it is divided by the column sums of S, which makes it the mean it must be. m, ε and the number of
    iterations are not published. A region seen for the first time takes a free slot and starts from its own cells.
    All ranks see the cells of all ranks, so their banks stay the same.

    Give it the student's bank: `update_teacher` copies buffers from student to teacher.

    Args:
        bank: Changed in place.
        cells: The teacher's fused cells before the bank, B N D; where they are wider than the prototypes, the
            bank's `query` narrows them. N must be the same on every rank.
        lonlat: B 2, degrees.
        momentum: m, 0 to 1.
        epsilon: Softness of the assignment.
        iterations: Of Sinkhorn.
        usage: From `start_usage`, changed in place: how cells were shared among prototypes over the last visits.
            Without it the report counts this batch and its regions only.

    Example:
        >>> from skysense_nb.models.geo_context import GeoContextConfig
        >>> bank = GeoContext(GeoContextConfig(regions=4, prototypes=3, width=8), width=8)
        >>> print(update_prototypes(bank, torch.eye(8)[None], torch.tensor([[11.6, 48.1]])))
        Regions: 1 known, 1 new · prototypes: 3 used, 0 dead
    """
    usage = start_usage(bank) if usage is None else usage
    with full_precision(cells.device):
        cells = gather_rows(bank.query(cells.to(bank.bank.dtype)).float())  # B N P
        lonlat = gather_rows(lonlat.to(cells.device))
        regions, slots = bank.region(lonlat), bank.slots(lonlat)
        new = refused = 0
        for region in regions.unique().tolist():
            here = regions == region
            own, slot = cells[here].flatten(0, 1), int(slots[here][0])  # n P
            if slot < 0:
                slot = open_slot(bank, region, own)
                new, refused = new + (slot >= 0), refused + (slot < 0)
            if slot >= 0:
                move_prototypes(bank, slot, own, momentum, epsilon, iterations, usage)
    counted = usage[usage.any(1)]
    used = int((counted >= DEAD / counted.shape[1]).sum())
    return PrototypeReport(bank.known_regions, new, refused, used, counted.numel() - used)


def open_slot(bank: GeoContext, region: int, cells: Tensor) -> int:
    """Gives a region the first free slot, with prototypes on lines between two of its cells; −1 if none is free.

    Cells themselves would not do: with fewer cells than prototypes some would start equal, and equal prototypes stay
    equal for ever.

    Args:
        bank: Changed in place.
        region: Number of the region; also the seed, so that all ranks draw the same.
        cells: n P of the region.

    Example:
        >>> from skysense_nb.models.geo_context import GeoContextConfig
        >>> bank = GeoContext(GeoContextConfig(regions=1, prototypes=3, width=8), width=8)
        >>> open_slot(bank, 7, torch.eye(8)), open_slot(bank, 8, torch.eye(8))
        (0, -1)
    """
    free = (bank.region_ids < 0).nonzero().flatten()
    if not len(free):
        return -1
    slot, count = int(free[0]), bank.bank.shape[1]
    generator = torch.Generator().manual_seed(region)
    one, other = torch.randint(len(cells), (2, count), generator=generator).to(cells.device)
    place = torch.rand(count, 1, generator=generator).to(cells.device)
    bank.bank[slot] = torch.lerp(cells[one], cells[other], place).to(bank.bank.dtype)
    bank.region_ids[slot] = region
    return slot


def move_prototypes(
    bank: GeoContext, slot: int, cells: Tensor, momentum: float, epsilon: float, iterations: int, usage: Tensor
) -> None:
    """Moves the prototypes of one slot towards the cells (n P) of its region, and counts to which each cell is nearest.

    Example:
        >>> from skysense_nb.models.geo_context import GeoContextConfig
        >>> bank = GeoContext(GeoContextConfig(regions=1, prototypes=1, width=2), width=2)
        >>> move_prototypes(bank, 0, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 0.5, 0.05, 3, start_usage(bank))
        >>> bank.bank[0, 0]
        tensor([1.0000, 1.5000])
    """
    prototypes = bank.bank[slot].float()  # K P
    cosines = F.normalize(cells, dim=1) @ F.normalize(prototypes, dim=1).T  # n K
    share = sinkhorn(cosines, epsilon, iterations, across_ranks=False)
    means = share.T @ cells / share.sum(0).clamp(min=1e-6)[:, None]
    bank.bank[slot] = torch.lerp(prototypes, means, 1 - momentum).to(bank.bank.dtype)
    nearest = cosines.argmax(1).bincount(minlength=len(prototypes)) / len(cells)
    usage[slot] = torch.lerp(nearest, usage[slot], USAGE_MOMENTUM) if usage[slot].any() else nearest
