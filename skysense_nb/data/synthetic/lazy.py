"""Regions of the synthetic world that are larger than memory: drawn block by block, when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

import dask
import dask.array
import numpy as np
import pandas as pd
import xarray as xr
from dask.delayed import Delayed

from skysense_nb.data.scene import DIMS, build
from skysense_nb.data.synthetic.sensing import PIXEL_M
from skysense_nb.data.synthetic.window import SENTINEL_PIXEL_M, TRUTH_PIXEL_M, Window, window_of
from skysense_nb.data.synthetic.world import World
from skysense_nb.errors import SceneError
from skysense_nb.sensors import SENSORS

Bounds = tuple[int, int, int, int]

READ_AT_ONCE = 512
"""Edge of the pieces in which a region is stored, pixels: who reads a tile should not have to decode ten."""

ONE_AT_A_TIME = Lock()
"""Rasterio silences a warning of its own in a way that threads undo for one another."""


def lazy_region(
    world: World,
    bounds: Bounds,
    crs: object,
    *,
    s2_dates: Sequence[str] = (),
    s1_dates: Sequence[str] = (),
    hr_dates: Sequence[str] = (),
    hr_bounds: Bounds | None = None,
    block_m: int = 640,
    clouds: bool = True,
) -> xr.DataTree:
    """A scene as `World.window` makes it, of any size, whose blocks are drawn when they are read.

    Save it to Zarr before reading it more than once: every read draws again.

    Args:
        world: The world.
        bounds: Left, bottom, right and top edge in metres, multiples of 10.
        crs: A WGS 84 / UTM zone in any spelling.
        s2_dates: Sentinel-2 passes; none leaves the sensor out.
        s1_dates: Sentinel-1 passes; none leaves the sensor out.
        hr_dates: Aerial images; none leaves the sensor out.
        hr_bounds: Where there are aerial images, edges on blocks; gaps elsewhere. None: everywhere.
        block_m: Edge of a block, a multiple of 10.
        clouds: False for a sky without clouds.

    Returns:
        `hr` (float32 with gaps, or uint8 where it is everywhere), `s2` (int16, with `clear`), `s1` (float32) and
        `labels` with `land_cover`, all lazy.

    Raises:
        SceneError: Edges off the grid, HR bounds off the blocks, a CRS that is not UTM, no sensor.

    Example:
        >>> edges = (500_000, 5_200_000, 520_000, 5_220_000)
        >>> region = lazy_region(World(0), edges, "EPSG:32632", s2_dates=["2023-06-01"])
        >>> region["s2"]["image"].shape
        (1, 10, 2000, 2000)
    """
    window = window_of(tuple(bounds), crs)
    asked = {"hr": hr_dates, "s2": s2_dates, "s1": s1_dates}
    dates = {name: list(days) for name, days in asked.items() if len(days)}
    if not dates:
        raise SceneError.of("dates of at least one sensor", "none", "Pass s2_dates=['2023-06-01'], for example.")
    near = window if hr_bounds is None else window_of(tuple(hr_bounds), crs)
    if block_m % 10 or any(edge % block_m for edge in (near.left - window.left, window.top - near.top)):
        fix = f"Move their corner by whole blocks of {block_m} m from the upper left one of the region."
        raise SceneError.of("HR bounds on blocks of 10 m pixels", f"{hr_bounds}", fix)
    region = Blocks(world, window, near, dates, block_m, clouds)
    images = {name: region.image(name, days) for name, days in dates.items()}
    clear = None
    if "s2" in dates:
        seen = region.layer("clear", (len(dates["s2"]),), SENTINEL_PIXEL_M, bool)
        clear = {"s2": images["s2"].isel(band=0, drop=True).copy(data=seen)}
    coords = {"y": window.ys(TRUTH_PIXEL_M), "x": window.xs(TRUTH_PIXEL_M)}
    cover = xr.DataArray(region.layer("land_cover", (), TRUTH_PIXEL_M, np.uint8), coords, ("y", "x"))
    tree = build(**images, clear=clear, labels=cover.rio.write_crs(window.zone).to_dataset(name="land_cover"))
    tree.attrs["world"] = repr(world)
    return tree


@dataclass(frozen=True)
class Blocks:
    """A region cut into blocks, each drawn once per computation; arguments as in `lazy_region`."""

    world: World
    window: Window
    near: Window
    dates: dict[str, list[str]]
    block_m: int
    clouds: bool

    @cached_property
    def rows(self) -> list[list[tuple[Window, Delayed]]]:
        """The blocks and their drawing, row by row."""
        across = -(-(self.window.right - self.window.left) // self.block_m)
        drawn = [(block, self.draw(block)) for block in self.window.tiles(self.block_m)]
        return [drawn[first : first + across] for first in range(0, len(drawn), across)]

    def draw(self, block: Window) -> Delayed:
        """All layers of one block, by name."""
        sensors = [name for name in self.dates if name != "hr" or self.has_hr(block)]
        days = {f"{name}_dates": self.dates.get(name, next(iter(self.dates.values()))) for name in SENSORS}
        return dask.delayed(layers_of, pure=True)(self.world.seed, block, sensors, days, self.clouds)

    def has_hr(self, block: Window) -> bool:
        """Whether a block has aerial images."""
        near = self.near
        across = near.left < block.right and block.left < near.right
        return "hr" in self.dates and across and near.bottom < block.top and block.bottom < near.top

    def image(self, name: str, days: list[str]) -> xr.DataArray:
        """One sensor's image (time, band, y, x), float32 where it can have gaps."""
        dtype = {"hr": np.uint8 if self.near == self.window else np.float32, "s2": np.int16, "s1": np.float32}[name]
        values = self.layer(name, (len(days), len(SENSORS[name].bands)), PIXEL_M[name], dtype)
        coords = {
            "time": pd.DatetimeIndex(days),
            "band": list(SENSORS[name].bands),
            "y": self.window.ys(PIXEL_M[name]),
            "x": self.window.xs(PIXEL_M[name]),
        }
        return xr.DataArray(values, coords, DIMS, attrs={"unit": SENSORS[name].unit}).rio.write_crs(self.window.zone)

    def layer(self, name: str, first: tuple[int, ...], pixel_m: float, dtype: type) -> dask.array.Array:
        """One layer of all blocks, … y x."""

        def piece(block: Window, drawing: Delayed) -> dask.array.Array:
            shape = (*first, *block.shape(pixel_m))
            if name == "hr" and not self.has_hr(block):
                return dask.array.full(shape, np.nan, dtype=dtype, chunks=(-1, -1, READ_AT_ONCE, READ_AT_ONCE))
            return dask.array.from_delayed(drawing[name], shape, dtype).astype(dtype)

        whole = dask.array.block([[piece(*one) for one in row] for row in self.rows])
        side = min(READ_AT_ONCE, round(self.block_m / pixel_m))  # blocks are split, never merged
        return whole.rechunk({whole.ndim - 2: side, whole.ndim - 1: side})


def layers_of(
    seed: int, block: Window, sensors: list[str], days: dict[str, list[str]], clouds: bool
) -> dict[str, np.ndarray]:
    """Images of a block, where it is clear, and its land cover."""
    bounds = (block.left, block.bottom, block.right, block.top)
    with ONE_AT_A_TIME:
        scene = World(seed).window(bounds, block.zone, modalities=sensors, clouds=clouds, **days)
    layers = {name: scene[name]["image"].values for name in sensors}
    if "s2" in sensors:
        layers["clear"] = scene["s2"]["clear"].values
    return layers | {"land_cover": scene["labels"]["land_cover"].values}
