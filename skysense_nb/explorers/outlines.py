"""Polygons on a map, the largest with their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import geopandas
    import leafmap

NOTHING = {"type": "FeatureCollection", "features": []}

NUMBERED = 20
"""Polygons with a number on the map."""

LABEL = (
    '<span style="background: white; color: black; border: 1px solid black; padding: 0 3px; font-size: 11px">{}</span>'
)


class Outlines:
    """A layer of polygons that is drawn anew, with one of them marked.

    Args:
        shown: The map.
        name: In the list of layers.
        color: Of the lines.
        dashed: Whether lines are dashed.
        when_chosen: If given, the largest polygons, which come first, carry numbers, and a click on one calls this
            with it: the map does not hear of clicks on numbers.
    """

    def __init__(
        self,
        shown: leafmap.Map,
        name: str,
        color: str,
        *,
        dashed: bool = False,
        when_chosen: Callable[[int], Any] | None = None,
    ) -> None:
        import ipyleaflet

        style = {"color": color, "weight": 2, "fill": False, **({"dashArray": "6 4"} if dashed else {})}
        self.layer = ipyleaflet.GeoJSON(data=NOTHING, style=style, hover_style={}, name=name)
        shown.add(self.layer)
        self.when_chosen = when_chosen
        self.labels = self.marked = self.polygons = None
        if when_chosen is not None:
            white = {"color": "#FFFFFF", "weight": 5, "opacity": 0.8, "fill": False}
            self.marked = ipyleaflet.GeoJSON(data=NOTHING, style=white, hover_style={}, name="Chosen polygon")
            self.labels = ipyleaflet.LayerGroup(name="Numbers")
            shown.add(self.marked)
            shown.add(self.labels)

    def draw(self, polygons: geopandas.GeoDataFrame) -> None:
        """Shows polygons in place of the last ones."""
        import ipyleaflet

        self.polygons, self.on_map = polygons, polygons[["geometry"]].to_crs(4326)
        self.layer.data = as_json(self.on_map)
        self.mark(None)
        if self.labels is None:
            return
        earlier = self.labels.layers
        points = self.on_map.geometry.head(NUMBERED).representative_point()
        self.labels.layers = tuple(
            ipyleaflet.Marker(
                location=(point.y, point.x), draggable=False, keyboard=False, title=f"Polygon {number}",
                icon=ipyleaflet.DivIcon(html=LABEL.format(number), icon_size=[0, 0], bg_pos=[0, 0]),
            )
            for number, point in enumerate(points, 1)
        )  # fmt: skip
        for number, marker in enumerate(self.labels.layers, 1):
            marker.on_click(lambda number=number, **event: self.when_chosen(number))
        for marker in earlier:
            marker.icon.close()
            marker.close()

    def mark(self, number: int | None) -> None:
        """Marks one polygon, counted from 1, or none."""
        if self.marked is not None:
            self.marked.data = NOTHING if number is None else as_json(self.on_map.iloc[[number - 1]])

    def shares(self, bounds: tuple[float, float, float, float]) -> list[np.ndarray]:
        """Outlines with their holes (N 2) as shares of width and height from the lower left corner of `bounds`."""
        left, bottom, right, top = bounds
        rings = [ring for one in self.polygons.geometry for ring in (one.exterior, *one.interiors)]
        return [(np.asarray(ring.coords) - (left, bottom)) / (right - left, top - bottom) for ring in rings]


def as_json(polygons: geopandas.GeoDataFrame) -> dict:
    """Polygons in degrees as GeoJSON."""
    return json.loads(polygons.to_json())
