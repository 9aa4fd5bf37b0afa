"""Reading and writing rasters with little memory, however large they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dask
import rasterio

GDAL_CACHE_MB = 32
"""GDAL keeps a twentieth of the machine's memory by default, which would grow with the area."""


def small_gdal_cache() -> rasterio.Env:
    """A context in which GDAL keeps little; for the thread that reads or writes."""
    return rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_MB)


@contextmanager
def frugal_reads() -> Iterator[None]:
    """A context in which lazy images are read in this thread, chunk after chunk, and GDAL keeps little."""
    with dask.config.set(scheduler="synchronous"), small_gdal_cache():
        yield
