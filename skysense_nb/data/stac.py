"""From an area and a period to a scene: Sentinel-2 and Sentinel-1 of any STAC catalogue on one grid, read lazily."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import odc.stac
import pandas as pd
import pystac
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from skysense_nb.data.areas import Area, degrees, ground_grid, named_bounds, read_period
from skysense_nb.data.catalog import RemoteSource, entries
from skysense_nb.data.rasters import to_db, undo_offset
from skysense_nb.data.remote_files import ImageDriver
from skysense_nb.data.scene import build
from skysense_nb.data.scene_classification import clear_of
from skysense_nb.data.stac_search import find_source, moment, search, words_for_failures
from skysense_nb.errors import ParameterError, SceneError
from skysense_nb.sensors import SENSORS

READABLE = ("s2", "s1")
FIRST_BASELINE_WITH_OFFSET = 4.0


@dataclass(frozen=True)
class Layout:
    """How pixels are laid out.

    Attributes:
        grid: Grid of all sensors.
        lon: Longitude of its middle, degrees: where the day begins.
        resampling: Where the grid of a file differs.
        chunks: Edge of the pieces that are read on demand, pixels.
    """

    grid: GeoBox
    lon: float
    resampling: str
    chunks: int


def scene_from_stac(
    area: Area,
    period: str | tuple[str, str],
    *,
    source: str | Path | RemoteSource | Mapping[str, str | Path | RemoteSource] = "planetary_computer",
    modalities: Sequence[str] = READABLE,
    max_cloud: float = 60.0,
    like: str = "planetary_computer",
    offset: bool | None = None,
    resampling: str = "nearest",
    chunks: int = 1024,
) -> xr.DataTree:
    """Finds the images of an area and a period and lays them on one grid of 10 m as a scene.

    All sensors share the grid of the UTM zone in which the middle of the area lies, with edges on whole
    multiples of 10 m; images of neighbouring zones are reprojected. Items of one solar day become one date,
    where the first that measured a pixel counts, newest processing first. Sentinel-2 carries the mask
    `clear` where the source has a scene classification. Nothing but the catalogue is read until something
    asks for pixels: choose dates with `isel(time=…)` first, keep them with `scene.sky.save`. Signed addresses
    hold for about an hour; call again for new ones.

    Args:
        area: West, south, east, north in degrees; the name of an area in `data_catalog/areas`; or a grid, which
            is taken as it is if its pixels are 10 m in a projection, otherwise for its extent.
        period: First and last day, `("2023-03-01", "2023-10-31")` or `"2023-03-01/2023-10-31"`, or one day,
            month or year: `"2023-06"`. UTC, ends included.
        source: Name of a source in `data_catalog/sources`, address or path of any STAC catalogue, or a
            `RemoteSource` that describes it. A dictionary gives each modality its own.
        modalities: Among `s2` and `s1`.
        max_cloud: Largest cloud cover of a whole Sentinel-2 tile, percent.
        like: For an address or path, the known source whose collections, asset keys and units it shares.
        offset: Whether Sentinel-2 values are stored 1000 too high. By default each item says so itself.
        resampling: Where grids differ; `nearest` keeps every value as it was measured.
        chunks: Edge of the pieces that are read on demand, pixels.

    Returns:
        A scene; `attrs["items"]` of a modality counts its items and `attrs["source"]` is where they are from.

    Raises:
        ParameterError: An unknown source, modality or area, or a period upside down.
        EnvironmentProblem: The catalogue does not answer. Call again.
        SceneError: Nothing found, radar that cannot become dB, a file that a catalogue must not name.

    Example:
        >>> place = scene_from_stac("beauce", "2023", max_cloud=20)          # doctest: +SKIP
        >>> place["s2"].sizes["time"]                                        # doctest: +SKIP
    """
    if not modalities or isinstance(modalities, str) or set(modalities) - set(READABLE):
        raise ParameterError.of(f"modalities among {READABLE}", repr(modalities), "Name one or both in a tuple.")
    if isinstance(source, Mapping) and set(modalities) - set(source):
        raise ParameterError.of(f"a source for each of {', '.join(modalities)}", ", ".join(source), "Add the others.")
    if resampling not in Resampling.__members__:
        raise ParameterError.of("a resampling that rasterio knows", repr(resampling), "nearest and bilinear are some.")
    grid, span = ground_grid(area), read_period(period)
    bounds = degrees(grid) if isinstance(area, GeoBox) else named_bounds(area)
    layout = Layout(grid, (bounds[0] + bounds[2]) / 2, resampling, chunks)
    sources = {name: find_source(source[name] if isinstance(source, Mapping) else source, like) for name in modalities}
    check_units(sources)
    images, clear = {}, {}
    for name, place in sources.items():
        items = search(place, name, bounds, span, max_cloud if name == "s2" else np.inf)
        series = read_series(name, items, place, layout, offset)
        images[name] = series["image"].assign_attrs(source=place.address, items=len(items))
        if "scene_classification" in series:
            clear[name] = clear_of(series["scene_classification"])
    return build(**images, clear=clear)


def check_units(sources: dict[str, RemoteSource]) -> None:
    """Refuses a source without the sensor, and radar that cannot become the dB the encoder was trained on."""
    for name, source in sources.items():
        if name not in source.collections:
            have = ", ".join(source.collections)
            raise ParameterError.of(f"a source with {name}", f"{source.name} with {have}", "Choose another.")
    if "s1" in sources and sources["s1"].s1_unit == "amplitude":
        better = [name for name, known in entries("sources").items() if known.s1_unit != "amplitude"]
        fix = f"Take radar from {' or '.join(better)}: source={{'s2': …, 's1': '{better[0]}'}}, or modalities=('s2',)."
        got = f"amplitudes as detected in {sources['s1'].name}, which cannot become dB"
        raise SceneError.of("calibrated and terrain-corrected radar (RTC)", got, fix)


def read_series(
    name: str, items: list[pystac.Item], source: RemoteSource, layout: Layout, offset: bool | None
) -> xr.Dataset:
    """Image (time, band, y, x) and, where there is one, scene classification (time, y, x) of one sensor, lazily.

    Items that carry the offset and items that do not are read apart, corrected, and only then put together,
    so that they may even lie side by side on one date.
    """
    groups: dict[bool, list[pystac.Item]] = {}
    for item in sorted(items, key=baseline, reverse=True):
        carries = name == "s2" and (carries_offset(item) if offset is None else offset)
        groups.setdefault(carries, []).append(item)
    whole = None
    for carries, group in groups.items():
        with words_for_failures(source.address):
            part = read_items(name, group, source, layout)
        if carries:
            part["image"] = undo_offset(part["image"], since="1970-01-01")
        whole = part if whole is None else whole.combine_first(part)
    if name == "s1" and source.s1_unit == "power":
        whole["image"] = to_db(whole["image"])
    begins: dict[pd.Timestamp, pd.Timestamp] = {}
    for item in items:
        begins.setdefault(solar_day(item, layout.lon), moment(item))
    dates = pd.DatetimeIndex([begins[pd.Timestamp(day)] for day in whole["time"].values])
    whole = whole.assign_coords(time=dates.astype("datetime64[ns]"))
    bands = list(SENSORS[name].bands)
    whole["image"] = whole["image"].astype("float32").sel(band=bands).transpose("time", "band", "y", "x")
    return whole.rio.write_crs(str(layout.grid.crs))


def read_items(name: str, items: list[pystac.Item], source: RemoteSource, layout: Layout) -> xr.Dataset:
    """Stored values of items that are alike, one date per solar day, gaps as NaN."""
    keys = source.assets[name]
    classes = source.scene_classification if name == "s2" else ""
    stored = odc.stac.load(
        items,
        bands=[*keys.values(), *([classes] if classes else [])],
        geobox=layout.grid,
        groupby=lambda item, parsed, index: solar_day(item, layout.lon),
        preserve_original_order=True,
        chunks={"x": layout.chunks, "y": layout.chunks},
        driver=ImageDriver(),
        resampling={"*": layout.resampling} | ({classes: "nearest"} if classes else {}),
        **({"dtype": "uint16", "nodata": 0} if name == "s2" else {"dtype": "float32"}),
    )
    days = sorted({solar_day(item, layout.lon) for item in items})
    stored = stored.assign_coords(time=pd.DatetimeIndex(days).astype("datetime64[ns]"))
    image = stored[list(keys.values())].to_dataarray("band").assign_coords(band=list(keys))
    if name == "s2":  # a lone zero in one band is a dark pixel, zero in all of them is none
        image = image.where((image != 0).any("band")).astype("float32")
    series = image.transpose("time", "band", "y", "x").to_dataset(name="image")
    if classes:
        series["scene_classification"] = stored[classes].where(stored[classes] != 0)
    return series.drop_attrs()


def solar_day(item: pystac.Item, lon: float) -> pd.Timestamp:
    """The day of an item by the sun at a longitude, so that one pass is never cut by midnight in Greenwich."""
    return (moment(item) + pd.Timedelta(hours=lon / 15)).normalize()


def baseline(item: pystac.Item) -> float:
    """Processing baseline of a Sentinel-2 item, such as 5.09; -1 where it states none."""
    stated = item.properties.get("s2:processing_baseline", item.properties.get("processing:version", ""))
    found = re.fullmatch(r"0?(\d{1,2})\.(\d\d)", str(stated).strip())
    return float(f"{found[1]}.{found[2]}") if found else -1.0


def carries_offset(item: pystac.Item) -> bool:
    """Whether the values of a Sentinel-2 item are stored 1000 too high, by what the item says of itself.

    Raises:
        SceneError: It does not say.
    """
    if item.properties.get("earthsearch:boa_offset_applied") is True:
        return False
    found = baseline(item)
    if found < 0:
        fix = "Pass offset=True if its values are stored 1000 too high, offset=False if not."
        raise SceneError.of(f"the processing baseline of {item.id}", "none", fix)
    return found >= FIRST_BASELINE_WITH_OFFSET
