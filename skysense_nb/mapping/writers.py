"""Rasters written by block: cloud-optimised GeoTIFFs and Zarr folders, whole or not there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol

import dask.array
import numpy as np
import rasterio
import rasterio.shutil
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
import zarr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from rasterio.windows import Window

from skysense_nb.errors import ParameterError
from skysense_nb.mapping.products import Layer

BLOCK_BYTES = 4 * 2**20
"""Of one block of averaged values: what assembling needs at a time."""

SMALLEST_COG_BLOCK = 128
"""GDAL takes no smaller ones."""


def block_side(bands: int) -> int:
    """Edge of the blocks that are assembled and written at once, pixels.

    Example:
        >>> block_side(1), block_side(1024)
        (512, 32)
    """
    side = 512
    while side > 16 and bands * side**2 * 4 > BLOCK_BYTES:
        side //= 2
    return side


class Writer(Protocol):
    """Takes the blocks of one layer."""

    path: Path

    @staticmethod
    def place(folder: Path, layer: Layer) -> Path:
        """Where the file of a layer lies."""

    def write(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Puts bands h w in their place."""

    def close(self) -> None:
        """Finishes the file and gives it its name."""


class CogWriter:
    """A cloud-optimised GeoTIFF: first a tiled file, then its copy with overviews.

    Args:
        folder: For `NAME.tif`.
        layer: What is written.
        grid: Its pixels.
        attrs: Carried as tags.
        side: Edge of a block.
    """

    @staticmethod
    def place(folder: Path, layer: Layer) -> Path:
        """Where the file of a layer lies."""
        return folder / f"{layer.name}.tif"

    def __init__(self, folder: Path, layer: Layer, grid: GeoBox, attrs: dict[str, str], side: int) -> None:
        self.layer, self.path, self.side = layer, self.place(folder, layer), max(side, SMALLEST_COG_BLOCK)
        self.tiled = folder / f".{layer.name}.tiled.tif"
        self.file = rasterio.open(
            self.tiled, "w", driver="GTiff", tiled=True, blockxsize=side, blockysize=side, count=len(layer.bands),
            height=grid.shape[0], width=grid.shape[1], dtype=layer.dtype, crs=str(grid.crs), transform=grid.affine,
            nodata=layer.nodata, compress="deflate", bigtiff="if_safer", interleave="pixel",
        )  # fmt: skip
        self.file.descriptions = layer.bands
        self.file.update_tags(**attrs, **layer.attrs)

    def write(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Puts bands h w in their place."""
        self.file.write(values, window=Window.from_slices(rows, columns))

    def close(self) -> None:
        """Copies the tiled file into its final form, under its name at the end."""
        self.file.close()
        unfinished = self.path.with_name(f".{self.layer.name}.unfinished.tif")
        rasterio.shutil.copy(
            self.tiled, unfinished, driver="COG", blocksize=self.side, compress="deflate",
            bigtiff="if_safer", overview_resampling=self.layer.resampling,
        )  # fmt: skip
        os.replace(unfinished, self.path)
        self.tiled.unlink()


class ZarrWriter:
    """A Zarr folder with one variable (feature, y, x), CRS and attributes; arguments as in `CogWriter`."""

    @staticmethod
    def place(folder: Path, layer: Layer) -> Path:
        """Where the file of a layer lies."""
        return folder / f"{layer.name}.zarr"

    def __init__(self, folder: Path, layer: Layer, grid: GeoBox, attrs: dict[str, str], side: int) -> None:
        self.layer, self.path = layer, self.place(folder, layer)
        self.unfinished = folder / f".{layer.name}.unfinished.zarr"
        shutil.rmtree(self.unfinished, ignore_errors=True)
        shape = (len(layer.bands), *grid.shape)
        empty = dask.array.full(shape, layer.nodata, dtype=layer.dtype, chunks=(-1, side, side))
        image = xr.DataArray(
            empty, dims=("feature", "y", "x"), coords=xr_coords(grid, dims=("y", "x")), name=layer.name
        )
        image = image.assign_coords(feature=list(layer.bands)).rio.write_crs(str(grid.crs))
        image.attrs |= attrs | layer.attrs
        image.encoding["_FillValue"] = layer.nodata  # beside the name of the CRS, which rioxarray keeps there
        image.to_dataset().to_zarr(self.unfinished, zarr_format=2, compute=False)
        self.array = zarr.open_array(self.unfinished / layer.name, mode="r+")

    def write(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Puts bands h w in their place."""
        self.array[:, rows, columns] = values

    def close(self) -> None:
        """Gives the folder its name."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.replace(self.unfinished, self.path)


WRITERS: dict[str, type[Writer]] = {"cog": CogWriter, "zarr": ZarrWriter}


def writer(form: str, layers: tuple[Layer, ...]) -> type[Writer]:
    """The writer of a form.

    Raises:
        ParameterError: An unknown form, or one that cannot hold a layer.
    """
    if form not in WRITERS:
        raise ParameterError.of(f"a form among {', '.join(WRITERS)}", repr(form), "Choose one of these.")
    if form == "cog" and (half := [layer.name for layer in layers if layer.dtype == "float16"]):
        fix = "Choose form='zarr', or float32 or int8."
        raise ParameterError.of("a dtype that GeoTIFF files have", f"float16 for {', '.join(half)}", fix)
    return WRITERS[form]


def open_map(path: str | Path) -> xr.DataArray:
    """A raster of a map, lazily, (feature, y, x) with CRS and attributes; gaps are NaN where the dtype has it.

    Example:
        >>> open_map("runs/region/embedding.zarr").attrs["model"]       # doctest: +SKIP
        'skysense-tiny, weights …'
    """
    path = Path(path)
    if path.suffix == ".zarr":
        stored = xr.open_dataset(path, engine="zarr", decode_coords="all", chunks={}, mask_and_scale=False)
        return next(iter(stored.data_vars.values()))  # one, whatever the folder is called now
    image = rioxarray.open_rasterio(path, chunks={"band": -1, "y": 512, "x": 512})
    names = image.attrs.get("long_name", ())
    names = [names] if isinstance(names, str) else list(names)
    return image.rename(band="feature").assign_coords(feature=names).rename(path.stem)
