"""Images of each sensor with plausible content: nothing the doctor could object to."""

import numpy as np
import pandas as pd
import xarray as xr

from skysense_nb.sensors import SENSORS

SPECTRA = {  # B2 B3 B4 B5 B6 B7 B8 B8A B11 B12
    "forest": (230, 480, 260, 800, 2300, 2900, 3050, 3200, 1500, 700),
    "crop": (350, 750, 400, 1200, 3300, 4100, 4300, 4500, 1900, 900),
    "soil": (900, 1250, 1600, 1850, 2050, 2200, 2350, 2450, 3000, 2500),
    "water": (420, 400, 250, 200, 120, 110, 90, 80, 40, 30),
}


def sentinel2(dates=("2021-05-03", "2021-07-12"), size=32, seed=0) -> xr.DataArray:
    """Quarters of forest, crop, soil and water with 5 % texture."""
    rng = np.random.default_rng(seed)
    quarters = np.arange(size)[:, None] // (size // 2) * 2 + np.arange(size) // (size // 2)
    values = np.array(list(SPECTRA.values()), dtype=float)[quarters].transpose(2, 0, 1)
    series = values * (1 + 0.05 * rng.standard_normal((len(dates), 1, size, size)))
    return georeference(series + rng.normal(0, 10, series.shape).clip(-25, 25), "s2", dates, 10.0)


def sentinel1(dates=("2021-05-04", "2021-07-13"), size=32, seed=0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    level = np.array([-11.0, -18.0])[:, None, None]
    return georeference(level + rng.normal(0, 2, (len(dates), 2, size, size)), "s1", dates, 10.0)


def high_resolution(size=32, seed=0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    texture = rng.normal(0, 25, (1, 1, 32 * size, 32 * size))
    values = np.array([120.0, 110.0, 90.0])[:, None, None] + texture
    return georeference(values.clip(0, 255), "hr", ("2021-06-01",), 10 / 32)


def georeference(values, name, dates, pixel) -> xr.DataArray:
    rows, columns = values.shape[2:]
    coords = {
        "time": pd.DatetimeIndex(dates),
        "band": list(SENSORS[name].bands),
        "y": 5_000_000 - pixel * (np.arange(rows) + 0.5),
        "x": 500_000 + pixel * (np.arange(columns) + 0.5),
    }
    image = xr.DataArray(values.astype("float32"), dims=("time", "band", "y", "x"), coords=coords)
    return image.rio.write_crs("EPSG:32633")
