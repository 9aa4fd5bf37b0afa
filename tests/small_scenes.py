"""A small scene with known colours, clouds and dates."""

import numpy as np
import pandas as pd
import pytest
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from pyproj import Transformer

BANDS = {
    "hr": ["R", "G", "B"],
    "s2": ["B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"],
    "s1": ["VV", "VH"],
}
CORNER = (600_000.0, 5_300_000.0)
CRS = "EPSG:32633"


@pytest.fixture
def image():
    """Maker of random images: image(name, rows, columns, dates, pixel, seed)."""
    return make_image


def make_image(name, rows=12, columns=16, dates=1, pixel=10.0, seed=0) -> xr.DataArray:
    """Random image whose upper left corner is `CORNER`."""
    level, spread = {"hr": (120, 40), "s2": (1500, 500), "s1": (-14, 3)}[name]
    values = np.random.default_rng(seed).normal(level, spread, (dates, len(BANDS[name]), rows, columns))
    coords = {
        "time": pd.date_range("2021-04-01", periods=dates, freq="20D"),
        "band": BANDS[name],
        "y": CORNER[1] - pixel * (np.arange(rows) + 0.5),
        "x": CORNER[0] + pixel * (np.arange(columns) + 0.5),
    }
    return xr.DataArray(values, dims=("time", "band", "y", "x"), coords=coords).rio.write_crs(CRS)


@pytest.fixture
def place() -> xr.DataTree:
    """Three sensors over the same ground; the second Sentinel-2 date is cloudy on its left half."""
    s2 = make_image("s2", dates=6)
    clear = xr.ones_like(s2.isel(band=0, drop=True), dtype=bool)
    clear[1, :, :8] = False
    nodes = {
        "hr": make_image("hr", 96, 128, pixel=1.25).to_dataset(name="image"),
        "s2": xr.Dataset({"image": s2, "clear": clear}),
        "s1": make_image("s1", dates=3).to_dataset(name="image"),
    }
    return xr.DataTree.from_dict(nodes)


@pytest.fixture
def embedding() -> xr.DataArray:
    """Cells of 20 m: the left half points one way, the right half another, with a little noise."""
    depth, rows, columns = 8, 6, 8
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, depth))
    values = np.where(np.arange(columns) < columns // 2, left[:, None], right[:, None])
    values = values[:, None, :] + rng.normal(0, 0.05, (depth, rows, columns))
    coords = {"y": CORNER[1] - 20 * (np.arange(rows) + 0.5), "x": CORNER[0] + 20 * (np.arange(columns) + 0.5)}
    return xr.DataArray(values, dims=("feature", "y", "x"), coords=coords).rio.write_crs(CRS)


def place_of(row, column) -> tuple[float, float]:
    """Latitude and longitude of the middle of a 20 m cell."""
    x, y = 600_000 + 20 * (column + 0.5), 5_300_000 - 20 * (row + 0.5)
    return Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)[::-1]
