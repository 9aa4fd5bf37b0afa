"""SkySense v1 (Guo et al., CVPR 2024): one encoder per sensor, one fusion transformer over sensors and dates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skysense_nb.errors import PresetError, SampleError
from skysense_nb.layers import DateEncoding, PixelShuffleLift
from skysense_nb.models.features import Features
from skysense_nb.models.fusion import FusionConfig, FusionTransformer
from skysense_nb.models.geo_context import GeoContext, GeoContextConfig
from skysense_nb.models.swin import SwinConfig, SwinEncoder
from skysense_nb.models.vit import ViTConfig, ViTEncoder
from skysense_nb.runtime import explain_out_of_memory
from skysense_nb.sensors import DAYS_IN_TABLE, HR_PIXELS_PER_CELL, SENSORS

if TYPE_CHECKING:
    import xarray as xr

PARTS = ("hr", "s2", "s1", "fusion")
CELLS_AT_ONCE = 16_384
"""Ground cells fused together: bounds memory, and stays below the batch that GPU attention kernels take."""


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


class SkySense(nn.Module):
    """The factorised multi-modal encoder.

    Takes any non-empty subset of the three modalities with any number of dates. A date marked invalid changes
    nothing: it is not encoded, and the fusion cannot read it.

    Args:
        config: Sizes.
        parts: What to build among `hr`, `s2`, `s1`, `fusion`. Without `fusion` the model is a set of single-sensor
            encoders and takes one modality at a time.
        recompute: Recompute activations in the backward pass (less memory, about a third more time).

    Example:
        >>> from skysense_nb.models.presets import PRESETS
        >>> model = SkySense(PRESETS["skysense-tiny"]).eval()
        >>> model.pooled({"s1": torch.rand(1, 3, 2, 16, 16), "s1_day": torch.tensor([[9, 99, 199]])}).shape
        torch.Size([1, 128])
    """

    def __init__(self, config: SkySenseConfig, parts: tuple[str, ...] = PARTS, recompute: bool = False) -> None:
        super().__init__()
        if unknown := set(parts) - set(PARTS):
            raise PresetError.of(
                f"parts among {', '.join(PARTS)}", ", ".join(sorted(unknown)), "Leave parts out for all."
            )
        self.config = config
        self.name, self.weights = "unnamed", "random"
        self.modalities = tuple(name for name in SENSORS if name in parts)
        self.encoders = nn.ModuleDict()
        if "hr" in parts:
            self.encoders["hr"] = SwinEncoder(config.hr, recompute)
        for name in ("s2", "s1"):
            if name in parts:
                self.encoders[name] = ViTEncoder(getattr(config, name), recompute)
        if "fusion" in parts:
            width = config.fusion.input_dims
            self.fusion = FusionTransformer(config.fusion, recompute)
            self.dates = DateEncoding(width, DAYS_IN_TABLE)
            self.heads = nn.ModuleDict(
                {
                    name: PixelShuffleLift(vit.embed_dims, width, vit.patch_size)
                    for name, vit in (("s2", config.s2), ("s1", config.s1))
                    if name in parts
                }
            )
        else:
            self.fusion = None
        has_context = config.context is not None and self.fusion is not None
        self.context = GeoContext(config.context, config.fusion.embed_dims) if has_context else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def features(self, sample: dict[str, Tensor], *, attention: bool = False) -> Features:
        """Everything the model knows about a batch.

        Args:
            sample: Modalities `hr`, `s2`, `s1` (B T C H W, normalised), their `_day` (B T, 0–364) and `_valid`
                (B T bool, optional), and `lonlat` (B 2, only needed with geo-context).
            attention: Also return what the extra token reads from each date in each fusion layer.

        Raises:
            SampleError: No modality, shapes that do not fit, sensors on different grids, no valid date.
        """
        sample = {name: value.to(self.device) for name, value in sample.items()}
        present = self.check(sample)
        maps, cells = {}, {}
        for name in present:
            maps[name], cells[name] = self.encode(name, sample)
        valid = torch.cat([validity(sample, name) for name in present], dim=1)  # B T
        if self.fusion is None:
            return self.single_sensor(maps, cells, valid)
        grid = self.check_grid(cells)
        stacked = torch.cat([cells[name] for name in present], dim=1)  # B T D h w
        tokens = stacked.flatten(3).permute(0, 3, 1, 2)  # B N T D
        count = tokens.shape[1]
        rows, seen = tokens.flatten(0, 1), valid.repeat_interleave(count, 0)  # one row per cell
        seen = None if bool(valid.all()) else seen
        fused = self.fuse(rows, seen).unflatten(0, (-1, count))  # B N D
        fused = fused.transpose(1, 2).unflatten(2, grid)  # B D h w
        context = self.context(fused, sample["lonlat"]) if self.context is not None else None
        return Features(
            maps=maps,
            tokens=tokens,
            token_dates=[(name, date) for name in present for date in range(sample[name].shape[1])],
            valid=valid,
            fused=fused,
            context=context,
            attention=self.read_dates(rows, seen, count, grid) if attention else None,
            pooled=(fused if context is None else context).mean((-2, -1)),
        )

    forward = features

    def fuse(self, rows: Tensor, seen: Tensor | None) -> Tensor:
        """Runs the fusion over the cells (n T D), `CELLS_AT_ONCE` at a time."""
        parts = rows.split(CELLS_AT_ONCE)
        masks = [None] * len(parts) if seen is None else seen.split(CELLS_AT_ONCE)
        return torch.cat([self.fusion(part, mask) for part, mask in zip(parts, masks, strict=True)])

    def read_dates(self, rows: Tensor, seen: Tensor | None, count: int, grid: tuple[int, int]) -> Tensor:
        """Attention of the extra token to each date, B L T h w."""
        read = self.fusion.attention(rows, seen).unflatten(0, (-1, count))  # B N L T
        return read.permute(0, 2, 3, 1).unflatten(3, grid)

    def pooled(self, sample: dict[str, Tensor]) -> Tensor:
        """One vector per sample, B D."""
        return self.features(sample).pooled

    def embed(self, scene: xr.DataTree) -> xr.DataArray:
        """Features of every ground cell of a scene, as a map (feature, y, x) with CRS and a `model` attribute.

        Runs in evaluation mode whatever mode the model is in.
        """
        scene = scene.sky.only(self.modalities)
        sample = scene.sky.to_sample(hr_bands=self.config.hr.in_channels)
        height, width = next(sample[name].shape[-2:] for name in self.modalities if name in sample)
        fix = f"Cut the scene ({height} × {width} pixels) in half or more, or load the model with dtype=torch.bfloat16."
        modes = {part: part.training for part in self.modules()}  # a frozen encoder may rest in a training model
        try:
            with explain_out_of_memory(fix), torch.inference_mode():
                features = self.eval().features(sample)
        finally:
            for part, training in modes.items():
                part.training = training
        best = features.fused if features.context is None else features.context
        return scene.sky.to_map(best[0].float().cpu().numpy(), model=f"{self.name}, weights {self.weights}")

    def encode(self, name: str, sample: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Runs one encoder over the valid dates: its maps, and its cells on the common grid (B T D h w)."""
        images, valid = sample[name], validity(sample, name)
        outputs = self.encoders[name](take(images, valid).to(self.dtype_of(name)))
        cells = outputs[-1]
        if name != "hr":
            height, width = images.shape[-2:]
            cells = self.spread(name, cells)[..., :height, :width]
        if self.fusion is not None and name in self.config.dated:
            cells = cells + self.dates(take(sample[f"{name}_day"], valid))[:, :, None, None]
        return [put_back(level, valid) for level in outputs], put_back(cells, valid)

    def spread(self, name: str, patches: Tensor) -> Tensor:
        """Brings a Sentinel's patches (n D h w) to its pixels, which are ground cells; lifted to HR's width to fuse."""
        if self.fusion is not None:
            return self.heads[name](patches)
        return F.interpolate(patches, scale_factor=getattr(self.config, name).patch_size, mode="nearest")

    def dtype_of(self, name: str) -> torch.dtype:
        """Dtype of an encoder's weights."""
        return next(self.encoders[name].parameters()).dtype

    def single_sensor(self, maps: dict[str, list[Tensor]], cells: dict[str, Tensor], valid: Tensor) -> Features:
        """Features of a model without fusion: the deepest map on the ground cells, averaged over valid dates."""
        if len(maps) > 1:
            raise SampleError.of("one modality for a model without fusion", ", ".join(maps), "Build it with all parts.")
        deepest = next(iter(cells.values()))  # B T C h w; invalid dates are zero
        fused = deepest.sum(1) / valid.sum(1)[:, None, None, None]
        return Features(maps=maps, fused=fused, pooled=fused.mean((-2, -1)), valid=valid)

    def check(self, sample: dict[str, Tensor]) -> list[str]:
        """Modalities of a sample that hold at least one valid date, after checking that all fit the model."""
        named = [name for name in SENSORS if name in sample]
        if not named:
            raise SampleError.of(
                "at least one of hr, s2, s1", f"keys {sorted(sample)}", "Build it with scene.sky.to_sample."
            )
        if missing := [name for name in named if name not in self.modalities]:
            raise SampleError.of(
                f"modalities among {', '.join(self.modalities)}", ", ".join(missing), "Load the model with these parts."
            )
        sizes = {name: len(sample[name]) for name in named}
        if len(set(sizes.values())) > 1:
            raise SampleError.of("one batch size", f"{sizes}", "Put samples together with collate.")
        for name in named:
            self.check_modality(name, sample)
        if self.context is not None and "lonlat" not in sample:
            raise SampleError.of(
                "'lonlat' (B 2, degrees) for geo-context", "none", "Build it with scene.sky.to_sample."
            )
        seen = torch.cat([validity(sample, name) for name in named], dim=1).any(1)
        if not bool(seen.all()):
            raise SampleError.of(
                "a valid date in every sample",
                f"none in sample {int((~seen).nonzero()[0])}",
                "Drop it or accept more dates.",
            )
        return [name for name in named if bool(validity(sample, name).any())]

    def check_modality(self, name: str, sample: dict[str, Tensor]) -> None:
        """Refuses a modality whose tensors do not fit the model or each other."""
        images = sample[name]
        channels = getattr(self.config, name).in_channels
        if images.ndim != 5 or images.shape[2] != channels:
            raise SampleError.of(
                f"{name} as B T {channels} H W", f"shape {tuple(images.shape)}", "Check axes and bands."
            )
        for key, needed in ((f"{name}_day", name in self.config.dated), (f"{name}_valid", False)):
            if key in sample and sample[key].shape != images.shape[:2]:
                raise SampleError.of(
                    f"{key} as B T = {tuple(images.shape[:2])}", f"{tuple(sample[key].shape)}", "One value per image."
                )
            if key.endswith("_day") and key in sample and not calendar_days(sample[key]):
                raise SampleError.of(f"{key} as whole days 0–364", "others", "Pass the day of the year minus one.")
            if needed and self.fusion is not None and key not in sample:
                raise SampleError.of(f"the dates of {name}", f"no {key!r}", "Pass the day of the year minus one, B T.")
        if not bool(take(images, validity(sample, name)).isfinite().all()):
            fix = "Fill gaps with zero, or mark the date invalid."
            raise SampleError.of(f"finite values in {name}", "NaN or infinity", fix)

    def check_grid(self, cells: dict[str, Tensor]) -> tuple[int, int]:
        """The grid all modalities share; one Sentinel pixel must cover 32 × 32 HR pixels."""
        grids = {name: tuple(value.shape[-2:]) for name, value in cells.items()}
        if len(set(grids.values())) > 1:
            listed = ", ".join(f"{name} {rows} × {columns}" for name, (rows, columns) in grids.items())
            block = f"{HR_PIXELS_PER_CELL} × {HR_PIXELS_PER_CELL}"
            rule = f"the same grid of ground cells ({block} HR pixels or one Sentinel pixel)"
            raise SampleError.of(rule, listed, "Let scene.sky.to_sample bring them together.")
        return next(iter(grids.values()))


def calendar_days(days: Tensor) -> bool:
    """Whether these are days of the year minus one."""
    return not days.is_floating_point() and bool(((days >= 0) & (days <= DAYS_IN_TABLE)).all())


def validity(sample: dict[str, Tensor], name: str) -> Tensor:
    """Validity of a modality's dates, B T; all True when the sample does not say."""
    images = sample[name]
    return sample.get(f"{name}_valid", torch.ones(images.shape[:2], dtype=torch.bool, device=images.device))


def take(values: Tensor, valid: Tensor) -> Tensor:
    """The rows of valid dates (n …) of B T …."""
    return values.flatten(0, 1) if bool(valid.all()) else values[valid]


def put_back(rows: Tensor, valid: Tensor) -> Tensor:
    """Spreads the rows of valid dates (n …) over B T …, zeros elsewhere."""
    if bool(valid.all()):
        return rows.unflatten(0, valid.shape)
    full = rows.new_zeros(valid.numel(), *rows.shape[1:])
    return full.index_copy(0, valid.flatten().nonzero().flatten(), rows).unflatten(0, valid.shape)
