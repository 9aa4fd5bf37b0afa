"""SkySense v1 (Guo et al., CVPR 2024): one encoder per sensor, one fusion transformer over sensors and dates."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers import PixelShuffleLift
from skysense_nb.models.fusion import FusionConfig
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.multimodal import PARTS, MultiModalModel
from skysense_nb.models.swin import SwinConfig, SwinEncoder
from skysense_nb.models.vit import ViTConfig, ViTEncoder


@dataclass(frozen=True)
class SkySenseConfig:
    """Sizes of a SkySense v1 model.

    Attributes:
        hr, s2, s1: The three encoders.
        fusion: The fusion transformer; its input width is the last HR width.
        dated: Modalities whose tokens get the date encoding. The paper adds it to all three; the released
            code and weights only to `s2`.
        context: The prototype bank, or None: the published files hold none.
    """

    hr: SwinConfig = field(default_factory=SwinConfig)
    s2: ViTConfig = field(default_factory=lambda: ViTConfig(in_channels=10))
    s1: ViTConfig = field(default_factory=lambda: ViTConfig(in_channels=2))
    fusion: FusionConfig = field(default_factory=FusionConfig)
    dated: tuple[str, ...] = ("s2",)
    context: GeoContextConfig | None = None


class SkySense(MultiModalModel):
    """The factorised multi-modal encoder; `MultiModalModel` explains arguments and verbs.

    Example:
        >>> import torch
        >>> from skysense_nb.models.presets import PRESETS
        >>> model = SkySense(PRESETS["skysense-tiny"]).eval()
        >>> model.pooled({"s1": torch.rand(1, 3, 2, 16, 16), "s1_day": torch.tensor([[9, 99, 199]])}).shape
        torch.Size([1, 128])
    """

    owners = {
        "encoders.hr.": ("hr",),
        "encoders.s2.": ("s2",),
        "encoders.s1.": ("s1",),
        "heads.s2.": ("s2", "fusion"),
        "heads.s1.": ("s1", "fusion"),
        "fusion.": ("fusion",),
        "dates.": ("fusion",),
        "context.": ("fusion",),
    }
    hr_projection = "encoders.hr.patch_embed.projection.weight"

    def __init__(self, config: SkySenseConfig, parts: tuple[str, ...] = PARTS, recompute: bool = False) -> None:
        super().__init__(config, parts, recompute)
        self.encoders, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for name in self.modalities:
            kind = SwinEncoder if name == "hr" else ViTEncoder
            self.encoders[name] = kind(getattr(config, name), recompute)
            if name != "hr" and self.fusion is not None:
                vit = getattr(config, name)
                self.heads[name] = PixelShuffleLift(vit.embed_dims, config.fusion.input_dims, vit.patch_size)

    def channels(self, name: str) -> int:
        return getattr(self.config, name).in_channels

    def widths(self, name: str) -> tuple[int, ...]:
        config = getattr(self.config, name)
        return config.widths if name == "hr" else (config.embed_dims,) * len(config.out_indices)

    def encode_images(self, name: str, images: Tensor) -> list[Tensor]:
        encoder = self.encoders[name]
        return encoder(images.to(encoder.patch_embed.projection.weight.dtype))

    def spread(self, name: str, deepest: Tensor) -> Tensor:
        """HR's last stage stands on ground cells; a Sentinel's patches are spread over their pixels."""
        if name == "hr":
            return deepest
        if self.fusion is not None:
            return self.heads[name](deepest)
        return F.interpolate(deepest, scale_factor=getattr(self.config, name).patch_size, mode="nearest")
