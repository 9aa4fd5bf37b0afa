"""From a scene to the tensors a model takes, and from a feature map back to the ground.

One Sentinel pixel covers 32 × 32 HR pixels: the grid of Sentinel pixels is the grid of ground cells. A scene
whose pixels do not nest this way is resampled onto it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords, xr_reproject
from torch import Tensor

from skysense_nb.data.scene import center_lonlat, geobox, modalities
from skysense_nb.data.symptoms import UNIT_CHECKS, hide_fill
from skysense_nb.errors import SampleError
from skysense_nb.sensors import DAYS_IN_TABLE, HR_PIXELS_PER_CELL, SENSORS

Sample = dict[str, Tensor]
LOOKED_AT = 256
"""Rows and columns on which the unit is judged."""


def cell_grid(scene: xr.DataTree) -> GeoBox:
    """Grid of ground cells: the Sentinel pixels, or blocks of 32 × 32 HR pixels where there is only HR."""
    for name in ("s2", "s1"):
        if name in scene.children:
            return geobox(scene[name])
    fine = geobox(scene["hr"])
    rows, columns = (-(-side // HR_PIXELS_PER_CELL) for side in fine.shape)
    return GeoBox((rows, columns), fine.affine @ fine.affine.scale(HR_PIXELS_PER_CELL), fine.crs)


def pixel_grid(scene: xr.DataTree, name: str) -> GeoBox:
    """Grid a modality must have: the cells for the Sentinels, 32 pixels a cell for HR."""
    if name == "hr" and modalities(scene) == ["hr"]:
        return geobox(scene["hr"])
    cells = cell_grid(scene)
    if name != "hr":
        return cells
    shape = tuple(side * HR_PIXELS_PER_CELL for side in cells.shape)
    return GeoBox(shape, cells.affine @ cells.affine.scale(1 / HR_PIXELS_PER_CELL), cells.crs)


def same_grid(one: GeoBox, other: GeoBox) -> bool:
    """Whether two grids agree to a hundredth of a pixel."""
    if one.shape != other.shape:
        return False
    step = abs(other.resolution.x)
    return max(abs(a - b) for a, b in zip(one.boundingbox.bbox, other.boundingbox.bbox, strict=True)) < step / 100


def on_grid(image: xr.DataArray, grid: GeoBox, resampling: str | None = None) -> xr.DataArray:
    """An image on another grid: averaged when it gets coarser, bilinear when finer. Unchanged if it is there."""
    here = image.odc.geobox
    if same_grid(here, grid):
        return image
    if resampling is None:
        resampling = "average" if abs(grid.resolution.x) > 1.5 * abs(here.resolution.x) else "bilinear"
    return xr_reproject(image, grid, resampling=resampling)


def to_sample(
    scene: xr.DataTree,
    *,
    hr_bands: int = 3,
    min_clear: float = 0.3,
    units: bool = True,
) -> Sample:
    """Tensors of one scene, batch of one.

    Args:
        scene: The scene.
        hr_bands: 3 for R G B, 4 for R G B NIR (NIR is normalised with the statistics of R, our choice).
        min_clear: Dates with a smaller clear fraction are marked invalid. Clouds inside a valid date stay.
        units: Refuse values in a unit that cannot be meant. A dark corner of a sound scene may look like one.

    Returns:
        `hr`, `s2`, `s1` (1 T C H W, normalised; gaps are zero, which is the mean), `<m>_day` (1 T, 0–364),
        `<m>_valid` (1 T bool), `lonlat` (1 2, degrees).

    Raises:
        SampleError: A damaged file, a near-infrared band asked for that the scene does not have, or values in a
            unit that cannot be meant: reflectance or colours 0–1, sensor counts as colours, radar in linear power.

    Example:
        >>> sample = to_sample(scene)                        # doctest: +SKIP
        >>> sample["s2"].shape                               # doctest: +SKIP
        torch.Size([1, 10, 10, 64, 64])
    """
    sample: Sample = {"lonlat": torch.tensor([center_lonlat(scene)], dtype=torch.float32)}
    for name in modalities(scene):
        grid, node = pixel_grid(scene, name), scene[name]
        bands = SENSORS[name].bands + (("NIR",) if name == "hr" and hr_bands == 4 else ())
        image = on_grid(measured(name, node["image"], bands), grid)
        if units:
            check_unit(name, image.values)
        clear = node.get("clear")
        sample[name] = torch.from_numpy(normalise(name, image.values))[None]
        days = pd.DatetimeIndex(node["time"].values).day_of_year.to_numpy() - 1
        sample[f"{name}_day"] = torch.from_numpy(np.minimum(days, DAYS_IN_TABLE - 1).astype("int64"))[None]
        sample[f"{name}_valid"] = torch.from_numpy(usable(image, clear, min_clear))[None]
    return sample


def only(scene: xr.DataTree, wanted: tuple[str, ...]) -> xr.DataTree:
    """The scene with just the wanted modalities (and its labels).

    Raises:
        SampleError: It has none of them.
    """
    names = [name for name in modalities(scene) if name in wanted]
    if not names:
        raise SampleError.of(f"one of {', '.join(wanted)}", f"a scene with {', '.join(modalities(scene))}", "Add one.")
    return scene.filter(lambda node: node.name in (*names, "labels"))


def measured(name: str, image: xr.DataArray, bands: tuple[str, ...]) -> xr.DataArray:
    """The wanted bands as floats; Sentinel pixels that only hold a fill value, or zero in every band, become gaps."""
    there = image["band"].values.tolist()
    if missing := [band for band in bands if band not in there]:
        raise SampleError.of(f"{name} with {' '.join(bands)}", f"no {' '.join(missing)}", "Load a model for R G B.")
    image = (image if there == list(bands) else image.sel(band=list(bands))).astype("float32")
    try:
        values = image.values
    except (OSError, RuntimeError) as error:
        raise SampleError.of(f"readable pixels of {name}", str(error), "The file is damaged; copy it again.") from error
    return image.copy(data=values if name == "hr" else hide_fill(values))


def check_unit(name: str, values: np.ndarray) -> None:
    """Refuses T C H W in an unmistakably wrong unit; what is only doubtful is left to the doctor."""
    step = max(1, max(values.shape[-2:]) // LOOKED_AT)
    looked_at = hide_fill(values[:, :, ::step, ::step])
    if not np.isfinite(looked_at).any():
        return
    low, high = np.nanmin(looked_at), np.nanmax(looked_at)
    if {"hr": high <= 1 or high > 255, "s2": high <= 2, "s1": low >= 0}[name]:
        _, level, seen, expected, fix = UNIT_CHECKS[name](looked_at)
        if level == "error":
            raise SampleError.of(f"{name} in {expected}", seen, fix)


def normalise(name: str, image: np.ndarray) -> np.ndarray:
    """(value / divisor − mean) / std per band of … C H W; gaps become zero."""
    sensor = SENSORS[name]
    mean, std = (np.array(values, "float32") for values in (sensor.mean, sensor.std))
    if image.shape[-3] == len(mean) + 1:
        mean, std = np.append(mean, mean[0]), np.append(std, std[0])
    scaled = (image / np.float32(sensor.divisor) - mean[:, None, None]) / std[:, None, None]
    return np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)


def usable(image: xr.DataArray, clear: xr.DataArray | None, min_clear: float) -> np.ndarray:
    """Which dates are worth reading, T: not all gaps, and clear enough."""
    seen = np.isfinite(image).any(("band", "y", "x")).values
    return seen if clear is None else seen & (clear.mean(("y", "x")).values >= min_clear)


def collate(samples: list[Sample]) -> Sample:
    """One batch from samples of the same ground size; missing dates and modalities become invalid padding.

    Raises:
        SampleError: No samples, or different sizes in pixels.

    Example:
        >>> batch = collate([{"s1": torch.rand(1, 2, 2, 8, 8), "s1_day": torch.zeros(1, 2).long()}] * 3)
        >>> batch["s1_valid"].shape
        torch.Size([3, 2])
    """
    if not samples:
        raise SampleError.of("at least one sample", "none", "Check the list of scenes.")
    batch: Sample = {}
    for name in [name for name in SENSORS if any(name in sample for sample in samples)]:
        like = next(sample[name] for sample in samples if name in sample)
        sizes = {tuple(sample[name].shape[2:]) for sample in samples if name in sample}
        if len(sizes) > 1:
            raise SampleError.of(
                f"{name} of one size", f"{sorted(sizes)} (C, H, W)", "Cut the scenes to the same ground."
            )
        dates = max(sample[name].shape[1] for sample in samples if name in sample)
        rows = [padded(sample, name, like, dates) for sample in samples]
        for key, values in zip((name, f"{name}_day", f"{name}_valid"), zip(*rows, strict=True), strict=True):
            batch[key] = torch.cat(values)
    if all("lonlat" in sample for sample in samples):
        batch["lonlat"] = torch.cat([sample["lonlat"] for sample in samples])
    return batch


def padded(sample: Sample, name: str, like: Tensor, dates: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images, days and validity of one modality, padded to `dates` dates."""
    count = sample[name].shape[0] if name in sample else 1
    image = like.new_zeros(count, dates, *like.shape[2:])
    day = torch.zeros(count, dates, dtype=torch.int64)
    valid = torch.zeros(count, dates, dtype=torch.bool)
    if name in sample:
        have = sample[name].shape[1]
        image[:, :have] = sample[name]
        day[:, :have] = sample.get(f"{name}_day", day[:, :have])
        valid[:, :have] = sample.get(f"{name}_valid", torch.ones(count, have, dtype=torch.bool))
    return image, day, valid


def to_map(scene: xr.DataTree, cells: np.ndarray, *, name: str = "embedding", **attrs: str) -> xr.DataArray:
    """Puts values per ground cell back on the ground.

    Args:
        scene: The scene the values were computed from.
        cells: D h w, one column of values per ground cell.
        name: Name of the result.
        attrs: Attributes to carry, such as `model`.

    Returns:
        (feature, y, x) with the scene's CRS.
    """
    grid = cell_grid(scene)
    if cells.shape[-2:] != tuple(grid.shape):
        raise SampleError.of(
            f"a map of {grid.shape[0]} × {grid.shape[1]} cells", f"{cells.shape}", "Use the scene it came from."
        )
    coords = xr_coords(grid, dims=("y", "x"))
    result = xr.DataArray(cells, dims=("feature", "y", "x"), coords=coords, name=name, attrs=attrs)
    return result.rio.write_crs(str(grid.crs))
