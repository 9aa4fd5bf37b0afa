"""Regions of the prototypes as squares on a map, large enough to click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from skysense_nb.errors import SceneError
from skysense_nb.models.geo_context import region_bounds
from skysense_nb.views import quiet_map
from skysense_nb.views.furniture import PALETTE

LEAST_PIXELS = 14
"""Drawn size of a region, which would be a dot on a map of a continent."""

MAP_PIXELS = 300


class RegionMap:
    """A map that shows all of some regions.

    Args:
        regions: Numbers of `region_of`.
        basemap: OpenStreetMap as background, for readers with a network.

    Attributes:
        map: The leafmap map.
        marks: A rectangle per region.
    """

    def __init__(self, regions: Sequence[int], basemap: bool = False) -> None:
        import ipyleaflet

        edges = np.array([region_bounds(region) for region in regions])
        (west, south), (east, north) = edges[:, :2].min(0), edges[:, 2:].max(0)
        extent = max(north - south, (east - west) / 2, 0.5)
        zoom = int(np.clip(np.log2(MAP_PIXELS / 256 * 180 / extent), 1, 9))
        center = float(south + north) / 2, float(west + east) / 2
        self.map, self.marks = quiet_map(center, zoom, basemap=basemap, height=f"{MAP_PIXELS}px"), {}
        reach = LEAST_PIXELS / 2 * 360 / 256 / 2**zoom
        for region, (west, south, east, north) in zip(regions, edges.tolist(), strict=True):
            lon, lat = (west + east) / 2, (south + north) / 2
            across, up = max(reach, (east - west) / 2), max(reach * np.cos(np.radians(lat)), (north - south) / 2)
            bounds = ((lat - up, lon - across), (lat + up, lon + across))
            self.marks[region] = ipyleaflet.Rectangle(bounds=bounds, fill_color=PALETTE[2], name=label(region))
            self.map.add(self.marks[region])

    def at(self, lat: float, lon: float) -> int:
        """The region whose mark lies at latitude and longitude, degrees; the nearest where marks overlap.

        Raises:
            SceneError: No mark there.
        """
        hits = {}
        for region, mark in self.marks.items():
            (south, west), (north, east) = mark.bounds
            if west <= lon <= east and south <= lat <= north:
                hits[region] = ((west + east) / 2 - lon) ** 2 + ((south + north) / 2 - lat) ** 2
        if not hits:
            got = f"latitude {lat:.2f}, longitude {lon:.2f}"
            raise SceneError.of("a click on a marked region", got, "Click on a square, or choose from the list.")
        return min(hits, key=hits.get)

    def shade(self, values: Mapping[int, float], chosen: int) -> None:
        """Fills marks by their values, the highest darkest, and outlines one in black."""
        low, high = min(values.values()), max(values.values())
        for region, mark in self.marks.items():
            mark.color, mark.weight = ("#000000", 3) if region == chosen else (PALETTE[0], 1)
            mark.fill_opacity = 0.15 + 0.8 * (values[region] - low) / max(high - low, 1e-9)


def label(region: int) -> str:
    """A region by the degrees of its middle.

    Example:
        >>> import torch
        >>> from skysense_nb.models.geo_context import region_of
        >>> label(int(region_of(torch.tensor([11.6, 48.1]))))
        '47.9°N 11.4°E'
    """
    west, south, east, north = region_bounds(region)
    lat, lon = (south + north) / 2, (west + east) / 2
    return f"{abs(lat):.1f}°{'N' if lat >= 0 else 'S'} {abs(lon):.1f}°{'E' if lon >= 0 else 'W'}"
