"""Click a place, see what looks like it: an embedding on a map that answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure
from rasterio.warp import transform

from skysense_nb.errors import SceneError, SkySenseError
from skysense_nb.views.features import similarity
from skysense_nb.views.map_figures import as_colours, similarity_figure
from skysense_nb.views.maps import Bounds, add_footprint, add_overlay, locate, overlay, quiet_map, ring


class SimilarityMap:
    """A map on which a click (or row, column and a button) colours every cell by its likeness to the chosen one.

    Show it as the value of a cell; `figure()` is the same answer as a static picture.

    Attributes:
        cell: Chosen (row, column), None before the first choice.
        map: The leafmap map.
        layer: The overlay that the last choice drew.
        marker: White outline of the chosen cell.
        message: One line that says what was chosen, or what went wrong.
    """

    def __init__(self, embedding: xr.DataArray, image: np.ndarray | xr.DataArray | None = None, basemap: bool = False):
        import ipywidgets as widgets

        self.crs, self.bounds = locate(embedding, None, None)
        self.embedding, self.image, self.cell = embedding, image, None
        self.map = quiet_map(around=embedding, basemap=basemap)
        if image is not None:
            add_overlay(self.map, as_colours(image), like=embedding, name="Image")
        add_footprint(self.map, like=embedding, name="Outline")
        self.layer = add_overlay(self.map, np.zeros((2, 2, 4)), like=embedding, name="Likeness", opacity=0.75)
        self.marker = add_footprint(self.map, like=embedding, name="Chosen cell", color="#FFFFFF")
        self.message = widgets.HTML("Click inside the outline, or choose a row and a column.")
        rows, columns = embedding.shape[1:]
        narrow = widgets.Layout(width="150px")
        self.row = widgets.BoundedIntText(min=0, max=rows - 1, description="Row", layout=narrow)
        self.column = widgets.BoundedIntText(min=0, max=columns - 1, description="Column", layout=narrow)
        self.button = widgets.Button(description="Show likeness", tooltip="Colour cells by likeness to this one")
        self.button.on_click(lambda _: self.answer(self.choose, self.row.value, self.column.value))
        self.map.on_interaction(self.on_interaction)
        choice = widgets.HBox([self.row, self.column, self.button])
        self.box = widgets.VBox([self.map, choice, self.message])

    def on_click(self, lat: float, lon: float) -> xr.DataArray:
        """Answers a click at latitude and longitude, degrees.

        Returns:
            Cosine similarity of every cell to the one clicked (y, x).

        Raises:
            SceneError: The click lies outside the embedding, or on a cell without features.
        """
        return self.choose(*cell_at(self.embedding, lat, lon))

    def choose(self, row: int, column: int) -> xr.DataArray:
        """Colours the map by likeness to one cell and returns the similarity (y, x)."""
        likeness = similarity(self.embedding, row, column)
        low = float(likeness.min())
        colours = colormaps["viridis"]((likeness.values - low) / max(1 - low, 1e-9))
        colours[~np.isfinite(likeness.values)] = np.nan
        self.layer.url, self.layer.bounds = overlay(colours, self.crs, self.bounds)
        self.marker.locations = ring(self.crs, cell_bounds(self.embedding, row, column))
        self.cell, self.row.value, self.column.value = (row, column), row, column
        self.message.value = (
            f"Row {row}, column {column}. Yellow cells are most alike (1), blue ones least ({low:.2f}); "
            f"{float((likeness > 0.9).mean()):.0%} of the place is above 0.9."
        )
        return likeness

    def on_interaction(self, **event: Any) -> None:
        """Passes clicks of the map on; ipyleaflet also reports every movement of the mouse."""
        if event.get("type") == "click":
            self.answer(self.on_click, *event["coordinates"])

    def answer(self, handler, *arguments) -> None:
        """Runs a handler and shows its refusal as a line of text, where a callback would swallow it."""
        try:
            handler(*arguments)
        except SkySenseError as error:
            self.message.value = f"<b>{error}</b>"

    def figure(self) -> Figure:
        """The last answer as a static picture; before a choice, of the cell in the middle."""
        rows, columns = self.embedding.shape[1:]
        row, column = self.cell or (rows // 2, columns // 2)
        return similarity_figure(self.embedding, row, column, self.image)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box)


def similarity_map(
    embedding: xr.DataArray, image: np.ndarray | xr.DataArray | None = None, *, basemap: bool = False
) -> SimilarityMap:
    """A map of one embedding that answers clicks with the likeness of every cell.

    Args:
        embedding: Features (feature, y, x) with a CRS.
        image: Colours (y, x, 3) or an image with bands over the same ground, drawn below.
        basemap: OpenStreetMap as background, for readers with a network.

    Example:
        >>> explorer = similarity_map(embedding, image)  # doctest: +SKIP
        >>> explorer                                     # doctest: +SKIP
    """
    if not isinstance(embedding, xr.DataArray) or embedding.ndim != 3:
        raise SceneError.of(
            "an embedding as DataArray (feature, y, x)", type(embedding).__name__, "Take the one that embed returns."
        )
    return SimilarityMap(embedding, image, basemap)


def cell_at(embedding: xr.DataArray, lat: float, lon: float) -> tuple[int, int]:
    """Row and column of the cell at latitude and longitude, degrees.

    Raises:
        SceneError: No cell there.
    """
    crs, (left, bottom, right, top) = locate(embedding, None, None)
    (x,), (y,) = transform("EPSG:4326", crs, [lon], [lat])
    _, rows, columns = embedding.shape
    row, column = int(np.floor((top - y) / (top - bottom) * rows)), int(np.floor((x - left) / (right - left) * columns))
    if not (0 <= row < rows and 0 <= column < columns):
        raise SceneError.of(
            "a click inside the outline", f"latitude {lat:.4f}, longitude {lon:.4f}", "Click inside it."
        )
    return row, column


def cell_bounds(embedding: xr.DataArray, row: int, column: int) -> Bounds:
    """Outer edges of one cell in the embedding's CRS."""
    left, bottom, right, top = embedding.rio.bounds()
    _, rows, columns = embedding.shape
    width, height = (right - left) / columns, (top - bottom) / rows
    return left + column * width, top - (row + 1) * height, left + (column + 1) * width, top - row * height
