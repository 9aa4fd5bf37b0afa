"""From records of a benchmark to what a model reads: one grid of ground cells, normalised values, padded dates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from torch import Tensor

from skysense_nb.data.benchmarks.reader import MASKS, Record
from skysense_nb.data.catalog import Benchmark
from skysense_nb.data.real import NOMINAL_DATE
from skysense_nb.data.sample import check_unit, collate, normalise
from skysense_nb.data.scene import build
from skysense_nb.errors import SampleError, SceneError
from skysense_nb.sensors import DAYS_IN_TABLE, HR_PIXELS_PER_CELL, SENSORS

TARGETS = ("label", *MASKS, "bbox_xyxy", "bbox_corners", "bbox_label")
MOST_STRETCH = 4
"""HR is enlarged at most so much to fit the Sentinel grid; beyond, the Sentinels are averaged to fit HR."""


def to_model(
    record: Record,
    entry: Benchmark,
    *,
    normalisation: Literal["sensor", "dataset"] = "sensor",
    cells: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Tensors for a model, a batch of one, with the record's targets beside them.

    One Sentinel pixel covers 32 × 32 HR pixels, so sensors are resampled where a benchmark's do not nest this way.
    Masks keep their own grid; boxes follow HR.

    Args:
        record: Of a reader.
        entry: Of its benchmark.
        normalisation: `sensor`: statistics the encoders were trained with; `dataset`: the benchmark's own, where the
            catalogue has them, and the sensor's elsewhere.
        cells: Rows and columns of ground cells. Without it the Sentinel grid; or, where that would enlarge HR more
            than four times (DynamicEarthNet stores Sentinel-2 on the 3 m grid), HR's own in blocks of 32.

    Returns:
        `hr`, `s2`, `s1` (1 T C H W), `<m>_day`, `<m>_valid` as `to_sample` gives them, and the record's targets. A
        date that the benchmark does not tell is taken as 1 July, our choice.

    Raises:
        SampleError: Values in a unit that the normalisation cannot mean.
    """
    names = [name for name in SENSORS if name in record]
    grid = cells or default_cells(record)
    sample: dict[str, Any] = {name: record[name] for name in TARGETS if name in record}
    for name in names:
        fine = HR_PIXELS_PER_CELL if name == "hr" else 1
        values = resize(record[name].float(), (grid[0] * fine, grid[1] * fine))
        sample[name] = standardise(name, values, entry, normalisation)[None]
        dates = pd.DatetimeIndex(record[f"{name}_date"]).fillna(pd.Timestamp(NOMINAL_DATE))
        days = np.minimum(dates.day_of_year.to_numpy() - 1, DAYS_IN_TABLE - 1)
        sample[f"{name}_day"] = torch.from_numpy(days.astype(np.int64))[None]
        sample[f"{name}_valid"] = values.isfinite().flatten(1).any(1)[None]
    if "hr" in names:
        height, width = record["hr"].shape[-2:]
        scale = torch.tensor([grid[1] / width, grid[0] / height]) * HR_PIXELS_PER_CELL
        for form, factor in (("bbox_xyxy", scale.repeat(2)), ("bbox_corners", scale)):
            if form in record:
                sample[form] = record[form] * factor
    return sample


def default_cells(record: Record) -> tuple[int, int]:
    """Rows and columns of ground cells of a record."""
    coarse = next((record[name].shape[-2:] for name in ("s2", "s1") if name in record), None)
    if "hr" not in record:
        return tuple(coarse)
    height, width = record["hr"].shape[-2:]
    if coarse is not None and coarse[0] * HR_PIXELS_PER_CELL <= MOST_STRETCH * height:
        return tuple(coarse)
    return max(1, round(height / HR_PIXELS_PER_CELL)), max(1, round(width / HR_PIXELS_PER_CELL))


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """T C H W of another size: means of blocks where whole blocks fit, else bilinear; NaN where any source is.

    Example:
        >>> resize(torch.arange(4.0).view(1, 1, 2, 2), (1, 1)).item()
        1.5
    """
    height, width = images.shape[-2:]
    if (height, width) == tuple(size):
        return images
    if height % size[0] == 0 and width % size[1] == 0:
        return F.interpolate(images, size, mode="area")
    return F.interpolate(images, size, mode="bilinear", antialias=size[0] < height)


def standardise(name: str, values: Tensor, entry: Benchmark, normalisation: str) -> Tensor:
    """Normalised values, gaps zero."""
    own = entry.statistics.get(name) if normalisation == "dataset" else None
    if own is None:
        check_unit(name, values.numpy())
        return torch.from_numpy(normalise(name, values.numpy()))
    mean, std = (torch.tensor(part)[:, None, None] for part in (own.mean, own.std))
    return ((values - mean) / std).nan_to_num(0.0, 0.0, 0.0)


def collate_records(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One batch of `to_model` samples: dates padded, labels and masks stacked, boxes in a list per image.

    Raises:
        SampleError: Images or masks of different sizes.
    """
    batch = collate(list(samples))
    for name in [name for name in TARGETS if name in samples[0]]:
        values = [sample[name] for sample in samples]
        if name.startswith("bbox"):
            batch[name] = values
            continue
        if len(sizes := {tuple(value.shape) for value in values}) > 1:
            raise SampleError.of(f"{name} of one size", f"{sorted(sizes)}", "Cut or move the records to one size.")
        batch[name] = torch.stack(values)
    return batch


def to_scene(record: Record) -> xr.DataTree:
    """A record on the map, with its mask as `labels`.

    Raises:
        SceneError: The benchmark does not say where on Earth its images are.
    """
    if "transform" not in record or "crs" not in record:
        raise SceneError.of("a record with crs and transform", "none", "This benchmark does not tell; use to_model.")
    names = [name for name in SENSORS if name in record]
    finest = max((record[name].shape[-2:] for name in names), key=lambda size: size[0])
    whole = GeoBox(
        record["mask"].shape[-2:] if "mask" in record else finest, Affine(*record["transform"][:6]), record["crs"]
    )
    images = {
        name: on_ground(record[name].float().numpy(), whole).assign_coords(**axes(name, record)) for name in names
    }
    labels = None
    if "mask" in record and record["mask"].ndim == 2:
        labels = on_ground(record["mask"].numpy()[None, None], whole)[0, 0].drop_vars("time", errors="ignore")
        labels = labels.to_dataset(name="mask").rio.write_crs(str(whole.crs))
    return build(**images, labels=labels)


def axes(name: str, record: Record) -> dict[str, Any]:
    """Dates and band names of a sensor; unknown dates become 1 July."""
    bands = list(SENSORS[name].bands)
    bands += ["NIR"] if record[name].shape[1] == len(bands) + 1 else []
    return {"time": pd.DatetimeIndex(record[f"{name}_date"]).fillna(pd.Timestamp(NOMINAL_DATE)), "band": bands}


def on_ground(values: np.ndarray, whole: GeoBox) -> xr.DataArray:
    """T C H W over the ground of a grid, whatever the number of pixels."""
    grid = whole.zoom_to(values.shape[-2:])
    image = xr.DataArray(values, dims=("time", "band", "y", "x"), coords=xr_coords(grid, dims=("y", "x")))
    return image.rio.write_crs(str(whole.crs))
