"""Labelled cells and the map made of them on disk: points in a GeoPackage, rasters as cloud-optimised GeoTIFF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import xarray as xr

from skysense_nb.errors import DatasetError, writable
from skysense_nb.tasks.few_clicks import Click

NOTHING = 255
"""In the class map: no class. It is the file's nodata value."""

COLUMNS = ("class", "class_id", "held_out", "row", "column")
"""Of the table of points."""


def write_clicks(path: Path, clicks: Sequence[Click], classes: Sequence[str], like: xr.DataArray) -> None:
    """Writes the middles of clicked cells as points of a new GeoPackage.

    Args:
        path: Ends in `.gpkg`.
        clicks: At least one.
        classes: Names in the order of labels.
        like: A raster (…, y, x) with a CRS whose cells were clicked.

    Raises:
        DatasetError: No clicks, or a file that exists.
    """
    import geopandas

    if not clicks:
        raise DatasetError.of("clicks to write", "none", "Click first.")
    if Path(path).exists():
        raise DatasetError.of(f"a new file at {path}", "one that exists", "Choose another, or delete it.")
    rows, columns, labels, held_out = (list(values) for values in zip(*clicks, strict=True))
    x, y = like.rio.transform() @ (np.array(columns) + 0.5, np.array(rows) + 0.5)
    table = {"class": [classes[label] for label in labels], "class_id": labels, "held_out": held_out}
    table |= {"row": rows, "column": columns}
    points = geopandas.GeoDataFrame(table, geometry=geopandas.points_from_xy(x, y), crs=like.rio.crs)
    with TemporaryDirectory(dir=Path(path).parent, prefix=".clicks-") as beside:
        whole = Path(beside) / "clicks.gpkg"
        points.to_file(whole, layer="clicks", driver="GPKG", engine="pyogrio")
        whole.rename(path)


def read_clicks(
    path: str | Path, like: xr.DataArray | None = None, classes: Sequence[str] | None = None
) -> tuple[list[Click], list[str]]:
    """Reads clicks back, to go on with them.

    Args:
        path: GeoPackage of `write_clicks`, or its folder.
        like: A raster to find the points on, whatever its grid and CRS; without it the rows and columns as written.
        classes: Names in the order wanted; without it in the order written.

    Returns:
        Clicks in the order written, and the names of the classes; a class without clicks, before the last one that
        has any, is called by its number.

    Raises:
        DatasetError: Nothing there, another table, a class that is not among `classes`, a point outside `like`.

    Example:
        >>> clicks, classes = read_clicks("labels/clicks.gpkg")      # doctest: +SKIP
    """
    import geopandas
    from pyogrio.errors import DataLayerError, DataSourceError

    path = Path(path) / "clicks.gpkg" if Path(path).is_dir() else Path(path)
    try:
        points = geopandas.read_file(path, layer="clicks", engine="pyogrio")
    except (DataSourceError, DataLayerError) as error:
        raise DatasetError.of(f"clicks in a GeoPackage at {path}", str(error), "Check the path.") from error
    if missing := [name for name in COLUMNS if name not in points]:
        raise DatasetError.of(f"columns {', '.join(COLUMNS)}", f"no {', '.join(missing)}", "Read a file of clicks.")
    if points.empty:
        raise DatasetError.of(f"clicks in {path}", "an empty table", "Read another file.")
    named = dict(zip(points["class_id"].astype(int), points["class"], strict=True))
    names = [named.get(number, f"class {number}") for number in range(max(named) + 1)] if classes is None else classes
    if unknown := sorted(set(points["class"]) - set(names)):
        raise DatasetError.of(f"classes among {', '.join(names)}", ", ".join(unknown), "Name these classes too.")
    rows, columns = points["row"].to_numpy(), points["column"].to_numpy()
    if like is not None:
        places = points.geometry.to_crs(like.rio.crs)
        over, down = ~like.rio.transform() @ (places.x.to_numpy(), places.y.to_numpy())
        rows, columns = np.floor(down), np.floor(over)
        outside = (rows < 0) | (rows >= like.shape[-2]) | (columns < 0) | (columns >= like.shape[-1])
        if outside.any():
            raise DatasetError.of(
                "clicks on this place", f"{outside.sum()} outside", "Open the place that was clicked."
            )
    told = zip(rows, columns, points["class"], points["held_out"], strict=True)
    clicks = [Click(int(row), int(column), list(names).index(name), bool(held)) for row, column, name, held in told]
    return clicks, list(names)


def save_map(
    folder: str | Path,
    clicks: Sequence[Click],
    probabilities: np.ndarray,
    classes: Sequence[str],
    colours: np.ndarray,
    like: xr.DataArray,
) -> list[Path]:
    """Writes `clicks.gpkg`, `classes.tif` and `confidence.tif` into a new folder, all or nothing.

    Both rasters are cloud-optimised GeoTIFF. Classes are bytes with a colour table and names in the tags `class_0` …;
    255 is no class. Confidence is the probability of the best class, 0–1, as 32-bit numbers.

    Args:
        folder: Must not exist.
        clicks: At least one.
        probabilities: K h w, NaN where there is no class.
        classes: K names.
        colours: K 3, 0–1.
        like: A raster (…, h, w) with a CRS.

    Returns:
        The three files.

    Raises:
        DatasetError: The folder exists or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise DatasetError.of(f"a new folder at {folder}", "one that exists", "Choose another, or delete it.")
    best = np.where(np.isfinite(probabilities).all(0), np.nan_to_num(probabilities).argmax(0), NOTHING).astype("uint8")
    parent = folder.parent
    with writable(parent, DatasetError), TemporaryDirectory(dir=parent, prefix=f".{folder.name}-") as beside:
        whole = Path(beside) / "map"
        whole.mkdir()
        write_clicks(whole / "clicks.gpkg", clicks, classes, like)
        table = {number: (*np.round(255 * rgb).astype(int).tolist(), 255) for number, rgb in enumerate(colours)}
        tags = {f"class_{number}": name for number, name in enumerate(classes)}
        write_raster(whole / "classes.tif", best, like, NOTHING, tags, table)
        write_raster(whole / "confidence.tif", probabilities.max(0).astype("float32"), like, np.nan, {})
        whole.rename(folder)
    return sorted(folder.iterdir())


def write_raster(
    path: Path, values: np.ndarray, like: xr.DataArray, nodata: float, tags: dict[str, str], table: dict | None = None
) -> None:
    """One band, h w, as a cloud-optimised GeoTIFF on the ground of `like`; `table` has a colour per value."""
    import rasterio

    height, width = values.shape
    where = {"crs": like.rio.crs, "transform": like.rio.transform(), "height": height, "width": width}
    kind = {"driver": "COG", "count": 1, "dtype": values.dtype.name, "nodata": nodata, "compress": "deflate"}
    with rasterio.open(path, "w", overview_resampling="nearest", **where, **kind) as file:
        file.write(values, 1)
        file.update_tags(1, **tags)
        if table:
            file.write_colormap(1, table)
