"""What a model returns: maps per sensor, tokens per ground cell, the fused map, one vector per sample."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor


@dataclass
class Features:
    """Features of a batch of samples.

    Attributes:
        maps: Per modality the encoder's outputs, each B T C h w. `hr`: fine to coarse, strides 4, 8, 16, 32 (V2 can
            end finer). `s2`, `s1`: shallow to deep, all at stride 4; `pyramid` spreads them over four strides.
            Dates that are padding hold zeros.
        tokens: What enters the fusion, B N T D: N ground cells row by row, T dates of all sensors in turn.
        token_dates: For each of the T tokens its modality and the index of its date there.
        valid: B T, False for padding and rejected dates.
        fused: One vector per ground cell, B D h w.
        context: The fused map with what it read from its region's prototypes, B D+P h w, or None.
        cells: On request, per modality its features on ground cells before dates are added, B T D h w.
        attention: On request, what the extra token read from each date in each fusion layer, B L T h w.
        experts: On request, per modality and mixture block the expert of every token, B T h w, −1 on invalid dates.
        pooled: Mean over cells of the richest map there is, B D.
    """

    maps: dict[str, list[Tensor]]
    fused: Tensor
    pooled: Tensor
    valid: Tensor
    tokens: Tensor | None = None
    token_dates: list[tuple[str, int]] = field(default_factory=list)
    context: Tensor | None = None
    cells: dict[str, Tensor] = field(default_factory=dict)
    attention: Tensor | None = None
    experts: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    @property
    def richest(self) -> Tensor:
        """The fused map, with geo-context where there is one, B D h w."""
        return self.fused if self.context is None else self.context

    def pyramid(self, modality: str, scales: tuple[float, ...] = (4.0, 2.0, 1.0, 0.5)) -> list[Tensor]:
        """Four maps fine to coarse for dense tasks, each B T C h w.

        HR has them by construction, the last ones alike where V2 was told to end finer. The Sentinel maps are
        resized without parameters: bilinear to `scales`
        times their grid, the scales SkySense's successors use in their multi-level necks.
        """
        maps = self.maps[modality]
        if modality == "hr":
            return maps
        resized = []
        for level, scale in zip(maps, scales, strict=True):
            flat = level.flatten(0, 1)
            size = [max(1, round(side * scale)) for side in flat.shape[-2:]]
            flat = F.interpolate(flat, size, mode="bilinear", align_corners=False, antialias=scale < 1)
            resized.append(flat.unflatten(0, level.shape[:2]))
        return resized
