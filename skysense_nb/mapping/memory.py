"""How large tiles may be, so that a map needs no more memory than was said."""

from __future__ import annotations

import psutil
import torch

from skysense_nb.errors import EnvironmentProblem
from skysense_nb.mapping.imagery import Imagery, scale
from skysense_nb.mapping.products import Product
from skysense_nb.models.meter import Meter
from skysense_nb.models.multimodal import MultiModalModel, kept_form
from skysense_nb.runtime import evaluation_mode

SIDES = (256, 192, 128, 96, 64, 48, 32, 24, 16, 8)
"""Edges of tiles to choose from, cells."""

PROBED = 16
"""Edge of the tile on which memory is counted."""

READ_AHEAD = 4
"""Pieces of input that are in memory at once: two waiting, one being read, one being computed."""

COPIES = 3
"""Of a tile's pixels while it is read: as stored, as numbers, normalised."""

ASSEMBLING = 256 * 2**20
"""Bytes that blending and writing need, whatever the tile."""

SLACK = 1.3
"""What allocators take above what is asked of them."""


def largest_tile(imagery: Imagery, model: MultiModalModel, product: Product, batch: int, memory_gb: float) -> int:
    """Edge in cells of the largest tile with which this process stays within a budget, on the CPU.

    The model runs once on a small tile of noise, and what it holds at most is counted; it grows with the area.

    Args:
        imagery: What is mapped.
        model: That maps it.
        product: What is mapped.
        batch: Tiles computed together.
        memory_gb: For the whole process, GiB, with what it holds already.

    Raises:
        EnvironmentProblem: Not even the smallest tile fits.
    """
    sensors = {name: imagery.scene[name]["image"].sizes for name in imagery.names}
    pixels = {name: sizes["time"] * scale(name) ** 2 * sizes["band"] * 4 for name, sizes in sensors.items()}
    per_cell = held_per_cell(model, product, {name: sizes["time"] for name, sizes in sensors.items()})
    per_cell = batch * (per_cell + READ_AHEAD * COPIES * sum(pixels.values()))
    held = psutil.Process().memory_info().rss
    for side in SIDES:
        needed = held + SLACK * (per_cell * side**2 + ASSEMBLING)
        if needed <= memory_gb * 2**30:
            return side
    asked, fix = f"at least {needed / 2**30:.1f} GB for tiles of {SIDES[-1]} cells", "Allow more, or map fewer at once."
    raise EnvironmentProblem.of(asked, f"{memory_gb:g} GB", fix)


def held_per_cell(model: MultiModalModel, product: Product, dates: dict[str, int]) -> float:
    """Bytes per ground cell that a product holds at most while it is computed."""
    sample = {"lonlat": torch.zeros(1, 2, device=model.device)}
    for name, count in dates.items():
        side = PROBED * scale(name)
        sample[name] = torch.rand(1, count, model.channels(name), side, side, device=model.device)
        sample[f"{name}_day"] = torch.zeros(1, count, dtype=torch.int64, device=model.device)
        sample[f"{name}_valid"] = torch.ones(1, count, dtype=torch.bool, device=model.device)
    form = kept_form(model)
    with evaluation_mode(model), torch.no_grad(), Meter(model) as meter:
        product.read(form, sample)
    return meter.peak / PROBED**2
