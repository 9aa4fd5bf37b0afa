"""GeoTIFF files as images fit for `scene.build`: bands by name, dates, honest conversions, nothing guessed silently."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import odc.geo.xr  # noqa: F401  (registers the .odc accessor)
import pandas as pd
import rasterio
import rioxarray
import xarray as xr
from rasterio.windows import Window

from skysense_nb.errors import ParameterError, SceneError
from skysense_nb.sensors import S2_OFFSET, S2_OFFSET_SINCE, SENSORS

Source = str | Path | Mapping[str, str | Path]
"""One date on disk: a file with all bands, or one file per band under the band's name."""

COLOURS = {"RED": "R", "GREEN": "G", "BLUE": "B", "NEAR INFRARED": "NIR", "NEAR-INFRARED": "NIR"}

DATE_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")


def read(
    source: Source | Sequence[Source],
    modality: str,
    *,
    bands: Sequence[str] | None = None,
    time: str | Sequence[str] | None = None,
    convert: str | None = None,
    chunks: int = 1024,
) -> xr.DataArray:
    """Reads one modality of one place from GeoTIFF files, lazily.

    Bands are picked by name and brought into model order, so a file may hold more bands than the model
    reads, in any order. Bands of coarser pixels are laid on the finest grid by repetition. Pixels that
    hold the file's nodata value in every band become NaN.

    Args:
        source: One file, a dictionary from band name to file, or a list of either with one entry per date.
        modality: `hr`, `s2` or `s1`.
        bands: Names of the file's bands in file order (`B02` and `B2` are the same band). Without it the
            names written in the file count; a file without names must hold the model's bands in model order.
        time: Acquisition date per entry; without it the date in the file name (`20170613`, `2017-06-13`).
        convert: What to do to the stored values, by default nothing: `undo_offset`, `from_reflectance` or `to_db`.
        chunks: Edge of the pieces that are read on demand, in pixels.

    Returns:
        Image (time, band, y, x), float32, with band names, dates and CRS.

    Raises:
        SceneError: A missing or damaged file, no CRS, no date, or bands that are not the modality's.
        ParameterError: An unknown modality or conversion.

    Example:
        >>> s1 = read({"VV": "VV_20240612.tif", "VH": "VH_20240612.tif"}, "s1", convert="to_db")  # doctest: +SKIP
    """
    if modality not in SENSORS:
        raise ParameterError.of(f"a modality among {', '.join(SENSORS)}", repr(modality), "Choose one of these.")
    if convert is not None and convert not in CONVERSIONS:
        raise ParameterError.of(f"a conversion among {', '.join(CONVERSIONS)}", repr(convert), "Choose one, or none.")
    if convert is not None and CONVERTED[convert] != modality:
        raise ParameterError.of(
            f"a conversion of {modality}", f"{convert!r}, for {CONVERTED[convert]}", "Leave it out."
        )
    sources = [source] if isinstance(source, str | Path | Mapping) else list(source)
    if not sources:
        raise SceneError.of("at least one file", "an empty list", "Check the pattern that lists the files.")
    images = [read_date(one, modality, bands, chunks) for one in sources]
    dates = read_dates(sources, time)
    check_one_grid(images, sources)
    first = images[0]
    series = xr.concat([image.assign_coords(x=first.x, y=first.y) for image in images], dim="time", join="override")
    series = series.assign_coords(time=dates).sortby("time").rename("image").rio.write_crs(first.rio.crs)
    return CONVERSIONS[convert](series) if convert else series


def read_date(source: Source, modality: str, bands: Sequence[str] | None, chunks: int) -> xr.DataArray:
    """Image (band, y, x) of one date in model order."""
    if isinstance(source, Mapping):
        image = stack_bands({canonical(name): open_file(path, chunks) for name, path in source.items()})
        where = f"{len(source)} files"
    else:
        image, where = open_file(source, chunks), Path(source).name
        image = image.assign_coords(band=name_bands(image, modality, bands, where))
    wanted = list(SENSORS[modality].bands)
    if modality == "hr" and "NIR" in image["band"].values:
        wanted.append("NIR")
    missing = [band for band in wanted if band not in image["band"].values]
    if missing:
        raise SceneError.of(
            f"the {modality} bands {' '.join(wanted)} in {where}", f"no {' '.join(missing)}",
            "Name the file's bands in file order with bands=(...), or choose a file that holds them.",
        )  # fmt: skip
    return hide_nodata(image.sel(band=wanted))


def open_file(path: str | Path, chunks: int) -> xr.DataArray:
    """Opens a GeoTIFF lazily (band, y, x) and refuses one that is missing, damaged or without CRS."""
    if not Path(path).exists():
        raise SceneError.of(f"a raster file at {path}", "no such file", "Check the path.")
    try:
        with rasterio.open(path) as file:  # a file cut short opens, but its last pixel cannot be read
            check_north_up(file)
            file.read(window=Window(file.width - 1, file.height - 1, 1, 1))
        image = rioxarray.open_rasterio(path, chunks={"band": -1, "y": chunks, "x": chunks})
    except rasterio.errors.RasterioError as error:
        first_line = str(error).splitlines()[0].rstrip(".")
        raise SceneError.of(f"a raster file at {path}", first_line, "It may be cut short; copy it again.") from error
    if image.rio.crs is None:
        raise SceneError.of(
            f"{Path(path).name} with a CRS", "none", "Write it into the file: rio edit-info --crs EPSG:… FILE."
        )
    return image


def check_north_up(file: rasterio.DatasetReader) -> None:
    """Refuses a rotated grid, whose pixels have no x and y of their own."""
    if file.transform.b or file.transform.d:
        name = Path(file.name).name
        raise SceneError.of(
            f"{name} with north up", "a rotated grid", "Warp it first: rio warp --dst-crs EPSG:… IN OUT."
        )


def name_bands(image: xr.DataArray, modality: str, bands: Sequence[str] | None, where: str) -> list[str]:
    """Names of a file's bands: those given, else those written in the file, else model order if the count fits."""
    count, wanted = image.sizes["band"], SENSORS[modality].bands
    if bands is not None:
        if len(bands) != count:
            raise SceneError.of(
                f"{len(bands)} bands ({' '.join(bands)}) in {where}", f"{count} bands", "Name every band of the file."
            )
        return [canonical(name) for name in bands]
    written = image.attrs.get("long_name") or ()
    written = [canonical(name) for name in ([written] if isinstance(written, str) else written)]
    known = [name for name in written if name in wanted or re.fullmatch(r"B\d+A?|NIR|[RGB]|V[VH]|H[VH]", name)]
    if len(written) == count and set(wanted) <= set(written):
        return written
    if known:
        raise SceneError.of(
            f"the {modality} bands {' '.join(wanted)} in {where}", f"bands that call themselves {' '.join(written)}",
            "Name the file's bands in file order with bands=(...).",
        )  # fmt: skip
    if count == len(wanted):
        return list(wanted)
    raise SceneError.of(
        f"{len(wanted)} bands ({' '.join(wanted)}) in {where}", f"{count} bands without these names",
        "Name the file's bands in file order with bands=(...).",
    )  # fmt: skip


def canonical(band: str) -> str:
    """Band name as the sensors write it: `B02` becomes `B2`, `Sigma0_vv_db` becomes `VV`, `Red` becomes `R`."""
    name = str(band).strip().upper()
    if name in COLOURS:
        return COLOURS[name]
    found = re.match(r"B0*(\d+A?)\b", name) or re.search(r"(?:^|_)([VH][VH])(?:_|$)", name)
    return name if found is None else f"B{found[1]}" if name.startswith("B") else found[1]


def stack_bands(files: dict[str, xr.DataArray]) -> xr.DataArray:
    """Puts one-band files on the grid of the finest one (nearest neighbour) and stacks them."""
    for name, image in files.items():
        if image.sizes["band"] != 1:
            raise SceneError.of(f"one band in the file of {name}", f"{image.sizes['band']}", "Pass the file by itself.")
    finest = min(files.values(), key=lambda image: abs(image.rio.resolution()[0]))
    on_grid = []
    for name, image in files.items():
        if image.rio.crs != finest.rio.crs:
            both = f"{name} in {image.rio.crs} beside {finest.rio.crs}"
            raise SceneError.of("one CRS for all bands", both, "Reproject that file first.")
        half = abs(image.rio.resolution()[0]) / 2
        check_beside(name, image, finest)
        on_grid.append(image.drop_vars("band").reindex(x=finest.x, y=finest.y, method="nearest", tolerance=half))
    stack = xr.concat(on_grid, dim="band", combine_attrs="drop_conflicts").transpose("band", "y", "x")
    return stack.assign_coords(band=list(files)).rio.write_crs(finest.rio.crs)


def check_beside(name: str, image: xr.DataArray, finest: xr.DataArray) -> None:
    """Refuses the file of a band that shares no ground with the finest one."""
    for axis in ("x", "y"):
        if image[axis].max() < finest[axis].min() or finest[axis].max() < image[axis].min():
            fix = "Check that all files are of one tile."
            raise SceneError.of(f"the file of {name} over the ground of the others", "one beside it", fix)


def hide_nodata(image: xr.DataArray) -> xr.DataArray:
    """Float32 with NaN where every band holds the file's nodata value; a lone zero in one band stays."""
    nodata = image.rio.nodata
    values = image.drop_attrs().astype("float32")
    if nodata is not None and not np.isnan(nodata):
        values = values.where(~(image == nodata).all("band"))
    values.encoding = {}
    return values.rio.write_crs(image.rio.crs)


def check_one_grid(images: list[xr.DataArray], sources: list[Source]) -> None:
    """Refuses dates whose pixels do not lie on one another."""
    for image, source in zip(images[1:], sources[1:], strict=True):
        if image.odc.geobox != images[0].odc.geobox:
            raise SceneError.of(
                f"every date on the grid of the first ({in_words(images[0])})", f"{source} on {in_words(image)}",
                "Bring it there first: image.odc.reproject(first.odc.geobox).",
            )  # fmt: skip


def in_words(image: xr.DataArray) -> str:
    """A grid in a few words."""
    box = image.odc.geobox
    corner = f"corner {box.boundingbox.left:g}, {box.boundingbox.top:g}"
    return f"{box.crs}, {box.shape[0]} × {box.shape[1]} px of {abs(box.resolution.x):g}, {corner}"


def read_dates(sources: list[Source], time: str | Sequence[str] | None) -> pd.DatetimeIndex:
    """Acquisition dates as given, else from the file names."""
    if time is None:
        return pd.DatetimeIndex([date_in_name(source) for source in sources])
    given = [time] if isinstance(time, str) or not isinstance(time, Sequence | np.ndarray | pd.Index) else list(time)
    if len(given) != len(sources):
        raise SceneError.of(f"{len(sources)} dates, one per entry", f"{len(given)}", "Pass time=[...] to match.")
    try:
        if any(isinstance(one, int | float | np.integer | np.floating) for one in given):
            raise ValueError("numbers are no dates")
        parsed = [pd.to_datetime(one, format="ISO8601") if isinstance(one, str) else one for one in given]
        return pd.DatetimeIndex(parsed).tz_localize(None).astype("datetime64[ns]")
    except (ValueError, TypeError) as error:
        raise SceneError.of("dates such as '2024-06-12'", repr(time), "Write them year-month-day.") from error


def date_in_name(source: Source) -> pd.Timestamp:
    """The first date written in a file name, else in the name of its folder."""
    path = Path(next(iter(source.values())) if isinstance(source, Mapping) else source)
    found = DATE_IN_NAME.search(path.stem.split("T")[0]) or DATE_IN_NAME.search(path.stem)
    found = found or DATE_IN_NAME.search(path.parent.name)
    if found is None:
        raise SceneError.of(f"an acquisition date for {path.name}", "none", "Pass it: time='2024-06-12'.")
    written = "-".join(found.groups())
    try:
        return pd.Timestamp(written)
    except ValueError as error:
        fix = "Pass it: time='2024-06-12'."
        raise SceneError.of(f"an acquisition date in the name of {path.name}", repr(written), fix) from error


def undo_offset(image: xr.DataArray, since: str = S2_OFFSET_SINCE) -> xr.DataArray:
    """Takes the 1,000 off Sentinel-2 digital numbers, for dates from `since` on; values below zero become zero.

    Reprocessed archives carry the offset on older dates too: pass `since="2015-06-23"` for them. Some
    catalogues deliver products with the offset already removed: the doctor tells them apart.
    """
    carries = image["time"] >= np.datetime64(since)
    return xr.where(carries, (image + S2_OFFSET).clip(min=0), image, keep_attrs=True).transpose(*image.dims)


def from_reflectance(image: xr.DataArray) -> xr.DataArray:
    """Surface reflectance 0–1 to digital numbers (× 10,000)."""
    return image * np.float32(10_000)


def to_db(image: xr.DataArray) -> xr.DataArray:
    """Linear radar power to decibels; zero and negative power (no measurement) become NaN."""
    return 10 * np.log10(image.where(image > 0))


CONVERSIONS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "undo_offset": undo_offset,
    "from_reflectance": from_reflectance,
    "to_db": to_db,
}
"""Conversions that `read` applies when asked by name."""

CONVERTED = {"undo_offset": "s2", "from_reflectance": "s2", "to_db": "s1"}
"""The modality each conversion is for."""
