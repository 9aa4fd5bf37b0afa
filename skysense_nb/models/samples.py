"""What a model accepts: the checks of a sample, and the rows of its valid dates."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from skysense_nb.errors import SampleError
from skysense_nb.sensors import DAYS_IN_TABLE, HR_PIXELS_PER_CELL, SENSORS


def check_sample(
    sample: dict[str, Tensor], channels: dict[str, int], dated: Collection[str], needs_place: bool
) -> list[str]:
    """Modalities of a sample that hold at least one valid date, after checking that all fit the model.

    Args:
        sample: Modalities `hr`, `s2`, `s1` (B T C H W), their `_day` and `_valid` (B T), `lonlat` (B 2).
        channels: Bands the model reads, per modality it was built for.
        dated: Modalities whose dates it must know.
        needs_place: Whether it must know the place.

    Raises:
        SampleError: No modality, shapes that do not fit, no valid date, values that are not finite.
    """
    named = [name for name in SENSORS if name in sample]
    for key in (f"{name}{end}" for name in named for end in ("", "_day", "_valid")):
        if key in sample and not isinstance(sample[key], Tensor):
            raise SampleError.of(f"a tensor as {key}", type(sample[key]).__name__, "Build it with scene.sky.to_sample.")
    if not named:
        raise SampleError.of(
            "at least one of hr, s2, s1", f"keys {sorted(sample)}", "Build it with scene.sky.to_sample."
        )
    if missing := [name for name in named if name not in channels]:
        raise SampleError.of(
            f"modalities among {', '.join(channels)}", ", ".join(missing), "Load the model with these parts."
        )
    sizes = {name: len(sample[name]) for name in named}
    if len(set(sizes.values())) > 1:
        raise SampleError.of("one batch size", f"{sizes}", "Put samples together with collate.")
    for name in named:
        check_modality(name, sample, channels[name], name in dated)
    if needs_place:
        check_place(sample.get("lonlat"), len(sample[named[0]]))
    seen = torch.cat([validity(sample, name) for name in named], dim=1).any(1)
    if not bool(seen.all()):
        raise SampleError.of(
            "a valid date in every sample",
            f"none in sample {int((~seen).nonzero()[0])}",
            "Drop it or accept more dates.",
        )
    return [name for name in named if bool(validity(sample, name).any())]


def check_modality(name: str, sample: dict[str, Tensor], channels: int, dated: bool) -> None:
    """Refuses a modality whose tensors do not fit the model or each other."""
    images = sample[name]
    if images.ndim != 5 or images.shape[2] != channels or 0 in (len(images), *images.shape[3:]):
        raise SampleError.of(f"{name} as B T {channels} H W", f"shape {tuple(images.shape)}", "Check axes and bands.")
    for key in (f"{name}_day", f"{name}_valid"):
        if key in sample and sample[key].shape != images.shape[:2]:
            raise SampleError.of(
                f"{key} as B T = {tuple(images.shape[:2])}", f"{tuple(sample[key].shape)}", "One value per image."
            )
    if f"{name}_valid" in sample and sample[f"{name}_valid"].dtype != torch.bool:
        raise SampleError.of(f"{name}_valid as bool", str(sample[f"{name}_valid"].dtype), "Convert it with .bool().")
    if f"{name}_day" in sample and not calendar_days(sample[f"{name}_day"]):
        raise SampleError.of(f"{name}_day as whole days 0–364", "others", "Pass the day of the year minus one.")
    if dated and f"{name}_day" not in sample:
        fix = "Pass the day of the year minus one, B T."
        raise SampleError.of(f"the dates of {name}", f"no '{name}_day'", fix)
    if not bool(take(images, validity(sample, name)).isfinite().all()):
        fix = "Fill gaps with zero, or mark the date invalid."
        raise SampleError.of(f"finite values in {name}", "NaN or infinity", fix)


def check_place(place: Tensor | None, batch: int) -> None:
    """Refuses places that are not one longitude and latitude per sample."""
    fits = isinstance(place, Tensor) and place.shape == (batch, 2) and bool(place.isfinite().all())
    if not fits:
        got = f"shape {tuple(place.shape)}" if isinstance(place, Tensor) else "none" if place is None else repr(place)
        got = "NaN or infinity" if isinstance(place, Tensor) and place.shape == (batch, 2) else got
        fix = "Build it with scene.sky.to_sample."
        raise SampleError.of(f"'lonlat' (B 2 = {batch} 2, degrees) for geo-context", got, fix)


def check_grid(grids: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """The grid of ground cells all modalities share; one Sentinel pixel must cover 32 × 32 HR pixels."""
    if len(set(grids.values())) > 1:
        listed = ", ".join(f"{name} {rows} × {columns}" for name, (rows, columns) in grids.items())
        block = f"{HR_PIXELS_PER_CELL} × {HR_PIXELS_PER_CELL}"
        rule = f"the same grid of ground cells ({block} HR pixels or one Sentinel pixel)"
        raise SampleError.of(rule, listed, "Let scene.sky.to_sample bring them together.")
    return next(iter(grids.values()))


def calendar_days(days: Tensor) -> bool:
    """Whether these are days of the year minus one."""
    days = days if days.is_floating_point() else days.long()  # 365 is beyond a byte
    return days.dtype == torch.int64 and bool(((days >= 0) & (days <= DAYS_IN_TABLE)).all())


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
