"""Embeddings that were mapped once, to ask again and again: one cell, cells alike, parcels; no model is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
import zarr
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

from skysense_nb.errors import ParameterError, SampleError, SceneError
from skysense_nb.mapping.geoparquet import write_cells, write_whole
from skysense_nb.mapping.parcels import parcel_means
from skysense_nb.mapping.ranking import Cells, best_cells, spread_out
from skysense_nb.mapping.writers import open_map

if TYPE_CHECKING:
    import geopandas

PROVENANCE = ("model", "weights", "product", "dates")
"""What a store says about where its features come from; vectors and tables taken from it carry the same."""

INT8_NODATA = -128
POOL = 65_536
"""Best cells that are held while well separated ones are picked among them."""

Block = tuple[slice, slice]


class EmbeddingStore:
    """What `map_scene` wrote with `embedding(…)` and `form="zarr"`, read a block at a time.

    Args:
        path: The Zarr folder.

    Attributes:
        grid: Of its cells, with CRS.
        width: D, features per cell.
        provenance: Model, digest of its weights, product, dates.

    Raises:
        SceneError: Nothing there, or something else.

    Example:
        >>> store = EmbeddingStore("runs/region/embedding.zarr")                            # doctest: +SKIP
        >>> store.search(store.vector(lon=20.59, lat=49.77), count=20, apart_m=200)         # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        fix = 'Pass the .zarr of map_scene(…, embedding(model.width), …, form="zarr").'
        if self.path.suffix != ".zarr" or not self.path.exists():
            raise SceneError.of("an embedding as a Zarr folder", f"{self.path}", fix)
        stored = open_map(self.path)
        told = {name: stored.attrs[name] for name in PROVENANCE if name in stored.attrs}
        if stored.dims != ("feature", "y", "x") or len(told) < len(PROVENANCE):
            got = f"dimensions {stored.dims} and {', '.join(told) or 'nothing'}"
            raise SceneError.of(f"(feature, y, x) and {', '.join(PROVENANCE)} in {self.path}", got, fix)
        self.stored, self.provenance = stored, told
        self.grid: GeoBox = stored.odc.geobox
        self.width = stored.sizes["feature"]
        self.steps = np.array(json.loads(stored.attrs["scale"]), "float32") if stored.dtype == "int8" else None
        self.array = zarr.open_array(self.path / stored.name, mode="r")

    def __repr__(self) -> str:
        rows, columns = self.grid.shape
        return f"EmbeddingStore({rows} × {columns} cells, {self.width} features as {self.array.dtype}, {self.model})"

    @property
    def model(self) -> str:
        """Preset and weights."""
        return self.provenance["model"]

    def blocks(self) -> Iterator[Block]:
        """Rows and columns of each chunk on disk."""
        _, high, wide = self.array.chunks
        rows, columns = self.grid.shape
        for top in range(0, rows, high):
            for left in range(0, columns, wide):
                yield slice(top, min(top + high, rows)), slice(left, min(left + wide, columns))

    def read(self, rows: slice, columns: slice) -> np.ndarray:
        """Features of a block, D h w float32; NaN where no sensor saw the ground."""
        return decoded(self.array[:, rows, columns], self.steps)

    def features(self) -> xr.DataArray:
        """All features, lazily: (feature, y, x) float32 with CRS; NaN where no sensor saw the ground."""
        steps = self.steps
        values = self.stored.data.map_blocks(lambda part: decoded(part, steps), dtype="float32")
        return self.told(self.stored.copy(data=values).rename("features"))

    def vector(
        self, lon: float | None = None, lat: float | None = None, *, x: float | None = None, y: float | None = None
    ) -> xr.DataArray:
        """Features of the cell at a place.

        Args:
            lon: Degrees, with `lat`; or
            lat: Degrees.
            x: In the CRS of the store, with `y`.
            y: In the CRS of the store.

        Returns:
            D float32 values (feature) that know the middle of their cell and the weights they come from.

        Raises:
            SceneError: A place outside, or without features.
            ParameterError: Neither lon and lat nor x and y, or both.
        """
        if (lon is None) != (lat is None) or (x is None) != (y is None) or (lon is None) == (x is None):
            got = f"lon {lon}, lat {lat}, x {x}, y {y}"
            raise ParameterError.of("lon and lat, or x and y", got, "Pass one pair.")
        if x is None:
            x, y = Transformer.from_crs(4326, self.crs, always_xy=True).transform(lon, lat)
        over, down = ~self.grid.affine @ (x, y)
        rows, columns = self.grid.shape
        if not (0 <= over < columns and 0 <= down < rows):
            left, bottom, right, top = self.grid.boundingbox.bbox
            there = f"x {left:.0f} to {right:.0f} and y {bottom:.0f} to {top:.0f} in {self.grid.crs}"
            raise SceneError.of(there, f"x {x:.0f}, y {y:.0f}", "Choose a place inside.")
        row, column = int(down), int(over)
        values = self.read(slice(row, row + 1), slice(column, column + 1))[:, 0, 0]
        if not np.isfinite(values).all():
            raise SceneError.of("a cell with features", f"none at row {row}, column {column}", "Choose another cell.")
        x, y = self.grid.affine @ (column + 0.5, row + 0.5)
        coords = {"feature": self.stored["feature"].values, "x": x, "y": y}
        return xr.DataArray(values, coords, ("feature",), attrs=dict(self.provenance))

    def similarity(self, vector: xr.DataArray | np.ndarray) -> xr.DataArray:
        """Cosine similarity of every cell with a vector, lazily: (y, x) float32 with CRS, NaN where there is none.

        Args:
            vector: D features of this model, such as `vector(…)` or a mean of several.

        Raises:
            SampleError: Another number of features, no direction, or a vector from other weights.
        """
        like, steps = self.direction(vector), self.steps
        empty = np.empty((0, 0), "float32")
        values = self.stored.data.map_blocks(
            lambda part: cosine(decoded(part, steps), like), drop_axis=0, dtype="float32", meta=empty
        )
        return self.told(self.stored.isel(feature=0, drop=True).copy(data=values).rename("similarity"))

    def search(
        self, vector: xr.DataArray | np.ndarray, *, count: int = 10, apart_m: float = 0.0
    ) -> geopandas.GeoDataFrame:
        """The cells most like a vector, the best first, one chunk in memory at a time.

        With `apart_m`, cells are taken greedily from the best down, each unless it is nearer to one already taken:
        exactly as if all cells were sorted at once, in a few passes over the store if the best ones lie in a crowd.

        Args:
            vector: D features of this model; a vector of this store finds its own cell first.
            count: Cells wanted; fewer come where there are no more.
            apart_m: Least distance between middles of cells, metres of the projection.

        Returns:
            Points with `similarity`, `x`, `y`, `lon`, `lat`, in the CRS of the store.

        Raises:
            SampleError: See `similarity`.
            ParameterError: A count below one, a negative distance.
        """
        if count < 1 or not apart_m >= 0:
            raise ParameterError.of("a count from 1 and a distance from 0", f"{count}, {apart_m}", "Pass such numbers.")
        like, taken = self.direction(vector), Cells.none()
        limit = max(count, POOL) if apart_m else count
        while True:
            blocks = ((block, cosine(self.read(*block), like)) for block in self.blocks())
            pool = best_cells(blocks, limit, taken, apart_m, self.step_m)
            taken = taken.and_then(spread_out(pool, count - len(taken), apart_m, self.step_m))
            if len(taken) == count or len(pool) < limit:
                return self.points(taken)

    def points(self, cells: Cells) -> geopandas.GeoDataFrame:
        """Middles of cells with their similarity."""
        import geopandas

        x, y = self.grid.affine @ (cells.columns + 0.5, cells.rows + 0.5)
        lon, lat = Transformer.from_crs(self.crs, 4326, always_xy=True).transform(x, y)
        table = {"similarity": cells.similarity, "x": x, "y": y, "lon": lon, "lat": lat}
        found = geopandas.GeoDataFrame(table, geometry=geopandas.points_from_xy(x, y), crs=self.crs)
        found.attrs = dict(self.provenance)
        return found

    def parcels(self, parcels: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
        """Mean features of parcels, one chunk in memory at a time; see `parcels.parcel_means`."""
        return parcel_means(self, parcels)

    def to_geoparquet(self, path: str | Path, parcels: geopandas.GeoDataFrame | None = None) -> Path:
        """Writes a GeoParquet table with one row per parcel, or per cell with features; whole or not at all.

        Features are plain number columns `f0`, `f1`, …: GDAL and QGIS, R, DuckDB and pandas read, map and filter
        these as they are, where a column of lists has to be taken apart first. Provenance comes back in
        `geopandas.read_parquet(path).attrs`.

        Args:
            path: Ends in .parquet.
            parcels: Polygons; without them each cell is a row, a point in its middle.

        Raises:
            DatasetError: The file exists, its name does not end in .parquet, or it cannot be written.
        """

        def write(unfinished: Path) -> None:
            if parcels is None:
                write_cells(self, unfinished)
            else:
                self.parcels(parcels).to_parquet(unfinished)

        return write_whole(path, write)

    def told(self, values: xr.DataArray) -> xr.DataArray:
        """An array on the grid, with CRS and provenance and nothing of how it is stored."""
        values.attrs, values.encoding = dict(self.provenance), {}
        return values.rio.write_crs(str(self.grid.crs))

    @property
    def crs(self) -> CRS:
        """Of the grid."""
        return CRS.from_user_input(str(self.grid.crs))

    @property
    def step_m(self) -> tuple[float, float]:
        """From one row, and from one column, to the next, metres; in degrees as long as in the middle of the store."""
        step = self.grid.resolution
        if not self.crs.is_geographic:
            unit = self.crs.axis_info[0].unit_conversion_factor
            return abs(step.y) * unit, abs(step.x) * unit
        left, bottom, right, top = self.grid.boundingbox.bbox
        lon, lat = (left + right) / 2, (bottom + top) / 2
        _, _, (down, over) = Geod(ellps="WGS84").inv([lon, lon], [lat, lat], [lon, lon + step.x], [lat + step.y, lat])
        return down, over

    def direction(self, vector: xr.DataArray | np.ndarray) -> np.ndarray:
        """A vector that can be compared with this store, of length one."""
        weights = vector.attrs.get("weights") if isinstance(vector, xr.DataArray) else None
        if weights not in (None, self.provenance["weights"]):
            fix = "Features of other weights point elsewhere, whatever they show: map both places with one model."
            ours, other = (
                f"{told.get('model', 'a model')} ({told['weights']})" for told in (self.provenance, vector.attrs)
            )
            raise SampleError.of(f"a vector of {ours}", f"one of {other}", fix)
        values = np.asarray(vector, "float32")
        if values.shape != (self.width,):
            raise SampleError.of(f"{self.width} features", f"shape {values.shape}", "Take a vector of this model.")
        length = np.linalg.norm(values)
        if not (np.isfinite(length) and length > 0):
            raise SampleError.of("a vector with a direction", f"one of length {length}", "Choose another cell.")
        return values / length


def decoded(stored: np.ndarray, steps: np.ndarray | None) -> np.ndarray:
    """Stored values D h w as float32, NaN where there are none.

    Example:
        >>> decoded(np.array([[[2, -128]]], "int8"), np.array([0.5], "float32")).tolist()
        [[[1.0, nan]]]
    """
    if steps is None:
        return stored.astype("float32")
    return np.where(stored == INT8_NODATA, np.float32(np.nan), stored * steps[:, None, None])


def cosine(values: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Cosine similarity of D h w with D values of length one, h w; NaN without features or direction.

    Example:
        >>> cosine(np.array([[[3.0, 0.0]], [[4.0, 0.0]]], "float32"), np.array([1.0, 0.0], "float32")).tolist()
        [[0.6000000238418579, nan]]
    """
    length = np.sqrt(np.einsum("dhw,dhw->hw", values, values))
    along = np.tensordot(direction, values, 1)
    return np.clip(np.divide(along, length, out=np.full_like(along, np.nan), where=length > 0), -1, 1)
