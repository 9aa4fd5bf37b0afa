"""SkySense V2 (Zhang et al., ICCV 2025): one backbone for three sensors, one fusion transformer over all dates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.errors import PresetError
from skysense_nb.layers import Experts, Gate, PixelShuffleLift, Routing
from skysense_nb.models.features import Features
from skysense_nb.models.fusion import FusionConfig
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.multimodal import PARTS, MultiModalModel
from skysense_nb.models.samples import put_back, take, validity
from skysense_nb.models.unified import UnifiedBackbone, UnifiedConfig
from skysense_nb.sensors import HR_PIXELS_PER_CELL


@dataclass(frozen=True)
class SkySenseV2Config:
    """Sizes of a SkySense V2 model.

    Attributes:
        backbone: The unified backbone.
        fusion: The fusion transformer.
        dated: Modalities whose tokens get the date encoding.
        context: The prototype bank, or None; the overview figure of the paper shows none.
    """

    backbone: UnifiedConfig = field(default_factory=UnifiedConfig)
    fusion: FusionConfig = field(default_factory=lambda: FusionConfig(input_dims=1024))
    dated: tuple[str, ...] = ("hr", "s2", "s1")
    context: GeoContextConfig | None = None


class SkySenseV2(MultiModalModel):
    """The unified multi-modal encoder; `MultiModalModel` explains arguments and verbs.

    How the paper brings the sensors to one grid before the fusion is not published. Here one linear layer takes HR,
    and one lift (1 × 1 convolution and pixel shuffle) serves both Sentinels, to the fusion's width. Fusion, lift and
    dates then count 352.8 million, where the paper's table has 347.01.

    Attributes:
        hr_stride: Output stride of the HR path, 32, 16, 8 or 4. Finer maps come from the same weights; for the
            fusion they are averaged over each ground cell (our choice).

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

    def channels(self, name: str) -> int:
        return self.config.backbone.channels(name)

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
        self, sample: dict[str, Tensor], *, attention: bool = False, cells: bool = False, experts: bool = False
    ) -> Features:
        """Everything the model knows about a batch, see `MultiModalModel.features`.

        Args:
            sample: Modalities with their dates.
            attention: Also return what the extra token reads.
            cells: Also return each modality's features on ground cells.
            experts: Also return which expert each token went to (encodes a second time).
        """
        features = super().features(sample, attention=attention, cells=cells)
        features.experts = self.expert_choices(sample) if experts else {}
        return features

    forward = features

    def expert_choices(self, sample: dict[str, Tensor]) -> dict[str, dict[int, Tensor]]:
        """Per modality and mixture block the expert of every token, B T h w; −1 on invalid dates."""
        sample = {name: value.to(self.device) for name, value in sample.items()}
        chosen = {}
        for name in self.check(sample):
            images, valid = sample[name], validity(sample, name)
            with recorded_routing(self.backbone) as routings:
                maps = self.encode_images(name, take(images, valid))
            chosen[name] = {}
            for index, (routing,) in routings.items():
                grid = maps[self.stage_of(index)].shape[-2:]
                tokens = routing.expert.flatten(1)[:, -grid.numel() :].unflatten(1, grid)  # prompts stand in front
                chosen[name][index] = put_back(tokens + 1, valid) - 1
        return chosen

    def stage_of(self, block: int) -> int:
        """Stage (0–3) of a block counted through all stages."""
        ends = torch.tensor(self.config.backbone.depths).cumsum(0)
        return int((ends <= block).sum())


@contextmanager
def recorded_routing(backbone: UnifiedBackbone) -> Iterator[dict[int, list[Routing]]]:
    """Collects what each gate decides, by number of its block; for figures and for `balance_loss`.

    Each call of the backbone adds one entry per block; a model calls it once per sensor.

    Example:
        >>> config = UnifiedConfig(embed_dims=8, depths=(2, 2, 2, 2), head_width=4, experts=2, expert_blocks=(6, 7))
        >>> backbone = UnifiedBackbone(config)
        >>> with recorded_routing(backbone) as routings:
        ...     maps = backbone(torch.rand(1, 2, 16, 16), "s1")
        >>> {index: [tuple(routing.expert.shape) for routing in calls] for index, calls in routings.items()}
        {6: [(1, 20)], 7: [(1, 20)]}
    """
    routings: dict[int, list[Routing]] = {}
    blocks = [block for stage in backbone.stages for block in stage.blocks]
    hooks = []
    for index, block in enumerate(blocks):
        for gate in (part for part in block.modules() if isinstance(part, Gate)):
            calls = routings.setdefault(index, [])
            hooks.append(gate.register_forward_hook(lambda _, __, routing, calls=calls: calls.append(routing)))
    try:
        yield routings
    finally:
        for hook in hooks:
            hook.remove()


def with_experts(model: SkySenseV2, experts: int = 8, blocks: tuple[int, ...] | None = None) -> SkySenseV2:
    """A copy of a dense model with mixtures of experts, which gives the same output until it is trained on.

    Args:
        model: A dense V2 model.
        experts: Experts per block.
        blocks: Which blocks; the last six if not given, as in the paper.

    Raises:
        PresetError: The model has experts already, or no such block.

    Example:
        >>> from skysense_nb.models.presets import PRESETS
        >>> mixture = with_experts(SkySenseV2(PRESETS["skysense-v2-tiny"]), experts=4)
        >>> mixture.config.backbone.expert_blocks
        (4, 5, 6, 7, 8, 9)
    """
    backbone = model.config.backbone
    total = sum(backbone.depths)
    blocks = tuple(range(max(0, total - 6), total)) if blocks is None else blocks
    if backbone.expert_blocks:
        raise PresetError.of("a dense model", f"experts in blocks {backbone.expert_blocks}", "Load a dense preset.")
    if not blocks or not set(blocks) <= set(range(total)):
        raise PresetError.of(f"blocks among 0–{total - 1}", f"{blocks}", "Count blocks through all stages, from 0.")
    mixture = deepcopy(model)
    mixture.config = replace(model.config, backbone=replace(backbone, experts=experts, expert_blocks=blocks))
    mixture.backbone.config = mixture.config.backbone
    for index in blocks:
        block = mixture.backbone.block(index)
        block.ffn = Experts.from_feed_forward(block.ffn, experts)
    mixture.name = f"{model.name} with {experts} experts"
    return mixture
