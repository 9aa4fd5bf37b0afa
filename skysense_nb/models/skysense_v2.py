"""SkySense V2 (Zhang et al., ICCV 2025): one backbone for three sensors, one fusion transformer over all dates."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.layers import PixelShuffleLift, Routing
from skysense_nb.models.features import Features
from skysense_nb.models.fusion import FusionConfig
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.multimodal import PARTS, MultiModalModel
from skysense_nb.models.routing import recorded_routing
from skysense_nb.models.samples import put_back, validity
from skysense_nb.models.unified import UnifiedBackbone, UnifiedConfig, check_stride
from skysense_nb.sensors import HR_PIXELS_PER_CELL


@dataclass(frozen=True)
class SkySenseV2Config:
    """Sizes of a SkySense V2 model.

    Attributes:
        backbone: The unified backbone.
        fusion: The fusion transformer.
        dated: Modalities whose tokens get the date encoding; all, as in the paper of v1.
        context: The prototype bank, or None; the overview figure of the paper shows none.
    """

    backbone: UnifiedConfig = field(default_factory=UnifiedConfig)
    fusion: FusionConfig = field(default_factory=lambda: FusionConfig(input_dims=1024))
    dated: tuple[str, ...] = ("hr", "s2", "s1")
    context: GeoContextConfig | None = None


class SkySenseV2(MultiModalModel):
    """The unified multi-modal encoder; `MultiModalModel` explains arguments and verbs.

    How the paper brings the sensors to one grid before the fusion we did not find. Here one linear layer takes HR,
    and one lift (1 × 1 convolution and pixel shuffle) serves both Sentinels, to the fusion's width. Fusion, lift and
    dates then count 352.8 million, where the paper's table has 347.01.

    `hr_stride` is a switch of the running model, 32 unless set, and is not saved: 16, 8 and 4 give finer HR maps from
    the same weights. For the fusion they are averaged over each ground cell (our choice).

    Example:
        >>> from skysense_nb.models.presets import PRESETS
        >>> model = SkySenseV2(PRESETS["skysense-v2-tiny"]).eval()
        >>> model.pooled({"s1": torch.rand(1, 3, 2, 16, 16), "s1_day": torch.tensor([[9, 99, 199]])}).shape
        torch.Size([1, 128])
    """

    owners = {
        **{f"backbone.{part}.{name}.": (name,) for part in ("tokenisers", "prompts") for name in ("hr", "s2", "s1")},
        "heads.": ("fusion",),
        "fusion.": ("fusion",),
        "dates.": ("fusion",),
        "context.": ("fusion",),
    }
    hr_projection = "backbone.tokenisers.hr.projection.weight"

    def __init__(self, config: SkySenseV2Config, parts: tuple[str, ...] = PARTS, recompute: bool = False) -> None:
        super().__init__(config, parts, recompute)
        self.hr_stride = HR_PIXELS_PER_CELL
        self.backbone = UnifiedBackbone(config.backbone, self.modalities, recompute)
        self.heads = nn.ModuleDict()
        if self.fusion is not None:
            deepest, width = config.backbone.widths[-1], config.fusion.input_dims
            self.heads["hr"] = nn.Conv2d(deepest, width, kernel_size=1)
            self.heads["sentinel"] = PixelShuffleLift(deepest, width, config.backbone.patch_size)

    @property
    def hr_stride(self) -> int:
        """Output stride of the HR path in pixels."""
        return self._hr_stride

    @hr_stride.setter
    def hr_stride(self, stride: int) -> None:
        self._hr_stride = check_stride(stride)

    @property
    def provenance(self) -> str:
        """Preset and weights, and the HR stride if it is not the usual one."""
        finer = f", HR stride {self.hr_stride}" if self.hr_stride != HR_PIXELS_PER_CELL else ""
        return super().provenance + finer

    def channels(self, name: str) -> int:
        return self.config.backbone.channels(name)

    def widths(self, name: str) -> tuple[int, ...]:
        return self.config.backbone.widths

    def encode_images(self, name: str, images: Tensor) -> list[Tensor]:
        dtype = self.backbone.tokenisers[name].projection.weight.dtype
        return self.backbone(images.to(dtype), name, self.hr_stride)

    def spread(self, name: str, deepest: Tensor) -> Tensor:
        """HR is averaged over ground cells; a Sentinel's patches are spread over their pixels."""
        if name == "hr":
            side = HR_PIXELS_PER_CELL // self.hr_stride
            cells = F.avg_pool2d(deepest, side, ceil_mode=True, count_include_pad=False) if side > 1 else deepest
            return cells if self.fusion is None else self.heads["hr"](cells)
        if self.fusion is not None:
            return self.heads["sentinel"](deepest)
        return F.interpolate(deepest, scale_factor=self.config.backbone.patch_size, mode="nearest")

    def features(
        self,
        sample: dict[str, Tensor],
        *,
        maps: bool = True,
        attention: bool = False,
        cells: bool = False,
        experts: bool = False,
    ) -> Features:
        """Everything the model knows about a batch, see `MultiModalModel.features`.

        Args:
            sample: Modalities with their dates.
            maps: Return the encoders' maps; `experts` needs them.
            attention: Also return what the extra token reads.
            cells: Also return each modality's features on ground cells.
            experts: Also return which expert each token went to; empty without experts.
        """
        if not experts:
            return super().features(sample, maps=maps, attention=attention, cells=cells)
        with recorded_routing(self.backbone) as routings:
            features = super().features(sample, attention=attention, cells=cells)
        for number, (name, maps) in enumerate(features.maps.items()):
            valid = validity(sample, name).to(self.device)
            features.experts[name] = {
                index: put_back(on_grid(calls[number], maps[self.stage_of(index)].shape[-2:]) + 1, valid) - 1
                for index, calls in routings.items()
            }
        return features

    forward = features

    def stage_of(self, block: int) -> int:
        """Stage (0–3) of a block counted through all stages."""
        ends = torch.tensor(self.config.backbone.depths).cumsum(0)
        return int((ends <= block).sum())


def on_grid(routing: Routing, grid: torch.Size) -> Tensor:
    """Experts of the tokens of a map, n h w: prompts, which stand in front, are left out."""
    return routing.expert.flatten(1)[:, -grid.numel() :].unflatten(1, grid)
