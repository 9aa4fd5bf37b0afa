"""What is mapped: a scene that may be far larger than memory, read one tile at a time on exact grids."""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, product
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from skysense_nb.data.sample import cell_grid, check_unit, measured, on_grid, only, pixel_grid, same_grid
from skysense_nb.data.scene import geobox, modalities
from skysense_nb.errors import SampleError, SceneError
from skysense_nb.mapping.frugality import frugal_reads
from skysense_nb.mapping.tiles import Span, Tile
from skysense_nb.sensors import HR_PIXELS_PER_CELL, SENSORS

HALO = 4
"""Source pixels around a tile that resampling may look at."""

WINDOWS, LOOKED_AT = 4, 16
"""Windows along each axis on which units and sameness are judged, and their edge in pixels."""

READ_ERRORS = (OSError, RuntimeError, ValueError, SampleError, zlib.error)
"""What readers of damaged files raise."""


@dataclass(frozen=True)
class Imagery:
    """A scene, opened lazily, cut at the edges of ground cells.

    Attributes:
        scene: The scene. Where its pixels nest in the cells, tiles are exact windows of it; otherwise each tile is
            resampled from its window and `HALO` pixels around it.
        period: First and last acquisition date to read, such as `("2024-04-01", "2024-09-30")`; None for all.
        sensors: Those a model reads; others are left on disk.

    Raises:
        SceneError: No date of any sensor lies in the period.
        SampleError: It has none of the sensors.

    Example:
        >>> Imagery(open_scene("region.zarr")).cells.shape          # doctest: +SKIP
        (2000, 2000)
    """

    scene: xr.DataTree
    period: tuple[str, str] | None = None
    sensors: tuple[str, ...] = tuple(SENSORS)

    def __post_init__(self) -> None:
        if self.period is not None:
            object.__setattr__(self, "scene", during(self.scene, *self.period))

    @cached_property
    def names(self) -> list[str]:
        """The sensors that are read."""
        return modalities(only(self.scene, self.sensors))

    @cached_property
    def cells(self) -> GeoBox:
        """Grid of all ground cells."""
        return cell_grid(self.scene)

    def grid(self, name: str, tile: Tile) -> GeoBox:
        """Pixel grid of one sensor in a tile."""
        return scaled(self.cells[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop], scale(name))

    def read(self, tile: Tile) -> xr.DataTree:
        """The scene of one tile, in memory; sensors that saw nothing of it are left out if another one did.

        Raises:
            SampleError: Its pixels cannot be read.
        """
        grids = {name: self.grid(name, tile) for name in self.names}
        cuts = {name: self.cut(name, self.scene[name].to_dataset(), tile, grid).load() for name, grid in grids.items()}
        saw = [name for name, cut in cuts.items() if np.isfinite(cut["image"].values).any()]
        nodes = {}
        for name in saw or self.names:
            cut, grid = cuts[name], grids[name]
            image = on_grid(measured(name, cut["image"], tuple(map(str, cut["band"].values))), grid)
            nodes[name] = image.rename("image").to_dataset()
            if "clear" in cut:
                nodes[name]["clear"] = on_grid(cut["clear"].astype("float32"), grid) > 0.5
        return xr.DataTree.from_dict(nodes)

    def cut(self, name: str, node: xr.Dataset, tile: Tile, grid: GeoBox) -> xr.Dataset:
        """A sensor's pixels under a tile: just these where they nest, padded with gaps where the image ends."""
        rows, columns = (self.pixels(name, axis, span) for axis, span in enumerate((tile.rows, tile.columns)))
        if not self.nested[name]:
            rows, columns = under(geobox(node), grid)
        cut = node.isel(y=rows, x=columns)
        short = grid.shape[0] - cut.sizes["y"], grid.shape[1] - cut.sizes["x"]
        if not self.nested[name] or not any(short):
            return cut
        cut = cut.assign(image=cut["image"].astype("float32"))
        padded = cut.pad(y=(0, short[0]), x=(0, short[1]), constant_values={"image": np.nan, "clear": False})
        return padded.assign_coords(
            {dim: axis for dim, axis in xr_coords(grid, dims=("y", "x")).items() if dim in "yx"}
        )

    def pixels(self, name: str, axis: int, span: Span) -> slice:
        """Rows or columns of a nested sensor under a tile."""
        return slice(span.start * scale(name), span.stop * scale(name))

    @cached_property
    def nested(self) -> dict[str, bool]:
        """Whether whole pixels of each sensor lie in each cell."""
        return {name: same_grid(geobox(self.scene[name]), pixel_grid(self.scene, name)) for name in self.names}

    def looked_at(self, name: str) -> Iterator[xr.DataArray]:
        """Small windows spread over the image of a sensor (time, band, y, x), for judging it."""
        image = self.scene[name]["image"]
        image = image.isel(time=slice(None, None, -(-image.sizes["time"] // WINDOWS)))
        starts = [np.linspace(0, max(0, image.sizes[dim] - LOOKED_AT), WINDOWS).astype(int) for dim in ("y", "x")]
        for y, x in product(*map(np.unique, starts)):
            yield image.isel(y=slice(y, y + LOOKED_AT), x=slice(x, x + LOOKED_AT))

    def check_units(self) -> None:
        """Refuses values in a unit that cannot be meant, judged on a few windows that can be read.

        Raises:
            SampleError: Reflectance or colours 0–1, sensor counts as colours, radar in linear power.
        """
        for name in self.names:
            found = []
            for window in self.looked_at(name):
                with suppress(*READ_ERRORS), frugal_reads():
                    found.append(measured(name, window, tuple(map(str, window["band"].values))).values.reshape(
                        *window.shape[:2], 1, -1))  # fmt: skip
            if found:
                check_unit(name, np.concatenate(found, -1))

    def digest(self) -> str:
        """Changes with grids, bands and dates, with the size or time of change of the files, and where the imagery is
        not said to come from files, with the values in a few windows."""
        digest = hashlib.sha256()
        sources = [self.scene.encoding.get("source")]
        for name in self.names:
            node = self.scene[name].to_dataset()
            days = pd.DatetimeIndex(node["time"].values).strftime("%Y-%m-%dT%H:%M:%S").tolist()
            box, bands = geobox(node), list(map(str, node["band"].values))
            digest.update(repr((name, box.shape, tuple(box.affine), str(box.crs), days, bands)).encode())
            sources.append(node["image"].encoding.get("source"))
        files = [told for source in sources if source for told in told_of_files(Path(source))]
        digest.update(repr(files).encode())
        with frugal_reads():
            for window in () if files else chain.from_iterable(map(self.looked_at, self.names)):
                digest.update(np.ascontiguousarray(window.values).data)
        return digest.hexdigest()


def scale(name: str) -> int:
    """Pixels of a sensor along the edge of a ground cell."""
    return HR_PIXELS_PER_CELL if name == "hr" else 1


def scaled(cells: GeoBox, by: int) -> GeoBox:
    """The grid with `by` × `by` pixels in each cell.

    Example:
        >>> scaled(GeoBox((2, 3), Affine.scale(10), "EPSG:32633"), 32).shape     # doctest: +SKIP
        (64, 96)
    """
    return GeoBox(tuple(side * by for side in cells.shape), cells.affine @ cells.affine.scale(1 / by), cells.crs)


def under(grid: GeoBox, other: GeoBox) -> tuple[slice, slice]:
    """Rows and columns of a grid that lie under another one or at most `HALO` pixels beside it."""
    box = other.boundingbox
    left, top = ~grid.affine * (box.left, box.top)
    right, bottom = ~grid.affine * (box.right, box.bottom)
    edges = zip((top, left), (bottom, right), grid.shape, strict=True)
    return tuple(slice(max(0, math.floor(low) - HALO), min(side, math.ceil(high) + HALO)) for low, high, side in edges)


def during(scene: xr.DataTree, first: str, last: str) -> xr.DataTree:
    """The scene with just the dates of a period, both ends included; sensors without one are left out."""
    nodes = {name: scene[name].to_dataset() for name in modalities(scene)}
    days = {name: pd.DatetimeIndex(node["time"].values).normalize() for name, node in nodes.items()}
    inside = {name: (days[name] >= first) & (days[name] <= last) for name in nodes}
    if not any(kept.any() for kept in inside.values()):
        there = "; ".join(f"{name} {day[0]:%Y-%m-%d} to {day[-1]:%Y-%m-%d}" for name, day in days.items())
        raise SceneError.of(f"a date between {first} and {last}", there, "Choose another period.")
    kept = {name: nodes[name].isel(time=inside[name]) for name in nodes if inside[name].any()}
    tree = xr.DataTree.from_dict(kept)
    tree.encoding = dict(scene.encoding)
    return tree


def seen(tile: xr.DataTree, by: int) -> np.ndarray:
    """Where a tile that was read has data of any sensor on any date, at `by` × `by` pixels a cell: bool h w."""
    found = []
    for name in modalities(tile):
        there = np.isfinite(tile[name]["image"].values).any((0, 1))
        size = scale(name)
        if size > by:
            rows, columns = there.shape[0] * by // size, there.shape[1] * by // size
            there = there.reshape(rows, size // by, columns, size // by).any((1, 3))
        found.append(there.repeat(max(1, by // size), 0).repeat(max(1, by // size), 1))
    return np.logical_or.reduce(found)


def told_of_files(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of every file in a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []
    told = [(file.name, file.stat()) for file in files if file.is_file()]
    return [(name, told.st_size, told.st_mtime_ns) for name, told in told]
