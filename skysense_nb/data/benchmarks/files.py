"""Files of a benchmark: found inside its root and nowhere else, decoded, and named when they are missing or broken."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import rasterio
import torch
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from torch import Tensor

from skysense_nb.errors import DatasetError

COPY_AGAIN = "It may be cut short; unpack or copy it again."


class Root:
    """The folder of a benchmark. Nothing outside of it is read, wherever a list, an annotation or a link points.

    Args:
        path: The folder.
        where: Where to get the data, for errors.

    Raises:
        DatasetError: There is no such folder.

    Example:
        >>> Root(".").file("no such file.txt")
        Traceback (most recent call last):
        ...
        skysense_nb.errors.DatasetError: Expected the file no such file.txt in ., got none. Check the root.
    """

    def __init__(self, path: str | Path, where: str = "") -> None:
        self.given, self.path = Path(path), Path(path).resolve()
        self.advice = f"Check the root, or get the data from {where}." if where else "Check the root."
        if not self.path.is_dir():
            raise DatasetError.of(f"a folder at {self.given}", "none", self.advice)

    def file(self, *parts: str | Path) -> Path:
        """A file that is there."""
        path = self.inside(*parts)
        if not path.is_file():
            raise DatasetError.of(f"the file {self.name(path)} in {self.given}", "none", self.advice)
        return path

    def folder(self, *parts: str | Path) -> Path:
        """A folder that is there."""
        path = self.inside(*parts)
        if not path.is_dir():
            raise DatasetError.of(f"the folder {self.name(path)} in {self.given}", "none", self.advice)
        return path

    def first(self, *candidates: str | Path) -> Path:
        """The first of several spellings of a file or folder that is there."""
        for candidate in candidates:
            if (path := self.inside(candidate)).exists():
                return path
        raise DatasetError.of(f"{' or '.join(map(str, candidates))} in {self.given}", "none of them", self.advice)

    def inside(self, *parts: str | Path) -> Path:
        """A path below the root; links are followed, and refused where they leave it."""
        path = self.path.joinpath(*parts)
        try:
            if self.straight(path):
                return path
            real = path.resolve()
            if path.is_symlink() and not real.exists():
                raise OSError("a link to nothing")
        except (OSError, RuntimeError) as error:
            raise DatasetError.of(f"a readable {'/'.join(map(str, parts))}", str(error), "Mend the link.") from error
        if not real.is_relative_to(self.path):
            got = f"{'/'.join(map(str, parts))} outside of it"
            raise DatasetError.of(f"files inside {self.given}", got, "Copy the data there, or pass the folder itself.")
        return path

    def straight(self, path: Path) -> bool:
        """Whether a path goes down from the root without links or `..`: nothing to resolve, which takes far longer."""
        top, steps = self.path.parts, path.parts
        if steps[: len(top)] != top or ".." in steps:
            return False
        here = str(self.path)
        try:
            for step in steps[len(top) :]:
                here = f"{here}{os.sep}{step}"
                if stat.S_ISLNK(os.lstat(here).st_mode):
                    return False
        except (FileNotFoundError, NotADirectoryError):
            pass  # the rest is not there
        return True

    def name(self, path: Path) -> str:
        """A path as seen from the root."""
        return path.relative_to(self.path).as_posix()

    def list(self, folder: str | Path, ending: str) -> list[Path]:
        """Files of a folder with an ending, in natural order: 1, 2, 10."""
        return sorted((path for path in self.folder(folder).iterdir() if path.name.endswith(ending)), key=natural)


def natural(path: str | Path) -> list[tuple[int, int | str]]:
    """A key that sorts numbers by value.

    Example:
        >>> sorted(["a10.png", "a2.png", "a1.png"], key=natural)
        ['a1.png', 'a2.png', 'a10.png']
    """
    pieces = re.split(r"(\d+)", str(path))
    return [(0, int(piece)) if piece.isdigit() else (1, piece) for piece in pieces]


def plain(name: str) -> str:
    """A class name as all its spellings share it: letters and digits alone.

    Example:
        >>> plain("Bare Land"), plain("Expressway-Service-area"), plain("Boeing737")
        ('bareland', 'expresswayservicearea', 'boeing737')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def read_image(path: Path, stored: str | None = None) -> Tensor:
    """A JPEG or PNG as R G B, 3 H W uint8.

    Args:
        path: Of the image.
        stored: Mode of Pillow that it must be stored in; None for any.
    """
    return torch.from_numpy(decode(path, "RGB", stored).transpose(2, 0, 1).copy())


def read_indices(path: Path) -> np.ndarray:
    """A grey PNG, or the indices of one with a palette, H W uint8. GDAL would fill up one that is cut short."""
    values = decode(path)
    if values.ndim != 2 or values.dtype != np.uint8:
        got = f"an array of {values.shape}, {values.dtype}"
        raise DatasetError.of(f"one band of bytes in {path}", got, "Get the official file.")
    return values


def decode(path: Path, mode: str | None = None, stored: str | None = None) -> np.ndarray:
    """An image as Pillow reads it, in a mode or as it is stored; it can be asked for what it must be stored in."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # aerial images are large
            with Image.open(path) as image:
                if stored and image.mode != stored:
                    raise DatasetError.of(f"an image of mode {stored} at {path}", image.mode, "Get the official file.")
                same = mode in (None, image.mode)  # to convert nothing is still a copy, as slow as decoding
                return np.asarray(image if same else image.convert(mode))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError.of(f"a readable image at {path}", str(error).splitlines()[0], COPY_AGAIN) from error


class Raster(NamedTuple):
    """Bands of a TIFF as stored, H W each, what stands for no data, and `crs` and `transform` if it has them."""

    values: np.ndarray
    nodata: float | None
    place: dict[str, Any]

    def as_float(self) -> Tensor:
        """Bands H W float32; NaN: no data."""
        return as_float(self.values, self.nodata)


def open_raster(path: Path, bands: Sequence[int] | None = None, count: int | None = None) -> Raster:
    """A TIFF with the place where it lies, as far as the file, or a world file beside it, says so.

    Args:
        path: Of the TIFF. PNG are for `read_image` and `read_indices`.
        bands: Numbers from 1, in the order wanted; None for all.
        count: Number of bands that it must have.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                if count is not None and file.count != count:
                    advice = "Get the official file, or say which bands there are."
                    raise DatasetError.of(f"{count} bands in {path}", f"{file.count}", advice)
                transform = file.transform
                place = {"crs": file.crs, "transform": None if transform.is_identity else transform}
                known = {name: value for name, value in place.items() if value is not None}
                return Raster(file.read(None if bands is None else list(bands)), file.nodata, known)
    except (RasterioError, IndexError) as error:
        raise DatasetError.of(f"a readable raster at {path}", str(error).splitlines()[0], COPY_AGAIN) from error


def read_raster(path: Path, bands: Sequence[int] | None = None) -> np.ndarray:
    """Bands of a TIFF as they are stored, H W each; see `open_raster`."""
    return open_raster(path, bands).values


def as_float(values: np.ndarray, nodata: float | None = None) -> Tensor:
    """A raster as a float32 tensor, NaN where it has the value that stands for no data.

    Example:
        >>> as_float(np.array([1, -10_000], np.int16), nodata=-10_000)
        tensor([1., nan])
    """
    half = values.dtype == np.float16  # torch widens these several times faster than NumPy
    image = torch.from_numpy(values).float().numpy() if half else values.astype(np.float32)
    if nodata is not None:
        image[values == nodata] = np.nan  # in NumPy: torch takes ten times as long
    return torch.from_numpy(image)


def read_array(path: Path, lazily: bool = False) -> np.ndarray:
    """A NumPy file without pickled objects; `lazily` reads from disk what is looked at."""
    try:
        return np.load(path, mmap_mode="r" if lazily else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError.of(f"a readable array at {path}", str(error).splitlines()[0], COPY_AGAIN) from error


def read_json(path: Path) -> Any:
    """A JSON file."""
    try:
        return json.loads(path.read_text())
    except (ValueError, UnicodeDecodeError) as error:
        raise DatasetError.of(f"JSON in {path}", str(error), COPY_AGAIN) from error


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of an XML file; one that defines entities is refused."""
    try:
        text = path.read_text()
        if "<!ENTITY" in text:
            raise DatasetError.of(f"plain XML in {path}", "entity definitions", "Get the official file.")
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise DatasetError.of(f"XML in {path}", str(error), COPY_AGAIN) from error


def read_lines(path: Path) -> list[str]:
    """Lines of a text file without blank ones."""
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DatasetError.of(f"text in {path}", str(error), COPY_AGAIN) from error


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: str | Path, folder: str | Path) -> Path:
    """Unpacks a zip or tar into a folder; members that would lie outside are refused before anything is written.

    Returns:
        The folder.

    Raises:
        DatasetError: Not an archive, a damaged one, or one with absolute paths, `..`, or links.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                check_members(archive, zip_members(file))
                file.extractall(folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                check_members(archive, ((one.name, one.isfile() or one.isdir()) for one in file.getmembers()))
                file.extractall(folder, filter="data")
        else:
            raise DatasetError.of(f"a zip or tar at {archive}", "something else", "Download it again.")
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DatasetError.of(f"a whole archive at {archive}", str(error), "Download it again.") from error
    return folder


def zip_members(file: zipfile.ZipFile) -> Iterator[tuple[str, bool]]:
    """Names in a zip, and whether they are files or folders: a link says so in the upper bits of its mode."""
    for one in file.infolist():
        yield one.filename, (one.external_attr >> 28) != 0xA


def check_members(archive: Path, members: Iterator[tuple[str, bool]]) -> None:
    """Refuses names that lead out of the folder, and links."""
    for name, plain in members:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or not plain:
            raise DatasetError.of(f"plain files inside {archive.name}", repr(name), "Do not trust this archive.")
