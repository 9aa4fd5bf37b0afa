"""A whole model in its inference form: the verbs and the numbers of the model, in less time and memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.layers.autocast import full_precision
from skysense_nb.models.features import Features
from skysense_nb.models.inference.choice import Choice
from skysense_nb.models.inference.dates import distinct, grouped
from skysense_nb.models.inference.encoders import SwinInference, UnifiedInference, ViTInference
from skysense_nb.models.inference.fusion import FoldedHead, FusionInference, fuse_maps
from skysense_nb.models.inference.graphs import Graphed
from skysense_nb.models.inference.linear import Maker
from skysense_nb.models.multimodal import KEYS, MultiModalModel, embed_scene, single_sensor
from skysense_nb.models.samples import check_grid, check_sample, put_back, take, validity
from skysense_nb.models.skysense_v2 import SkySenseV2
from skysense_nb.sensors import HR_PIXELS_PER_CELL, SENSORS

if TYPE_CHECKING:
    import xarray as xr

Encoder = Callable[..., list[Tensor]]


class InferenceModel:
    """What `for_inference` returns: a copy of a model's weights, laid out for the machine, that cannot be trained.

    It answers `features`, `pooled` and `embed` like the model. Of what the model tells on request (attention, cells
    before dates, experts) and of `tokens` it knows nothing: they are what it saves. Ask the model for those.

    Attributes:
        modalities, width, name, weights, provenance: As the model's.
        choice: How products are computed, and why.
    """

    def __init__(
        self, model: MultiModalModel, make: Maker, choice: Choice, tokens_at_once: int | None, graphs: bool
    ) -> None:
        self.modalities, self.width, self.config = model.modalities, model.width, model.config
        self.name, self.weights, self.provenance = model.name, model.weights, model.provenance
        self.choice = choice
        self.device, self.dtype, self.merges_equal = make.device, make.dtype, not make.on_gpu
        self.bands = {name: model.channels(name) for name in SENSORS}
        self.level_widths = {name: model.widths(name) for name in SENSORS}
        encoders, self.hr_pool = prepared_encoders(model, make, tokens_at_once)
        self.encoders = {name: Graphed(call) for name, call in encoders.items()} if graphs else encoders
        self.fusion = None if model.fusion is None else FusionInference(model.fusion, make, tokens_at_once)
        self.heads = {} if model.fusion is None else {name: head(model, name, make) for name in model.modalities}
        self.context = None if model.context is None else copy.deepcopy(model.context).to(make.device, make.dtype)
        self.patch = {name: patch(model, name) for name in model.modalities if name != "hr"}

    def channels(self, name: str) -> int:
        """Bands it reads of a modality."""
        return self.bands[name]

    def widths(self, name: str) -> tuple[int, ...]:
        """Channels of each of a modality's maps, fine to coarse."""
        return self.level_widths[name]

    @torch.no_grad()
    def features(self, sample: dict[str, Tensor], *, maps: bool = True) -> Features:
        """What the model's `features` gives, without tokens; without the encoders' maps, too, unless `maps`.

        Raises:
            SampleError: As the model's.
        """
        with full_precision(self.device):  # what is prepared has one precision
            return self.answer(sample, maps)

    __call__ = features

    def answer(self, sample: dict[str, Tensor], maps: bool) -> Features:
        """See `features`."""
        dated = () if self.fusion is None else self.config.dated
        bands = {name: self.bands[name] for name in self.modalities}
        present = check_sample(sample, bands, dated, needs_place=self.context is not None)
        sample = {name: sample[name].to(self.device) for name in KEYS if name in sample}
        valid = {name: validity(sample, name) for name in present}
        all_valid = torch.cat(list(valid.values()), dim=1)
        levels, places = {}, {}
        for name in present:
            images = take(sample[name], valid[name])
            once, places[name] = distinct(images) if self.merges_equal else (images, list(range(len(images))))
            levels[name] = self.encoders[name](once, every=maps)
        kept = {name: self.put_back(levels[name], places[name], valid[name]) for name in present} if maps else {}
        cells = {name: self.on_cells(name, own[-1]) for name, own in levels.items()}
        if self.fusion is None:
            return self.one_sensor(kept, cells, places, valid, sample)
        sizes = {name: tuple((cells if name == "hr" else sample)[name].shape[-2:]) for name in present}
        fused = self.fused(cells, places, valid, sample, check_grid(sizes))
        context = None if self.context is None else self.context(fused, sample["lonlat"])
        return Features(
            maps=kept,
            fused=fused,
            pooled=(fused if context is None else context).mean((-2, -1)),
            valid=all_valid,
            token_dates=[(name, date) for name in present for date in range(sample[name].shape[1])],
            context=context,
        )

    def fused(
        self,
        cells: dict[str, Tensor],
        places: dict[str, list[int]],
        valid: dict[str, Tensor],
        sample: dict[str, Tensor],
        grid: tuple[int, int],
    ) -> Tensor:
        """The fused map of all samples, B D h w."""
        days = {name: sample[f"{name}_day"] for name in cells if name in self.config.dated}
        groups = grouped(places, valid, days, self.device)
        parts = []
        for group in groups:
            deepest = {name: cells[name][rows] for name, rows in group.rows.items()}
            bias = group.bias(self.dtype, self.device)
            parts.append(fuse_maps(self.fusion, self.heads, deepest, group.days, grid, bias))
        order = torch.tensor([number for group in groups for number in group.samples], device=self.device)
        return parts[0] if len(parts) == 1 else torch.cat(parts)[order.argsort()]

    def on_cells(self, name: str, deepest: Tensor) -> Tensor:
        """HR's deepest map averaged over ground cells where it is finer."""
        if name != "hr" or self.hr_pool == 1:
            return deepest
        return F.avg_pool2d(deepest, self.hr_pool, ceil_mode=True, count_include_pad=False)

    def put_back(self, levels: list[Tensor], places: list[int], valid: Tensor) -> list[Tensor]:
        """Maps of different images as maps of all dates, B T D h w."""
        return [put_back(level if len(level) == len(places) else level[places], valid) for level in levels]

    def one_sensor(
        self,
        maps: dict[str, list[Tensor]],
        cells: dict[str, Tensor],
        places: dict[str, list[int]],
        valid: dict[str, Tensor],
        sample: dict[str, Tensor],
    ) -> Features:
        """Features of a model without fusion."""
        spread = {}
        for name, deepest in cells.items():
            if name != "hr":
                deepest = F.interpolate(deepest, scale_factor=self.patch[name], mode="nearest")
                deepest = deepest[..., : sample[name].shape[-2], : sample[name].shape[-1]]
            spread[name] = self.put_back([deepest], places[name], valid[name])[0]
        return single_sensor(maps, spread, torch.cat(list(valid.values()), dim=1))

    def pooled(self, sample: dict[str, Tensor]) -> Tensor:
        """One vector per sample, B D."""
        return self.features(sample, maps=False).pooled

    def embed(self, scene: xr.DataTree) -> xr.DataArray:
        """Features of every ground cell of a scene, as a map (feature, y, x)."""
        return embed_scene(self, scene)


def prepared_encoders(
    model: MultiModalModel, make: Maker, tokens_at_once: int | None
) -> tuple[dict[str, Encoder], int]:
    """The encoder of each sensor, and over how many pixels of HR's deepest map a ground cell goes."""
    if isinstance(model, SkySenseV2):
        backbone = UnifiedInference(model.backbone, make, tokens_at_once)
        encoders = {name: partial(backbone, name=name, stride=model.hr_stride) for name in model.modalities}
        return encoders, HR_PIXELS_PER_CELL // model.hr_stride
    kinds = {name: SwinInference if name == "hr" else ViTInference for name in model.modalities}
    return {name: kind(model.encoders[name], make, tokens_at_once) for name, kind in kinds.items()}, 1


def head(model: MultiModalModel, name: str, make: Maker) -> FoldedHead:
    """What stands between a sensor's encoder and the fusion, as one product."""
    own = "sentinel" if isinstance(model, SkySenseV2) and name != "hr" else name
    convolution = None
    if own in model.heads:
        convolution = model.heads[own] if name == "hr" else model.heads[own].decoder[0]
    dates = model.dates.table if name in model.config.dated else None
    return FoldedHead(convolution, 1 if name == "hr" else patch(model, name), model.fusion.porj_linear, dates, make)


def patch(model: MultiModalModel, name: str) -> int:
    """Side of a Sentinel's patch in pixels."""
    part = model.config.backbone if isinstance(model, SkySenseV2) else getattr(model.config, name)
    return part.patch_size


def sides(model: MultiModalModel) -> set[int]:
    """The different sides of the Sentinels' patches; blocks of cells are cut for one."""
    return {patch(model, name) for name in model.modalities if name != "hr"}
