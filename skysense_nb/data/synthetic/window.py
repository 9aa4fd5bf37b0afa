"""A rectangle of the world in one UTM zone, and the pixel grids that lie on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from skysense_nb.errors import SceneError

HR_PIXEL_M = 0.3125
"""10 m / 32: one Sentinel pixel covers exactly 32 × 32 pixels of the aerial image."""

TRUTH_PIXEL_M = 1.25
"""Grid of the truth: 8 × 8 per Sentinel pixel, from which the cover fractions come."""

SENTINEL_PIXEL_M = 10.0


@dataclass(frozen=True)
class Window:
    """Edges in metres, all multiples of 10, in a UTM zone.

    Attributes:
        zone: EPSG code, 32601–32660 (north) or 32701–32760 (south).
    """

    zone: int
    left: int
    bottom: int
    right: int
    top: int

    @property
    def south(self) -> bool:
        """True on the southern hemisphere."""
        return self.zone >= 32700

    @property
    def center(self) -> tuple[float, float]:
        """Easting and northing of the middle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def shape(self, pixel_m: float) -> tuple[int, int]:
        """Rows and columns of the grid with this pixel size."""
        return round((self.top - self.bottom) / pixel_m), round((self.right - self.left) / pixel_m)

    def columns(self, pixel_m: float) -> np.ndarray:
        """Absolute column numbers of the grid: pixel n reaches from n to n + 1 pixel widths east of the origin."""
        first = round(self.left / pixel_m)
        return np.arange(first, first + self.shape(pixel_m)[1])

    def rows(self, pixel_m: float) -> np.ndarray:
        """Absolute row numbers from north to south."""
        last = round(self.top / pixel_m) - 1
        return np.arange(last, last - self.shape(pixel_m)[0], -1)

    def xs(self, pixel_m: float) -> np.ndarray:
        """Easting of the pixel centres."""
        return (self.columns(pixel_m) + 0.5) * pixel_m

    def ys(self, pixel_m: float) -> np.ndarray:
        """Northing of the pixel centres, from north to south."""
        return (self.rows(pixel_m) + 0.5) * pixel_m

    def transform(self, pixel_m: float) -> Affine:
        """From column and row of the grid to easting and northing."""
        return Affine(pixel_m, 0, self.left, 0, -pixel_m, self.top)

    def padded(self, margin_m: int) -> Window:
        """The window with a margin on every side."""
        return Window(
            self.zone, self.left - margin_m, self.bottom - margin_m, self.right + margin_m, self.top + margin_m
        )

    def tiles(self, size_m: int) -> Iterator[Window]:
        """Pieces of at most `size_m` that together cover the window."""
        for top in range(self.top, self.bottom, -size_m):
            for left in range(self.left, self.right, size_m):
                yield Window(
                    self.zone, left, max(top - size_m, self.bottom), min(left + size_m, self.right), top
                )  # fmt: skip

    def inside(self, outer: Window, pixel_m: float) -> tuple[slice, slice]:
        """Where this window lies in the grid of a larger one."""
        row, column = round((outer.top - self.top) / pixel_m), round((self.left - outer.left) / pixel_m)
        height, width = self.shape(pixel_m)
        return slice(row, row + height), slice(column, column + width)


def zone_of(lon: float, lat: float) -> int:
    """EPSG code of the UTM zone of a place.

    Raises:
        SceneError: Not a place between 80° south and 84° north.
    """
    if not (-180 <= lon <= 180 and -80 <= lat <= 84):
        raise SceneError.of(
            "a longitude in −180…180 and a latitude in −80…84", f"({lon}, {lat})", "Pass (lon, lat) in degrees."
        )
    return (32600 if lat >= 0 else 32700) + int((lon + 180) // 6) % 60 + 1


def zone_of_crs(crs: object) -> int:
    """EPSG code of a UTM CRS in any spelling.

    Raises:
        SceneError: Not a CRS, or not WGS 84 / UTM.
    """
    try:
        code = CRS.from_user_input(crs).to_epsg() or 0
    except CRSError:
        code = 0
    if not (32601 <= code <= 32660 or 32701 <= code <= 32760):
        raise SceneError.of("a UTM zone such as EPSG:32632", repr(str(crs)), "The world exists in WGS 84 UTM zones.")
    return code


def project(zone: int, lon: float, lat: float) -> tuple[float, float]:
    """Easting and northing in metres of a place in degrees."""
    return Transformer.from_crs(4326, zone, always_xy=True).transform(lon, lat)


def geographic(zone: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude in degrees of points in metres."""
    return Transformer.from_crs(zone, 4326, always_xy=True).transform(x, y)


def window_of(bounds: tuple[float, float, float, float], crs: object) -> Window:
    """The window with exactly these edges.

    Raises:
        SceneError: Not UTM, edges off the 10 m grid, or an empty window.
    """
    zone = zone_of_crs(crs)
    left, bottom, right, top = bounds
    if any(edge % SENTINEL_PIXEL_M for edge in bounds):
        raise SceneError.of(
            "edges that are multiples of 10 m", f"{tuple(bounds)}", "Round them to the Sentinel-2 grid."
        )
    if right - left < 20 or top - bottom < 20:
        raise SceneError.of("a window of at least 20 × 20 m", f"{right - left:g} × {top - bottom:g} m", "Widen it.")
    return Window(zone, int(left), int(bottom), int(right), int(top))
