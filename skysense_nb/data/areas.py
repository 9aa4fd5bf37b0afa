"""Where and when: an area as a grid of 10 m in one UTM zone, and a period as its first and last moment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from odc.geo.geobox import GeoBox
from rasterio.warp import transform_bounds

from skysense_nb.data.catalog import entries
from skysense_nb.errors import ParameterError
from skysense_nb.sensors import S2

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

Area = Bounds | str | GeoBox
"""Edges in degrees, the name of an area of the catalogue, or a grid."""

Period = tuple[pd.Timestamp, pd.Timestamp]

LARGEST_DEGREES = 6.0
"""Width of a UTM zone: a wider area has no grid of its own."""


def ground_grid(area: Area) -> GeoBox:
    """Grid of 10 m over an area, in the UTM zone of its middle.

    Raises:
        ParameterError: Empty, too wide, beyond UTM, or across the date line.

    Example:
        >>> ground_grid((1.40, 48.10, 1.42, 48.11)).resolution.x
        10.0
    """
    if isinstance(area, GeoBox):
        step = area.resolution
        if not area.crs.geographic and step.x == -step.y == S2.pixel_size_m:
            return area
        area = degrees(area)
    west, south, east, north = bounds = named_bounds(area)
    lon, lat = (west + east) / 2, (south + north) / 2
    zone = int((lon + 180) // 6) % 60 + 1
    code = f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"
    edges = np.array(transform_bounds("EPSG:4326", code, *bounds, densify_pts=21)) / S2.pixel_size_m
    edges = np.concatenate([np.floor(edges[:2] + 1e-6), np.ceil(edges[2:] - 1e-6)]) * S2.pixel_size_m
    return GeoBox.from_bbox(tuple(edges), crs=code, resolution=S2.pixel_size_m)


def named_bounds(area: Bounds | str) -> Bounds:
    """Edges of an area in degrees, checked."""
    if isinstance(area, str):
        known = entries("areas")
        if area not in known:
            raise ParameterError.of(f"an area among {', '.join(known)}", repr(area), "Or give its edges in degrees.")
        area = known[area].bounds
    numbers = np.asarray(area, dtype="float64")
    if numbers.shape != (4,) or not np.isfinite(numbers).all():
        raise ParameterError.of("west, south, east, north in degrees", repr(area), "Give four numbers.")
    west, south, east, north = numbers.tolist()
    if west > east and -180 <= east < 0 < west <= 180:
        fix = "Split it there: a scene lies in one UTM zone, and zones end at the date line."
        raise ParameterError.of("an area on one side of the date line", f"{west:g} to {east:g}", fix)
    if not (-180 <= west < east <= 180 and -80 <= south < north <= 84):
        expected = "west < east in -180…180 and south < north in -80…84, degrees"
        raise ParameterError.of(expected, f"{west:g}, {south:g}, {east:g}, {north:g}", "Check their order.")
    if east - west > LARGEST_DEGREES or north - south > LARGEST_DEGREES:
        got = f"{east - west:g} × {north - south:g}"
        raise ParameterError.of(f"an area of at most {LARGEST_DEGREES:g} × {LARGEST_DEGREES:g}°", got, "Split it.")
    return west, south, east, north


def degrees(grid: GeoBox) -> Bounds:
    """Edges of a grid in degrees."""
    return named_bounds(transform_bounds(str(grid.crs), "EPSG:4326", *grid.boundingbox.bbox, densify_pts=21))


def read_period(period: str | tuple[str, str]) -> Period:
    """First and last moment of a period.

    Example:
        >>> [f"{moment:%Y-%m-%d %H:%M}" for moment in read_period("2023-02/2023-04")]
        ['2023-02-01 00:00', '2023-04-30 23:59']
    """
    try:
        parts = period.split("/") if isinstance(period, str) else list(period)
        first, last = pd.Period(parts[0]).start_time, pd.Period(parts[-1]).end_time
        if len(parts) > 2:
            raise ValueError("more than two dates")
    except (ValueError, TypeError, IndexError, AttributeError) as error:  # the last for "", which is not a time
        raise ParameterError.of("a period such as '2023-03-01/2023-10-31'", repr(period), "Write it so.") from error
    if first > last:
        raise ParameterError.of("a period that begins before it ends", repr(period), "Swap its ends.")
    return first, last
