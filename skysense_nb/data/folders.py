"""A folder of dated GeoTIFFs as a scene: one pattern per sensor says how its files are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from skysense_nb.data.rasters import canonical, check_one_grid, open_file, read
from skysense_nb.data.scene import build
from skysense_nb.data.scene_classification import clear_of
from skysense_nb.errors import ParameterError, SceneError
from skysense_nb.sensors import SENSORS

PLACEHOLDERS = {
    "{date}": r"(?:19|20)\d\d-?\d\d-?\d\d",
    "{band}": r"[A-Za-z0-9]+",
    "*": r"[^/]*",
}
"""What stands for what in a pattern: a date as 20230613 or 2023-06-13, a band name, anything within one name."""

CLASSES = "scl"
"""Key of the pattern of Sentinel-2 scene classifications, which become the mask `clear`."""

Files = dict[pd.Timestamp, dict[str, Path]]
"""Paths by date and band; the band is empty where a file holds all bands."""


def scene_from_folder(
    folder: str | Path,
    patterns: Mapping[str, str],
    *,
    convert: Mapping[str, str] | None = None,
    bands: Mapping[str, Sequence[str]] | None = None,
    incomplete: str = "refuse",
    clip: bool = False,
    chunks: int = 1024,
) -> xr.DataTree:
    """Reads a folder of GeoTIFFs by the names of its files, lazily.

    Args:
        folder: Where the files are.
        patterns: Path of the files below the folder, per `hr`, `s2`, `s1`, with `{date}` and, where each band has
            its own file, `{band}`: `"S2_{date}.tif"`, `"s2/{date}_{band}.tif"`, `"{date}/S1_{band}.tif"`. `*` stands
            for anything within a name. Under `scl`, the files of Sentinel-2's scene classification.
        convert: Per modality, what to do to stored values: `undo_offset`, `from_reflectance`, `to_db`.
        bands: Per modality, names of the bands of a file in file order, where the file does not name them.
        incomplete: What to do with a date that lacks a band: `refuse` it, or `skip` it and list it in
            `attrs["incomplete_dates"]`.
        clip: Cut all modalities to the ground they share.
        chunks: Edge of the pieces that are read on demand, in pixels.

    Returns:
        A scene. Bands that the model does not read are left on disk.

    Raises:
        ParameterError: A pattern without date, an unknown modality or way.
        SceneError: No such folder, no file that fits, missing bands by date, several files for one date and band,
            grids or units that do not fit.

    Example:
        >>> patterns = {"s2": "s2/{date}_{band}.tif", "s1": "S1_{date}.tif"}
        >>> scene_from_folder("village", patterns, convert={"s1": "to_db"})      # doctest: +SKIP
    """
    if incomplete not in ("refuse", "skip"):
        raise ParameterError.of("incomplete as refuse or skip", repr(incomplete), "Choose one.")
    known = (*SENSORS, CLASSES)
    asked = {**patterns, **(convert or {}), **(bands or {})}
    if not set(patterns) & set(SENSORS) or set(asked) - set(known):
        raise ParameterError.of(f"patterns for some of {', '.join(known)}", ", ".join(asked) or "none", "Name them so.")
    folder, images = Path(folder), {}
    found = {name: find_files(folder, pattern) for name, pattern in patterns.items()}
    for name in (name for name in SENSORS if name in patterns):
        files, gaps = complete_dates(name, found[name])
        if gaps and (incomplete == "refuse" or not files):
            listed = "; ".join(f"{day:%Y-%m-%d} without {' '.join(missing)}" for day, missing in gaps.items())
            fix = "Add the files, or pass incomplete='skip' to leave these dates out."
            raise SceneError.of(f"every {name} band on every date in {folder}", listed, fix)
        image = read(
            [one.get("", one) for one in files.values()],
            name,
            bands=(bands or {}).get(name),
            time=[f"{day:%Y-%m-%d}" for day in files],
            convert=(convert or {}).get(name),
            chunks=chunks,
        )
        images[name] = image.assign_attrs({"incomplete_dates": [f"{day:%Y-%m-%d}" for day in gaps]} if gaps else {})
    scene = build(**images, clip=clip)
    if CLASSES not in found:
        return scene
    if "s2" not in scene.children:
        raise ParameterError.of("patterns with s2 beside scl", ", ".join(patterns), "Add s2, or leave scl out.")
    node = scene["s2"].to_dataset()  # its pixels and dates are known now, so classes can be laid on them
    classes = read_classes(found[CLASSES], node["image"], chunks)
    scene["s2"] = xr.DataTree(node.assign(clear=clear_of(classes).drop_attrs()))
    return scene


def find_files(folder: Path, pattern: str) -> Files:
    """Files of a folder that a pattern describes, by date and band.

    Raises:
        ParameterError: A pattern without `{date}`, or that leaves the folder.
        SceneError: No folder, nothing that fits, or two files for one date and band.
    """
    if "{date}" not in pattern or set(re.findall(r"\{[^}]*\}", pattern)) - set(PLACEHOLDERS):
        raise ParameterError.of("a pattern with {date} and, if need be, {band}", repr(pattern), "Write them so.")
    if not folder.is_dir():
        raise SceneError.of(f"a folder at {folder}", "none", "Check the path.")
    shape, files = expression(pattern), {}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        match = shape.fullmatch(path.relative_to(folder).as_posix())
        if match is None:
            continue
        try:
            day = pd.Timestamp(match["date"])
        except ValueError as error:
            fix = "Rename it, or leave it out by the pattern."
            raise SceneError.of(f"a date in the name of {path.name}", match["date"], fix) from error
        band = canonical(match["band"]) if "band" in shape.groupindex else ""
        bands = files.setdefault(day, {})
        if band in bands:
            both = f"{bands[band].relative_to(folder)} and {path.relative_to(folder)}"
            raise SceneError.of(f"one file for {band or 'all bands'} on {day:%Y-%m-%d}", both, "Narrow the pattern.")
        bands[band] = path
    if not files:
        there = ", ".join(str(path.relative_to(folder)) for path in paths[:3]) or "no file at all"
        raise SceneError.of(f"files {pattern} in {folder}", there, "Compare the pattern with the names.")
    return dict(sorted(files.items()))


def expression(pattern: str) -> re.Pattern:
    """A pattern as a regular expression; a placeholder that comes again must hold the same again."""
    parts, seen = [], set()
    for part in re.split(r"(\{date\}|\{band\}|\*)", pattern):
        name = part.strip("{}")
        if part in PLACEHOLDERS and part != "*":
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{PLACEHOLDERS[part]})")
            seen.add(name)
        else:
            parts.append(PLACEHOLDERS.get(part, re.escape(part)))
    return re.compile("".join(parts))


def complete_dates(name: str, files: Files) -> tuple[Files, dict[pd.Timestamp, list[str]]]:
    """Dates with all bands the model reads, and of the others what they lack."""
    wanted, whole, gaps = list(SENSORS[name].bands), {}, {}
    if name == "hr" and all("NIR" in bands for bands in files.values()):
        wanted.append("NIR")
    for day, bands in files.items():
        missing = [band for band in wanted if band not in bands] if "" not in bands else []
        if missing:
            gaps[day] = missing
        else:
            whole[day] = bands if "" in bands else {band: bands[band] for band in wanted}
    return whole, gaps


def read_classes(files: Files, image: xr.DataArray, chunks: int) -> xr.DataArray:
    """Scene classification (time, y, x) on the pixels and dates of an image, nearest neighbour."""
    days = pd.DatetimeIndex(image["time"].values)
    if missing := [f"{day:%Y-%m-%d}" for day in days if day not in files]:
        raise SceneError.of("a scene classification for every date", f"none for {' '.join(missing)}", "Add the files.")
    paths = [next(iter(files[day].values())) for day in days]
    dates = [open_file(path, chunks).isel(band=0, drop=True) for path in paths]
    check_one_grid(dates, paths)
    if dates[0].rio.crs != image.rio.crs:
        both = f"{dates[0].rio.crs} beside {image.rio.crs}"
        raise SceneError.of("scene classification and image in one CRS", both, "Reproject its files first.")
    series = xr.concat([date.assign_coords(x=dates[0].x, y=dates[0].y) for date in dates], dim="time", join="override")
    half = abs(dates[0].rio.resolution()[0]) / 2
    near = series.reindex(x=image["x"], y=image["y"], method="nearest", tolerance=half, fill_value=0)
    return near.assign_coords(time=image["time"])
