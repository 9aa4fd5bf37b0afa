"""Tables of cells and parcels as GeoParquet, written row group by row group, whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import shapely

from skysense_nb.errors import DatasetError, writable

if TYPE_CHECKING:
    import pyarrow

    from skysense_nb.mapping.store import EmbeddingStore


def write_whole(path: str | Path, write: Callable[[Path], object]) -> Path:
    """Lets `write` fill a file beside `path`, and gives it its name once it is whole.

    Raises:
        DatasetError: The file exists, its name does not end in .parquet, or it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        raise DatasetError.of("a name that ends in .parquet", repr(path.name), "Name it parcels.parquet, for example.")
    if path.exists():
        raise DatasetError.of(f"a new file at {path}", "one that exists", "Choose another name, or delete it.")
    with writable(path.parent, DatasetError), TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as beside:
        unfinished = Path(beside) / path.name
        write(unfinished)
        unfinished.rename(path)
    return path


def write_cells(store: EmbeddingStore, path: Path) -> None:
    """One row per cell with features: the middle of the cell, its row and column on the grid, and the features."""
    import pyarrow.parquet

    schema = cell_schema(store)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as file:
        for rows, columns in store.blocks():
            values = store.read(rows, columns)
            row, column = np.nonzero(np.isfinite(values).all(0))
            if not len(row):
                continue
            x, y = store.grid.affine @ (column + columns.start + 0.5, row + rows.start + 0.5)
            table = [row + rows.start, column + columns.start, *values[:, row, column]]
            file.write_table(pyarrow.table([*table, shapely.to_wkb(shapely.points(x, y))], schema=schema))


def cell_schema(store: EmbeddingStore) -> pyarrow.Schema:
    """Columns of a table of cells, with what GeoParquet 1.1 says about the geometry and pandas about provenance."""
    import pyarrow

    features = [(f"f{number}", pyarrow.float32()) for number in range(store.width)]
    columns = [("row", pyarrow.int32()), ("column", pyarrow.int32()), *features, ("geometry", pyarrow.binary())]
    geometry = {
        "encoding": "WKB", "geometry_types": ["Point"], "crs": store.crs.to_json_dict(),
        "bbox": list(store.grid.boundingbox.bbox),
    }  # fmt: skip
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": geometry}}
    return pyarrow.schema(columns, {"geo": json.dumps(geo), "PANDAS_ATTRS": json.dumps(store.provenance)})
