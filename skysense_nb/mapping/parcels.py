"""Features of parcels: means over the cells of each polygon, summed up chunk by chunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import geometry_mask
from shapely import Polygon

from skysense_nb.errors import DatasetError

if TYPE_CHECKING:
    import geopandas

    from skysense_nb.mapping.store import EmbeddingStore


def parcel_means(store: EmbeddingStore, parcels: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Mean features of the cells in each parcel.

    A cell belongs to every parcel that contains its middle; one whose middle lies on a border exactly, to one of the
    two or to both. Memory is that of one chunk and of the result.

    Args:
        store: Where the features are.
        parcels: Polygons in any CRS; they may overlap and reach beyond the store.

    Returns:
        The same rows and columns, and `cells` (with features, in the parcel), `seen` (share of the parcel that
        these stand for, 0–1; less where it reaches beyond the store or into gaps) and `f0`, `f1`, … (float32; NaN
        without a cell).

    Raises:
        DatasetError: No CRS, something else than valid polygons, or columns of these names.

    Example:
        >>> store.parcels(geopandas.read_file("fields.gpkg"))[["cells", "seen", "f0"]]      # doctest: +SKIP
    """
    import pandas as pd

    names = [f"f{number}" for number in range(store.width)]
    check_parcels(parcels, {"cells", "seen", *names})
    shapes = parcels.geometry.to_crs(store.crs).to_numpy()
    total = np.zeros((len(shapes), store.width))
    inside, cells = np.zeros(len(shapes), int), np.zeros(len(shapes), int)
    tree = shapely.STRtree(shapes)
    for rows, columns in store.blocks():
        grid = store.grid[rows, columns]
        numbers = np.sort(tree.query(shapely.box(*grid.boundingbox.bbox), predicate="intersects"))
        values = store.read(rows, columns) if len(numbers) else None
        for number in numbers:
            at, mask = cells_within(shapes[number], grid)
            found = values[:, *at][:, mask]  # D n
            there = np.isfinite(found).all(0)
            total[number] += found[:, there].sum(1, dtype="float64")
            inside[number] += mask.sum()
            cells[number] += there.sum()
    means = np.divide(total, cells[:, None], out=np.full_like(total, np.nan), where=cells[:, None] > 0)
    area, within = (shapely.area(some) for some in (shapes, on_the_ground_of(store.grid, shapes)))
    covered = np.divide(within, area, out=np.zeros(len(shapes)), where=area > 0)
    seen = np.divide(cells, inside, out=np.zeros(len(shapes)), where=inside > 0) * covered
    features = pd.DataFrame(means.astype("float32"), columns=names)
    features.insert(0, "seen", seen)
    features.insert(0, "cells", cells)
    table = parcels.reset_index(drop=True).join(features).set_axis(parcels.index)
    table.attrs = parcels.attrs | store.provenance
    return table


def cells_within(shape: Polygon, grid: GeoBox) -> tuple[tuple[slice, slice], np.ndarray]:
    """The rows and columns of a grid that a polygon reaches, and which of these cells have their middle in it."""
    corners = shapely.get_coordinates(shapely.box(*shape.bounds))
    columns, rows = ~grid.affine @ (corners[:, 0], corners[:, 1])
    at = tuple(
        slice(min(max(int(np.floor(edge.min())), 0), side), min(max(int(np.ceil(edge.max())), 0), side))
        for edge, side in zip((rows, columns), grid.shape, strict=True)
    )
    size = tuple(edge.stop - edge.start for edge in at)
    if 0 in size:
        return at, np.zeros(size, bool)
    return at, geometry_mask([shape], size, grid[at].affine, invert=True)


def on_the_ground_of(grid: GeoBox, shapes: np.ndarray) -> np.ndarray:
    """The parts of shapes that lie on a grid."""
    frame = shapely.box(*grid.boundingbox.bbox)
    shapely.prepare(frame)
    reaching = ~shapely.contains_properly(frame, shapes)
    cut = shapes.copy()
    cut[reaching] = shapely.intersection(shapes[reaching], frame)
    return cut


def check_parcels(parcels: geopandas.GeoDataFrame, names: set[str]) -> None:
    """Refuses tables whose means could not be told, or would hide a column."""
    if parcels.crs is None:
        raise DatasetError.of("parcels with a CRS", "none", "Set it: parcels.set_crs('EPSG:…').")
    kinds = set(parcels.geometry.geom_type.dropna()) - {"Polygon", "MultiPolygon"}
    if kinds or parcels.geometry.isna().any():
        fix = "Keep the polygons: parcels[parcels.geom_type == 'Polygon']."
        raise DatasetError.of("polygons", ", ".join(sorted(kinds)) or "rows without geometry", fix)
    if not parcels.is_valid.all():
        row = parcels.index[~parcels.is_valid][0]
        fix = "Repair them: parcels.assign(geometry=parcels.make_valid())."
        raise DatasetError.of("polygons that do not cross themselves", f"one that does (row {row})", fix)
    if there := sorted(names & set(parcels.columns)):
        raise DatasetError.of("parcels without columns for features", ", ".join(there), "Rename or drop these.")
