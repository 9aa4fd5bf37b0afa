"""What SkySense v1 and V2 share: any subset of sensors and dates in, one fused vector per ground cell out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skysense_nb.errors import PresetError, SampleError
from skysense_nb.layers import DateEncoding
from skysense_nb.models.features import Features
from skysense_nb.models.fusion import FusionTransformer
from skysense_nb.models.geo_context import GeoContext
from skysense_nb.models.samples import check_grid, check_sample, put_back, take, validity
from skysense_nb.runtime import evaluation_mode, explain_out_of_memory
from skysense_nb.sensors import DAYS_IN_TABLE, SENSORS

if TYPE_CHECKING:
    import xarray as xr

    from skysense_nb.models.inference import InferenceModel

PARTS = ("hr", "s2", "s1", "fusion")
KEYS = ("lonlat", *(f"{name}{end}" for name in SENSORS for end in ("", "_day", "_valid")))
"""What a model reads of a sample."""

CELLS_AT_ONCE = 16_384
"""Ground cells fused together: bounds memory, and stays below the batch that GPU attention kernels take."""


class MultiModalModel(nn.Module, ABC):
    """Encoders in space, then one transformer over the sensors and dates of each ground cell.

    Takes any non-empty subset of the three modalities with any number of dates. A date marked invalid changes
    nothing: it is not encoded, and the fusion cannot read it.

    A model says how it encodes images of one sensor (`encode_images`) and how it brings their deepest map to ground
    cells (`spread`), how many bands it reads (`channels`), and for its files which tensors belong to which parts
    (`owners`) and which weight reads the HR bands (`hr_projection`).

    Args:
        config: Sizes, with `fusion`, `dated` and `context`.
        parts: What to build among `hr`, `s2`, `s1`, `fusion`. Without `fusion` the model is a set of single-sensor
            encoders and takes one modality at a time.
        recompute: Recompute activations in the backward pass (less memory, about a third more time).
    """

    owners: dict[str, tuple[str, ...]]
    hr_projection: str

    def __init__(self, config: Any, parts: tuple[str, ...], recompute: bool) -> None:
        super().__init__()
        if unknown := set(parts) - set(PARTS):
            raise PresetError.of(
                f"parts among {', '.join(PARTS)}", ", ".join(sorted(unknown)), "Leave parts out for all."
            )
        if not set(parts) & set(SENSORS):
            raise PresetError.of("a sensor among the parts", f"{tuple(parts)}", "Leave parts out for all.")
        self.config = config
        self.name, self.receipt, self.first_use = "unnamed", None, None
        self.modalities = tuple(name for name in SENSORS if name in parts)
        self.fusion, self.dates, self.context = None, None, None
        if "fusion" in parts:
            if not (config.fusion.with_cls_token and config.fusion.output_cls_token):
                fix = "Leave with_cls_token and output_cls_token as they are."
                raise PresetError.of("a fusion that reads out its extra token", "one that reads out all tokens", fix)
            self.fusion = FusionTransformer(config.fusion, recompute)
            self.dates = DateEncoding(config.fusion.input_dims, DAYS_IN_TABLE)
            self.context = config.context and GeoContext(config.context, config.fusion.embed_dims)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def weights(self) -> str:
        """Short name of the weights it was loaded with."""
        return "random" if self.receipt is None else self.receipt.checksum

    def look_at_weights(self) -> None:
        """Reads weights that were opened but not yet read; called before the first use.

        Raises:
            CheckpointError: A damaged file.
        """
        if self.first_use is not None:
            self.first_use.look(self)
            self.first_use = None

    @property
    def provenance(self) -> str:
        """Preset and weights, for what is made with the model."""
        return f"{self.name}, weights {self.weights}"

    @abstractmethod
    def channels(self, name: str) -> int:
        """Bands the model reads of a modality."""

    @abstractmethod
    def widths(self, name: str) -> tuple[int, ...]:
        """Channels of each of a modality's maps, fine to coarse."""

    @property
    def width(self) -> int:
        """Channels of `Features.richest` and of `Features.pooled`."""
        if self.fusion is None:
            return self.widths(self.modalities[0])[-1]
        return self.config.fusion.embed_dims + (self.config.context.width if self.context is not None else 0)

    @abstractmethod
    def encode_images(self, name: str, images: Tensor) -> list[Tensor]:
        """Maps of images of one modality (n C H W), each n D h w, the deepest last."""

    @abstractmethod
    def spread(self, name: str, deepest: Tensor) -> Tensor:
        """Brings a deepest map (n D h w) to ground cells; to the fusion's width if there is a fusion."""

    def features(
        self, sample: dict[str, Tensor], *, maps: bool = True, attention: bool = False, cells: bool = False
    ) -> Features:
        """Everything the model knows about a batch.

        Args:
            sample: Modalities `hr`, `s2`, `s1` (B T C H W, normalised), their `_day` (B T, 0–364) and `_valid`
                (B T bool, optional), and `lonlat` (B 2, only needed with geo-context).
            maps: Return the encoders' maps; without them `Features.maps` is empty.
            attention: Also return what the extra token reads from each date in each fusion layer.
            cells: Also return each modality's features on ground cells, before dates are added.

        Raises:
            SampleError: No modality, shapes that do not fit, sensors on different grids, no valid date.
        """
        self.look_at_weights()
        present = self.check(sample)
        sample = {name: sample[name].to(self.device) for name in KEYS if name in sample}
        kept, plain, dated = {}, {}, {}
        for name in present:
            levels, encoded = self.encode(name, sample)
            if maps:
                kept[name] = levels
            dated[name] = self.with_dates(name, encoded, sample)
            if cells:
                plain[name] = encoded
        valid = torch.cat([validity(sample, name) for name in present], dim=1)  # B T
        if self.fusion is None:
            return single_sensor(kept, dated, valid)
        grid = check_grid({name: tuple(part.shape[-2:]) for name, part in dated.items()})
        stacked = torch.cat([dated[name] for name in present], dim=1)  # B T D h w
        tokens = stacked.flatten(3).permute(0, 3, 1, 2)  # B N T D
        count = tokens.shape[1]
        rows, seen = tokens.flatten(0, 1), valid.repeat_interleave(count, 0)  # one row per cell
        seen = None if bool(valid.all()) else seen
        fused = self.fuse(rows, seen).unflatten(0, (-1, count))  # B N D
        fused = fused.transpose(1, 2).unflatten(2, grid)  # B D h w
        context = self.context(fused, sample["lonlat"]) if self.context is not None else None
        return Features(
            maps=kept,
            cells=plain,
            tokens=tokens,
            token_dates=[(name, date) for name in present for date in range(sample[name].shape[1])],
            valid=valid,
            fused=fused,
            context=context,
            attention=self.read_dates(rows, seen, count, grid) if attention else None,
            pooled=(fused if context is None else context).mean((-2, -1)),
        )

    forward = features

    def check(self, sample: dict[str, Tensor]) -> list[str]:
        """Modalities of a sample that hold at least one valid date, after checking that all fit the model."""
        channels = {name: self.channels(name) for name in self.modalities}
        dated = () if self.fusion is None else self.config.dated
        return check_sample(sample, channels, dated, needs_place=self.context is not None)

    def encode(self, name: str, sample: dict[str, Tensor]) -> tuple[list[Tensor], Tensor]:
        """Encodes the valid dates of a modality: its maps, and its cells on the common grid (B T D h w)."""
        images, valid = sample[name], validity(sample, name)
        outputs = self.encode_images(name, take(images, valid))
        cells = self.spread(name, outputs[-1])
        if name != "hr":
            height, width = images.shape[-2:]
            cells = cells[..., :height, :width]
        return [put_back(level, valid) for level in outputs], put_back(cells, valid)

    def with_dates(self, name: str, cells: Tensor, sample: dict[str, Tensor]) -> Tensor:
        """Adds the date encoding to the valid dates of a modality's cells, B T D h w."""
        if self.fusion is None or name not in self.config.dated:
            return cells
        dates = self.dates(sample[f"{name}_day"]) * validity(sample, name)[..., None]
        return cells + dates[..., None, None]

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

        Runs in the model's inference form, so in evaluation mode whatever mode the model is in.
        """
        return embed_scene(kept_form(self), scene)

    def for_inference(
        self,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        *,
        kind: str | None = None,
        tokens_at_once: int | None = None,
        graphs: bool | None = None,
        quiet: bool = False,
    ) -> InferenceModel:
        """A copy of the model made for running, not for training; says in one line how it computes.

        Args:
            dtype: Of products; by default bf16 on a GPU that has it, elsewhere the model's.
            device: Where; by default where the model is.
            kind: `packed`, `switched` or `plain` products; by default what is fastest here, measured once.
            tokens_at_once: Tokens between two products: bounds memory. By default what fits a CPU's cache.
            graphs: Launch each encoder's kernels as one CUDA graph per shape; by default on a GPU, if none of its
                blocks has experts.
            quiet: Print nothing.

        Raises:
            EnvironmentProblem: The device is not there.
            ParameterError: No such kind, a `tokens_at_once` below 1, graphs without a CUDA device, or a model that is
                not as it was built: a subclass, parts of other libraries, hooks inside.

        Example:
            >>> from skysense_nb.models import load
            >>> model, _ = load("skysense-tiny")
            >>> fast = model.for_inference(quiet=True)
            >>> sample = {"s1": torch.rand(1, 3, 2, 16, 16), "s1_day": torch.tensor([[9, 99, 199]])}
            >>> torch.allclose(fast.pooled(sample), model.pooled(sample), atol=1e-4)
            True
        """
        from skysense_nb.models.inference.making import make_form

        return make_form(self, dtype, device, kind, tokens_at_once, graphs, quiet)


def kept_form(model: MultiModalModel) -> InferenceModel | MultiModalModel:
    """The inference form of a model where it is and in its dtype, kept until its weights change; where there is none
    (another kind of model, patches of two sizes, strange parts or hooks inside) the model."""
    from skysense_nb.models.inference.making import kept

    return kept(model)


def embed_scene(model: InferenceModel | MultiModalModel, scene: xr.DataTree) -> xr.DataArray:
    """Features of every ground cell of a scene, as a map (feature, y, x) with CRS and a `model` attribute."""
    scene = scene.sky.only(model.modalities)
    sample = scene.sky.to_sample(hr_bands=model.channels("hr"))
    height, width = next(sample[name].shape[-2:] for name in model.modalities if name in sample)
    fix = f"Cut the scene ({height} × {width} pixels) in half or more, or load the model with dtype=torch.bfloat16."
    still = evaluation_mode(model) if isinstance(model, nn.Module) else nullcontext()
    with explain_out_of_memory(fix), still, torch.no_grad():
        features = model.features(sample, maps=False)
    return scene.sky.to_map(features.richest[0].float().cpu().numpy(), model=model.provenance)


def single_sensor(maps: dict[str, list[Tensor]], cells: dict[str, Tensor], valid: Tensor) -> Features:
    """Features of a model without fusion: the deepest map on the ground cells, averaged over valid dates."""
    if len(cells) > 1:
        raise SampleError.of("one modality for a model without fusion", ", ".join(cells), "Build it with all parts.")
    deepest = next(iter(cells.values()))  # B T C h w; invalid dates are zero
    fused = deepest.sum(1) / valid.sum(1)[:, None, None, None]
    return Features(maps=maps, fused=fused, pooled=fused.mean((-2, -1)), valid=valid)
