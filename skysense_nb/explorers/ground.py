"""A map around one raster, with pictures of the same ground that come and go by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from skysense_nb.views.cells import cell_bounds
from skysense_nb.views.maps import add_footprint, add_overlay, locate, overlay, quiet_map, ring

if TYPE_CHECKING:
    import ipyleaflet


class Ground:
    """The map of an explorer.

    Args:
        like: Any raster (…, y, x) with a CRS; the map shows it whole, outlined.
        basemap: OpenStreetMap as background, for readers with a network.
        height: On the page.

    Attributes:
        map: The leafmap map.
        layers: Overlays by name.

    Raises:
        SceneError: A raster that does not know where it lies.
    """

    def __init__(self, like: xr.DataArray, *, basemap: bool = False, height: str = "420px") -> None:
        self.like = like
        self.crs, self.bounds = locate(like, None, None)
        self.map = quiet_map(around=like, basemap=basemap, height=height)
        self.layers: dict[str, ipyleaflet.ImageOverlay] = {}
        add_footprint(self.map, like=like, name="Outline")
        self.marker: ipyleaflet.Polygon | None = None

    def lay(self, name: str, picture: np.ndarray, *, opacity: float = 1.0, like: xr.DataArray | None = None) -> None:
        """Lays a picture (y, x, 3 or 4) under a name, in place of the one that had it.

        Args:
            name: In the list of layers.
            picture: Colours, floats 0–1 or bytes; NaN is transparent.
            opacity: Of a new layer; one that is there keeps its own.
            like: A raster of other bounds than the map's that the picture covers.
        """
        if name in self.layers:
            crs, bounds = locate(like, None, None) if like is not None else (self.crs, self.bounds)
            self.layers[name].url, self.layers[name].bounds = overlay(picture, crs, bounds)
        else:
            where = self.like if like is None else like
            self.layers[name] = add_overlay(self.map, picture, like=where, name=name, opacity=opacity)

    def show(self, name: str, visible: bool) -> None:
        """Shows a layer or hides it."""
        self.layers[name].visible = visible

    def mark(self, row: int, column: int, grid: xr.DataArray | None = None) -> None:
        """Outlines one cell in white; of the map's own raster, or of another grid."""
        grid = self.like if grid is None else grid
        if self.marker is None:
            self.marker = add_footprint(self.map, like=grid, name="Chosen cell", color="#FFFFFF")
        self.marker.locations = ring(locate(grid, None, None)[0], cell_bounds(grid, row, column))
