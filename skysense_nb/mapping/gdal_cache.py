"""How much of a raster GDAL may keep in memory."""

from __future__ import annotations

import rasterio

GDAL_CACHE_MB = 32
"""GDAL keeps a twentieth of the machine's memory by default, which would grow with the area."""


def small_gdal_cache() -> rasterio.Env:
    """A context in which GDAL keeps little; for the thread that reads or writes."""
    return rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_MB)
