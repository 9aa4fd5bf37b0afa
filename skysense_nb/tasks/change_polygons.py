"""From a map of change scores to polygons on the ground, and into a file."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr
from pyproj import CRS, Geod, Transformer
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import shape

from skysense_nb.errors import DatasetError, SceneError, writable

if TYPE_CHECKING:
    import geopandas

SLACK = 0.005
"""Polygons may be smaller than the least area by this share: four cells of 100 m² count as 400 m² although a UTM cell
covers up to 0.2 % more or less of the ground."""


def changed_areas(score: xr.DataArray, threshold: float, least_area_m2: float = 0.0) -> np.ndarray:
    """Numbers the connected areas of change, the largest 1; cells that touch at a corner only are not connected.

    Args:
        score: 0–1 (y, x) with a CRS; NaN is no change.
        threshold: Least score of change.
        least_area_m2: Smaller areas are left out.

    Returns:
        Number per cell (y, x) int32, 0 without change.

    Example:
        >>> score = xr.DataArray([[1.0, 0.0], [1.0, 0.0]], dims=("y", "x"), coords={"y": [15.0, 5.0], "x": [5.0, 15.0]})
        >>> changed_areas(score.rio.write_crs("EPSG:32633"), 0.5).tolist()
        [[1, 0], [1, 0]]
    """
    marks, count = ndimage.label(np.asarray(score) >= threshold)
    if count == 0:
        return marks.astype("int32")
    cells = np.broadcast_to(cell_areas_m2(score)[:, None], score.shape)
    areas = ndimage.sum_labels(cells, marks, np.arange(1, count + 1))
    order = np.argsort(-areas, kind="stable")
    kept = order[areas[order] >= least_area_m2 * (1 - SLACK)]
    numbers = np.zeros(count + 1, "int32")
    numbers[kept + 1] = np.arange(1, len(kept) + 1)
    return numbers[marks]


def change_polygons(score: xr.DataArray, threshold: float, least_area_m2: float = 0.0) -> geopandas.GeoDataFrame:
    """Outlines the areas of change, the largest first.

    Args:
        score: 0–1 (y, x) with a CRS; NaN is no change.
        threshold: Least score of change.
        least_area_m2: Smaller areas are left out.

    Returns:
        Polygons in the CRS of the score with `score` (mean of their cells) and `area_m2` (on the WGS 84 ellipsoid,
        whatever the projection).

    Raises:
        SceneError: A score without axes y and x or without a CRS.

    Example:
        >>> score = xr.DataArray([[1.0, 0.0], [1.0, 0.0]], dims=("y", "x"), coords={"y": [15.0, 5.0], "x": [5.0, 15.0]})
        >>> change_polygons(score.rio.write_crs("EPSG:32633"), 0.5).geometry[0].area
        200.0
    """
    check_score(score)
    return outlined(score, changed_areas(score, threshold, least_area_m2))


def outlined(score: xr.DataArray, marks: np.ndarray) -> geopandas.GeoDataFrame:
    """Outlines numbered areas (y, x) of a score, in the order of their numbers; see `change_polygons`."""
    import geopandas

    numbers = np.arange(1, marks.max(initial=0) + 1)
    cells = np.broadcast_to(cell_areas_m2(score)[:, None], score.shape)
    found = {number: shape(ring) for ring, number in shapes(marks, marks > 0, 4, score.rio.transform())}
    columns = {
        "score": ndimage.mean(np.asarray(score, "float64"), marks, numbers) if len(numbers) else [],
        "area_m2": ndimage.sum_labels(cells, marks, numbers) if len(numbers) else [],
    }
    geometry = [found[number] for number in numbers]
    return geopandas.GeoDataFrame(columns, geometry=geometry, crs=score.rio.crs).astype(dict.fromkeys(columns, float))


def cell_areas_m2(raster: xr.DataArray) -> np.ndarray:
    """Area of one cell of each row (y) on the WGS 84 ellipsoid, in m²; of a raster (…, y, x) with a CRS."""
    left, bottom, right, top = raster.rio.bounds()
    rows, columns = raster.shape[-2:]
    edges, along = np.linspace(top, bottom, rows + 1), np.linspace(left, right, 9)
    to_lonlat = Transformer.from_crs(CRS.from_user_input(raster.rio.crs), 4326, always_xy=True)
    lon, lat = to_lonlat.transform(*np.meshgrid(along, edges))
    globe = Geod(ellps="WGS84")
    strips = [
        globe.polygon_area_perimeter(np.r_[lon[row], lon[row + 1, ::-1]], np.r_[lat[row], lat[row + 1, ::-1]])[0]
        for row in range(rows)
    ]
    return np.abs(strips) / columns


def save_polygons(polygons: geopandas.GeoDataFrame, path: str | Path) -> Path:
    """Writes polygons as a GeoPackage, whole or not at all.

    Raises:
        DatasetError: The file exists or cannot be written, or its name does not end in .gpkg.
    """
    path = Path(path)
    if path.suffix != ".gpkg":
        raise DatasetError.of("a name that ends in .gpkg", repr(path.name), "Name it change.gpkg, for example.")
    if path.exists():
        raise DatasetError.of(f"a new file at {path}", "one that exists", "Choose another name, or delete it.")
    with writable(path.parent, DatasetError), TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as beside:
        whole = Path(beside) / path.name
        polygons.to_file(whole, layer=path.stem, driver="GPKG", engine="pyogrio", geometry_type="Polygon")
        whole.rename(path)
    return path


def check_score(score: xr.DataArray) -> None:
    """Refuses what is no map of scores with a place."""
    if not isinstance(score, xr.DataArray) or score.dims != ("y", "x"):
        got = str(score.dims) if isinstance(score, xr.DataArray) else type(score).__name__
        raise SceneError.of("a score as DataArray (y, x)", got, "Copy it from a raster: image[0, 0].copy(data=score).")
    if score.rio.crs is None:
        raise SceneError.of("a score with a CRS", "none", "Write it: score.rio.write_crs('EPSG:…').")
    low, high = float(score.min()), float(score.max())
    if not (low >= 0 and high <= 1):
        raise SceneError.of("scores 0–1", f"{low:.3g} to {high:.3g}", "Pass probabilities, not logits.")
