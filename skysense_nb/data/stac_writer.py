"""A scene as a STAC catalogue of cloud-optimised GeoTIFFs, as archives of Sentinel images keep them.

The files follow the customs of the source `planetary_computer`: its collections and asset keys, Sentinel-2 as
whole numbers with zero for gaps and the offset of newer baselines, Sentinel-1 as linear power.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pystac
import rasterio
import xarray as xr
from rasterio.warp import transform_bounds

from skysense_nb.data.catalog import RemoteSource, entries
from skysense_nb.data.scene import bounds, geobox, modalities
from skysense_nb.data.scene_classification import CLEAR_CLASSES, CLOUD
from skysense_nb.errors import SceneError
from skysense_nb.sensors import S2_OFFSET

CUSTOMS = "planetary_computer"
POWER_GAP = -32768.0
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"


def write_stac(scene: xr.DataTree, folder: str | Path, baseline: str | Sequence[str] = "05.09") -> Path:
    """Writes the Sentinel images of a scene as a static catalogue that `scene_from_stac` and others read.

    Args:
        scene: Scene with `s2` or `s1`; `hr` and labels are left out.
        folder: Of the catalogue; it must be empty or not there.
        baseline: Processing baseline that Sentinel-2 items state, one for all dates or one each. From 04.00 on
            values are stored 1000 too high, as in the archives.

    Returns:
        Path of `catalog.json`. Paths inside are relative, so the folder can be moved and served.

    Raises:
        SceneError: No Sentinel image, a folder that holds something, or baselines that do not fit the dates.

    Example:
        >>> write_stac(place, "stac")                    # doctest: +SKIP
    """
    folder, custom = Path(folder).resolve(), entries("sources")[CUSTOMS]
    names = [name for name in modalities(scene) if name in custom.collections]
    if not names:
        raise SceneError.of("a scene with s2 or s1", ", ".join(modalities(scene)), "Add one.")
    if folder.exists() and any(folder.iterdir()):
        raise SceneError.of(f"an empty folder at {folder}", "files in it", "Choose another; nothing was touched.")
    catalogue = pystac.Catalog("scene", "Sentinel images of one place")
    for name in names:
        times = pd.DatetimeIndex(scene[name]["time"].values)
        stated = [baseline] * len(times) if isinstance(baseline, str) else list(baseline)
        if name == "s2" and len(stated) != len(times):
            raise SceneError.of(f"{len(times)} baselines, one per date", f"{len(stated)}", "Pass one, or one each.")
        if name == "s2" and not all(re.fullmatch(r"\d\d\.\d\d", one) for one in stated):
            raise SceneError.of("baselines such as 05.09", repr(baseline), "Write them as the archives do.")
        items = [
            write_item(scene[name].to_dataset(), name, index, stated[index] if name == "s2" else "", folder, custom)
            for index in range(len(times))
        ]
        space = pystac.SpatialExtent([items[0].bbox])
        time = pystac.TemporalExtent([[times.min().to_pydatetime(), times.max().to_pydatetime()]])
        collection = pystac.Collection(custom.collections[name], f"{name} of one place", pystac.Extent(space, time))
        collection.add_items(items)
        catalogue.add_child(collection)
    catalogue.normalize_hrefs(str(folder))
    catalogue.make_all_asset_hrefs_relative()
    catalogue.save(pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


def write_item(
    node: xr.Dataset, name: str, index: int, baseline: str, folder: Path, custom: RemoteSource
) -> pystac.Item:
    """The files of one date, and the item that lists them."""
    grid, when = geobox(node), pd.Timestamp(node["time"].values[index])
    west, south, east, north = box = transform_bounds(str(grid.crs), "EPSG:4326", *bounds(node).bbox, densify_pts=21)
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    properties = {
        "proj:code": str(grid.crs), "proj:shape": list(grid.shape), "proj:transform": list(grid.transform)[:6],
    }  # fmt: skip
    date = node.isel(time=index)
    if name == "s2":
        clear = float(date["clear"].mean()) if "clear" in date else 1.0
        properties |= {"s2:processing_baseline": baseline, "eo:cloud_cover": round(100 * (1 - clear), 4)}
    item = pystac.Item(
        f"{name}-{when:%Y%m%dT%H%M%S}", {"type": "Polygon", "coordinates": [corners]}, list(box),
        when.to_pydatetime(), properties, stac_extensions=[PROJECTION],
    )  # fmt: skip
    place = folder / custom.collections[name] / item.id  # where normalize_hrefs will put the item
    place.mkdir(parents=True)
    for key, values, gap in stored_bands(date, name, baseline, custom):
        path = place / f"{key}.tif"
        profile = {"driver": "COG", "count": 1, "dtype": values.dtype, "crs": str(grid.crs), "compress": "deflate"}
        height, width = values.shape
        with rasterio.open(
            path, "w", height=height, width=width, transform=grid.transform, nodata=gap, **profile
        ) as file:
            file.write(values, 1)
        about = {"data_type": values.dtype.name, "nodata": gap}
        item.add_asset(key, pystac.Asset(str(path), media_type=pystac.MediaType.COG, extra_fields=about))
    return item


def stored_bands(
    date: xr.Dataset, name: str, baseline: str, custom: RemoteSource
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Asset key, values (y, x) as stored, and the value of gaps: every band, then the scene classification."""
    image = date["image"]
    if name == "s1":
        for band, key in custom.assets[name].items():
            power = 10 ** (image.sel(band=band).values.astype("float64") / 10)
            yield key, np.where(np.isfinite(power), power, POWER_GAP).astype("float32"), POWER_GAP
        return
    raised = -S2_OFFSET if float(baseline) >= 4 else 0
    for band, key in custom.assets[name].items():
        values = image.sel(band=band).values.astype("float64")
        yield key, np.where(np.isfinite(values), values.round() + raised, 0).clip(0, 65535).astype("uint16"), 0
    seen = date["clear"].values if "clear" in date else np.ones(image.shape[-2:], bool)
    classes = np.where(seen, CLEAR_CLASSES[0], CLOUD)
    empty = image.isnull().all("band").values
    yield custom.scene_classification, np.where(empty, 0, classes).astype("uint8"), 0
