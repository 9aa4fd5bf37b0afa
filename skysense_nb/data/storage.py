"""Scenes on disk: Zarr folders and NetCDF files, written whole or not at all, opened lazily."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import xarray as xr

from skysense_nb.data.scene import modalities
from skysense_nb.errors import SceneError


def save(scene: xr.DataTree, path: str | Path) -> Path:
    """Writes a scene to `NAME.zarr` or `NAME.nc`, beside the target first and then renamed.

    Raises:
        SceneError: Another ending, or a folder that cannot be written.

    Example:
        >>> save(place, "village.zarr")                  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix not in (".zarr", ".nc"):
        raise SceneError.of("a path that ends in .zarr or .nc", repr(path.name), "Choose one of the two.")
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(unfinished)
        if path.suffix == ".zarr":
            scene.to_zarr(unfinished, mode="w", zarr_format=2)
        else:
            scene.to_netcdf(unfinished, engine="h5netcdf")
        remove(path)
        os.replace(unfinished, path)
    except OSError as error:
        raise SceneError.of(f"a writable folder at {path.parent}", str(error), "Choose another place.") from error
    return path


def remove(path: Path) -> None:
    """Deletes a file or folder if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_scene(path: str | Path) -> xr.DataTree:
    """Opens a saved scene lazily: pixels are read when something asks for them.

    Raises:
        SceneError: Nothing there, or not a scene.
    """
    path = Path(path)
    if not path.exists():
        raise SceneError.of(
            f"a saved scene at {path}", "no such file", "Check the path, or save one with scene.sky.save."
        )
    engine = "zarr" if path.is_dir() else "h5netcdf"
    try:
        scene = xr.open_datatree(path, engine=engine, decode_coords="all", chunks={})
    except (OSError, ValueError, KeyError) as error:
        raise SceneError.of(
            f"a scene in Zarr or NetCDF at {path}", f"{error}", "It may be cut short; copy it again."
        ) from error
    if not modalities(scene):
        raise SceneError.of("a child node among hr, s2, s1", f"{list(scene.children)}", "Build it with data.build.")
    return scene
