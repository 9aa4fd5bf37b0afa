"""Two real images that need no network: they lie inside the wheels of packages this library installs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401  (registers the .rio accessor)
import xarray as xr

from skysense_nb.data.rasters import read
from skysense_nb.errors import EnvironmentProblem
from skysense_nb.sensors import S2

NOMINAL_DATE = "2020-07-01"
"""Neither file carries an acquisition date."""

SPYNDEX_BANDS = ("B2", "B3", "B4", "B8")


def localtileserver_rgb() -> xr.DataArray:
    """A natural-colour satellite image of Andros, Bahamas: sea, reef, land and cumulus clouds.

    Real: values 0–255, R G B, UTM zone 18N, position. Its pixels are 300 m, a thousand times those the
    high-resolution encoder was trained on, and its date (1 July 2020) is nominal. The cut avoids the empty
    corners of the rotated footprint.

    Returns:
        Image (1, 3, 480, 480).

    Example:
        >>> localtileserver_rgb().shape
        (1, 3, 480, 480)
    """
    path = packaged("localtileserver", "tiler/data/bahamas_rgb.tif")
    image = read(path, "hr", bands=("R", "G", "B"), time=NOMINAL_DATE)
    return image.isel(y=slice(120, 600), x=slice(150, 630)).fillna(0).load()  # zero is black water here


def spyndex_sentinel2() -> xr.DataArray:
    """A Sentinel-2 tile of forest, red soils and farmland: the four 10 m bands are real, the rest is filled.

    Real: B2 B3 B4 B8 as digital numbers without offset, 300 × 300 pixels of 10 m. Missing, and filled with the
    mean the encoder was trained on (zero after normalisation, so they carry no information): B5 B6 B7 B8A B11
    B12. Nominal: position (UTM zone 23S), which side is north, and the date, since the file carries none.

    Returns:
        Image (1, 10, 300, 300); `attrs["filled_bands"]` and `attrs["nominal"]` name what is not measured.

    Example:
        >>> spyndex_sentinel2().attrs["nominal"]
        'position, orientation and date'
    """
    stored = np.asarray(json.loads(packaged("spyndex", "data/S2_10m.json").read_text()), dtype="float32")
    bands, (rows, columns) = list(S2.bands), stored.shape[1:]
    values = np.tile(np.float32(S2.mean)[:, None, None], (1, rows, columns))
    values[[bands.index(band) for band in SPYNDEX_BANDS]] = stored
    image = xr.DataArray(
        values[None],
        dims=("time", "band", "y", "x"),
        coords={
            "time": np.array([NOMINAL_DATE], dtype="datetime64[ns]"),
            "band": bands,
            "y": 7_800_000 - S2.pixel_size_m * (np.arange(rows) + 0.5),
            "x": 600_000 + S2.pixel_size_m * (np.arange(columns) + 0.5),
        },
        name="image",
        attrs={
            "filled_bands": " ".join(band for band in bands if band not in SPYNDEX_BANDS),
            "nominal": "position, orientation and date",
        },
    )
    return image.rio.write_crs("EPSG:32723")


def packaged(package: str, inside: str) -> Path:
    """Path of a file inside an installed package, found without importing it."""
    found = importlib.util.find_spec(package)
    path = Path(found.origin).parent / inside if found else None
    if path is None or not path.exists():
        raise EnvironmentProblem.of(
            f"the package {package} with {inside}", "an environment without it", "Install the pinned requirements."
        )
    return path
