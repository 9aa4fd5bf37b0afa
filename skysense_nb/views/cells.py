"""From a click on a map to the cell below it, and back."""

from __future__ import annotations

import numpy as np
import xarray as xr
from rasterio.warp import transform

from skysense_nb.errors import SceneError
from skysense_nb.views.maps import Bounds, locate


def cell_at(grid: xr.DataArray, lat: float, lon: float) -> tuple[int, int]:
    """Row and column of the cell of a grid (…, y, x) at latitude and longitude, degrees.

    Raises:
        SceneError: No cell there.
    """
    crs, (left, bottom, right, top) = locate(grid, None, None)
    (x,), (y,) = transform("EPSG:4326", crs, [lon], [lat])
    rows, columns = grid.shape[-2:]
    row, column = int(np.floor((top - y) / (top - bottom) * rows)), int(np.floor((x - left) / (right - left) * columns))
    if not (0 <= row < rows and 0 <= column < columns):
        raise SceneError.of(
            "a click inside the outline", f"latitude {lat:.4f}, longitude {lon:.4f}", "Click inside it."
        )
    return row, column


def check_cell(grid: xr.DataArray | np.ndarray, row: int, column: int) -> None:
    """Refuses a cell that a grid (…, y, x) does not have.

    Raises:
        SceneError: No cell there.
    """
    rows, columns = grid.shape[-2:]
    if not (0 <= row < rows and 0 <= column < columns):
        expected = f"a cell in rows 0–{rows - 1}, columns 0–{columns - 1}"
        raise SceneError.of(expected, f"row {row}, column {column}", "Choose one inside.")


def cell_bounds(grid: xr.DataArray, row: int, column: int) -> Bounds:
    """Outer edges of one cell in the CRS of its grid (…, y, x)."""
    left, bottom, right, top = grid.rio.bounds()
    rows, columns = grid.shape[-2:]
    width, height = (right - left) / columns, (top - bottom) / rows
    return left + column * width, top - (row + 1) * height, left + (column + 1) * width, top - row * height
