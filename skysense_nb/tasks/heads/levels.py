"""What a dense head reads: four maps, fine to coarse, of one sensor, of the fused cells, or of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.models.features import Features
from skysense_nb.models.multimodal import MultiModalModel

FUSED = "fused"
SCALES = {True: (8.0, 4.0, 2.0, 1.0), False: (1.0, 0.5, 0.25, 0.125)}
"""Side of the four maps as a multiple of the cells': with HR its strides 4 to 32, else from one Sentinel pixel on."""

Widths = dict[str, tuple[int, ...]]
"""Channels of four maps per source."""


def widths_of(model: MultiModalModel, sources: Sequence[str]) -> Widths:
    """Channels that a model's maps have.

    Args:
        model: Of any preset.
        sources: Among `hr`, `s2`, `s1` and `fused`.

    Raises:
        ParameterError: A source that this model does not have.

    Example:
        >>> from skysense_nb.models import SkySense, preset
        >>> widths_of(SkySense(preset("skysense-tiny")), ("hr", "fused"))
        {'hr': (32, 64, 128, 256), 'fused': (128, 128, 128, 128)}
    """
    known = (*model.modalities, FUSED)
    if not sources or isinstance(sources, str) or set(sources) - set(known):
        raise ParameterError.of(f"sources among {', '.join(known)}", repr(sources), "Name one or more in a tuple.")
    return {name: (model.width,) * 4 if name == FUSED else model.widths(name) for name in sources}


def levels(features: Features, widths: Widths, date: int | None = None) -> list[Tensor]:
    """Four maps of all sources, channels side by side, fine to coarse.

    A sensor's maps are averaged over its valid dates. Sources are brought to common sides (bilinear, no parameters);
    a sensor that is not there gives zeros, so a head learns to do without it if training leaves it out at times.

    Args:
        features: Of a model.
        widths: Of `widths_of`, for the same model.
        date: Only this date of the sensors; the fused map has none.

    Returns:
        Each B C h w.

    Raises:
        SampleError: Not one of the sensors is in the features, or the date is not.
    """
    if not any(name in features.maps for name in widths) and FUSED not in widths:
        got = ", ".join(features.maps)
        raise SampleError.of(f"features of {' or '.join(widths)}", got, "Choose a dataset with this sensor.")
    cells = features.fused
    sides = [[max(1, round(side * scale)) for side in cells.shape[-2:]] for scale in SCALES["hr" in widths]]
    sources = {name: source(features, name, date) for name in widths}
    return [
        torch.cat(
            [
                cells.new_zeros(len(cells), widths[name][level], *side)
                if maps is None
                else resized(maps[level], side).to(cells.dtype)
                for name, maps in sources.items()
            ],
            dim=1,
        )
        for level, side in enumerate(sides)
    ]


def source(features: Features, name: str, date: int | None) -> list[Tensor] | None:
    """Four maps of one source, B C h w; None if it is not there."""
    if name == FUSED:
        return [features.richest] * 4
    if name not in features.maps:
        return None
    maps, valid = features.pyramid(name), validity(features, name)
    if date is None:
        share = valid / valid.sum(1, keepdim=True).clamp(min=1)  # B T; maps of invalid dates are zero
        return [torch.einsum("bt,btchw->bchw", share.to(level.dtype), level) for level in maps]
    if not 0 <= date < maps[0].shape[1]:
        got = f"{maps[0].shape[1]}"
        raise SampleError.of(f"at least {date + 1} dates of {name}", got, "Use a dataset of pairs.")
    return [level[:, date] for level in maps]


def validity(features: Features, name: str) -> Tensor:
    """Which dates of a sensor are valid, B T."""
    if not features.token_dates:
        return features.valid
    return features.valid[:, [number for number, (sensor, _) in enumerate(features.token_dates) if sensor == name]]


def resized(level: Tensor, side: Sequence[int]) -> Tensor:
    """B C h w of another size."""
    if list(level.shape[-2:]) == list(side):
        return level
    smaller = side[0] < level.shape[-2]
    return F.interpolate(level, list(side), mode="bilinear", align_corners=False, antialias=smaller)


def total(widths: Mapping[str, Sequence[int]]) -> list[int]:
    """Channels of the four maps of all sources together.

    Example:
        >>> total({"hr": (32, 64, 128, 256), "fused": (8, 8, 8, 8)})
        [40, 72, 136, 264]
    """
    return [sum(level) for level in zip(*widths.values(), strict=True)]
