"""Our parameter counts beside the published ones, with the gaps named.

Published figures: SkySense (CVPR 2024) appendix table J12, and the SkySense column of the parameter table in the
SkySense V2 paper (ICCV 2025), which counts to 0.01 million.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from skysense_nb.models.geo_context import GeoContext, GeoContextConfig
from skysense_nb.models.skysense import SkySense, SkySenseConfig


@dataclass(frozen=True)
class CountRow:
    """One line of the table, in millions; None where there is no number."""

    part: str
    ours: float | None
    published: float | None
    note: str

    @property
    def gap(self) -> float | None:
        """Ours minus published, millions."""
        return None if self.published is None or self.ours is None else self.ours - self.published


def count(module: nn.Module, buffers: bool = False) -> int:
    """Number of values a module learns, and of those it only stores if asked."""
    tensors = module.state_dict().values() if buffers else module.parameters()
    return sum(tensor.numel() for tensor in tensors)


def parts_in_millions(config: SkySenseConfig) -> dict[str, float]:
    """Parameters of each part of a model, counted without building its weights."""
    with torch.device("meta"):
        model = SkySense(config)
    named = {**model.encoders, "head_s2": model.heads["s2"], "head_s1": model.heads["s1"]}
    named |= {"fusion": model.fusion, "dates": model.dates}
    return {name: count(module) / 1e6 for name, module in named.items()}


def published_table() -> list[CountRow]:
    """The paper-size model beside the papers' tables."""
    config = SkySenseConfig()
    with torch.device("meta"):
        model = SkySense(config)
        bank = GeoContext(GeoContextConfig(), config.fusion.embed_dims)
    hr, s2, s1 = (model.encoders[name] for name in ("hr", "s2", "s1"))
    tokenisers = sum(count(encoder.patch_embed) for encoder in (hr, s2, s1)) / 1e6
    backbones = sum(count(encoder, buffers=True) for encoder in (hr, s2, s1)) / 1e6 - tokenisers
    heads = count(model.heads) / 1e6
    fusion = count(model.fusion) / 1e6
    dates = count(model.dates) / 1e6
    prototypes = bank.bank.numel() / 1e6
    return [
        CountRow(
            "HR encoder, Swin V2 huge",
            count(hr) / 1e6,
            654,
            "matches the released file; the gap is unexplained",
        ),
        CountRow("Sentinel-2 encoder, ViT-L", count(s2) / 1e6, 302, "the paper's number is cut to millions"),
        CountRow("Sentinel-1 encoder, ViT-L", count(s1) / 1e6, 302, "the paper's number is cut to millions"),
        CountRow("tokenisers", tokenisers, 0.21, "fits 0.21 only without the biases that the released files have"),
        CountRow("encoders without tokenisers", backbones, 1260.31, "exact when stored position buffers are counted"),
        CountRow("fusion transformer", fusion, None, "the papers give it together with other parts"),
        CountRow(
            "fusion, heads and dates",
            fusion + heads + dates,
            398.20,
            "would fit with a narrower date table; unproven",
        ),
        CountRow("prototypes", prototypes, 215, "for a bank 512 wide; its width is not published"),
        CountRow("other", None, 189, "content not published, nothing of it in the released files"),
    ]
