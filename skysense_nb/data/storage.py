"""Scenes on disk: Zarr folders and NetCDF files, written whole or not at all, opened lazily."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import xarray as xr
import zarr

from skysense_nb.data.scene import modalities
from skysense_nb.errors import SceneError, writable


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
    if path.exists() and not is_scene(path):
        raise SceneError.of(
            f"a scene or nothing at {path}", "something else", "Choose another name; nothing was touched."
        )
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        with writable(path.parent, SceneError):
            remove(unfinished)
            if path.suffix == ".zarr":
                scene.to_zarr(unfinished, mode="w", zarr_format=2, write_empty_chunks=True)
            else:
                scene.to_netcdf(unfinished, engine="h5netcdf")
            remove(path)
            os.replace(unfinished, path)
    except (TypeError, ValueError) as error:
        fix = "Keep texts, numbers and lists of them in attrs, and drop the rest."
        raise SceneError.of("a scene that a file can hold", str(error), fix) from error
    finally:
        if path.parent.is_dir():
            remove(unfinished)
    return path


def is_scene(path: Path) -> bool:
    """Whether there is a scene at `path`, which may be replaced by another."""
    try:
        return bool(modalities(open_scene(path)))
    except SceneError:
        return False


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
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise SceneError.of(
            f"a scene in Zarr or NetCDF at {path}", f"{error}", "If it is one, it may be cut short: copy it again."
        ) from error
    if not modalities(scene):
        raise SceneError.of("a child node among hr, s2, s1", f"{list(scene.children)}", "Build it with data.build.")
    for name in modalities(scene):
        if "image" not in scene[name]:
            raise SceneError.of(f"an image in {name} of {path.name}", "none", "Build it with data.build.")
        if engine == "zarr":
            check_complete(path, name)
    return scene


def check_complete(path: Path, name: str) -> None:
    """Refuses a copy that lacks pieces: Zarr would read them as zeros."""
    array = zarr.open_array(path / name / "image", mode="r")
    if array.nchunks_initialized < array.nchunks:
        got = f"{array.nchunks_initialized} of {array.nchunks} pieces"
        raise SceneError.of(f"all of {name} in {path.name}", got, "Copy it again.")
