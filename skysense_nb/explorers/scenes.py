"""All sensors of a scene on one map, date by date, and what they measured at a place."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rasterio.warp import transform

from skysense_nb.data.scene import check_one_crs, pixel_size
from skysense_nb.errors import SceneError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.ground import Ground
from skysense_nb.explorers.picture import Picture
from skysense_nb.explorers.sensor_layer import WORDS, SensorLayer
from skysense_nb.views import PixelSeries, cell_at, check_cell, cloud_overlay, pixel_figure
from skysense_nb.views.scene_figures import choose_date, sensors_of


class SceneExplorer(Explorer):
    """Three sensors in step: each shows its image nearest to the chosen date and says which.

    A click, or row and column of a cell of the coarsest sensor, shows what all sensors measured there.

    Args:
        scene: With children among `hr`, `s2`, `s1`. High resolution lies on top, radar at the bottom.
        basemap: OpenStreetMap as background, for readers with a network.

    Attributes:
        shown: Number of the image that each sensor shows, by name.
        place: Chosen place (x, y) in the scene's CRS, None before the first choice.
        pixels: What the sensors measured there, by name.

    Raises:
        SceneError: Not a scene, or sensors without or of several CRSs.

    Example:
        >>> SceneExplorer(scene)                         # doctest: +SKIP
    """

    def __init__(self, scene: xr.DataTree, *, basemap: bool = False) -> None:
        super().__init__()
        nodes = nodes_of(scene)
        busiest = max(nodes, key=lambda name: nodes[name].sizes["time"])
        self.sensors = {name: SensorLayer(name, node, name == busiest) for name, node in nodes.items()}
        self.cells = max(nodes.values(), key=pixel_size)["image"]
        self.place, self.pixels, self.shown = None, {}, {}
        self.ground = Ground(self.cells, basemap=basemap, height="480px")
        for one in reversed(self.sensors.values()):
            self.ground.lay(one.title, np.full((2, 2, 3), np.nan))
        for one in self.sensors.values():
            if one.clear is not None:
                self.ground.lay(f"Clouds of {one.title}", np.full((2, 2, 3), np.nan))

        stops = np.unique(np.concatenate([one.times for one in self.sensors.values()]))
        first = self.sensors[busiest].times[choose_date(nodes[busiest], None)]
        wide, half = widgets.Layout(width="95%"), widgets.Layout(width="50%")
        narrow = widgets.Layout(width="150px")
        self.date = widgets.SelectionSlider(
            options=list(zip(date_texts(stops), stops, strict=True)), value=first, description="Date",
            continuous_update=False, layout=wide,
        )  # fmt: skip
        self.clouds = widgets.Checkbox(True, description="Tint clouds purple", indent=False)
        rows, columns = self.cells.shape[-2:]
        self.row = widgets.BoundedIntText(min=0, max=rows - 1, description="Row", layout=narrow)
        self.column = widgets.BoundedIntText(min=0, max=columns - 1, description="Column", layout=narrow)
        self.button = widgets.Button(description="Show place", tooltip="Spectrum and series of this cell")
        self.picture = Picture(layout=half)
        self.ground.map.layout.width = "50%"
        self.when_clicked(self.ground.map, self.on_click)
        self.when_pressed(self.button, lambda: self.choose(self.row.value, self.column.value))
        self.when_changed(self.date, lambda _: self.draw())
        self.when_changed(self.clouds, lambda _: self.draw())
        for one in self.sensors.values():
            for widget in (one.on, one.recipe, one.opacity):
                self.when_changed(widget, lambda _: self.draw())
        keys = widgets.HBox([self.clouds, self.row, self.column, self.button])
        maps = widgets.HBox([self.ground.map, self.picture])
        self.lay_out(self.date, *(one.row for one in self.sensors.values()), maps, keys)
        self.draw()
        self.say("Click inside the outline, or choose a row and a column, to see what the sensors measured there.")

    def show_date(self, date: str | np.datetime64) -> dict[str, str]:
        """Moves the slider to the stop nearest to a date.

        Returns:
            The date of the image that each sensor shows, by name.

        Raises:
            SceneError: Not a date.
        """
        try:
            wanted = pd.Timestamp(date).to_datetime64()
        except ValueError as error:
            raise SceneError.of("a date such as '2024-06-12'", repr(date), "Write it year-month-day.") from error
        stops = np.array([stop for _, stop in self.date.options])
        self.date.value = stops[np.abs(stops - wanted).argmin()]
        return {name: f"{pd.Timestamp(one.times[self.shown[name]]):%Y-%m-%d}" for name, one in self.sensors.items()}

    def draw(self) -> dict[str, int]:
        """Brings map and chart to the state of the controls; returns the number of each sensor's image."""
        for name, one in self.sensors.items():
            number = self.shown[name] = one.nearest(self.date.value)
            clouds, state = f"Clouds of {one.title}", (number, one.recipe.value)
            if one.on.value and one.drawn != state:
                self.ground.lay(one.title, one.picture(number), like=one.node["image"])
                if one.clear is not None:
                    self.ground.lay(clouds, cloud_overlay(one.veil[number]), like=one.node["image"])
                one.drawn = state
            self.ground.show(one.title, one.on.value)
            self.ground.layers[one.title].opacity = one.opacity.value
            if one.clear is not None:
                self.ground.show(clouds, one.on.value and self.clouds.value)
            one.told.value = one.words(number)
        if self.place is not None:
            self.measure()
        return self.shown

    def on_click(self, lat: float, lon: float) -> dict[str, PixelSeries]:
        """Answers a click at latitude and longitude, degrees: what each sensor measured there, by name.

        Raises:
            SceneError: The click lies outside the scene.
        """
        row, column = cell_at(self.cells, lat, lon)
        (x,), (y,) = transform("EPSG:4326", self.ground.crs, [lon], [lat])
        return self.look_at(x, y, row, column)

    def choose(self, row: int, column: int) -> dict[str, PixelSeries]:
        """What each sensor measured in the middle of a cell of the coarsest one, by name."""
        check_cell(self.cells, row, column)
        return self.look_at(float(self.cells.x[column]), float(self.cells.y[row]), row, column)

    def look_at(self, x: float, y: float, row: int, column: int) -> dict[str, PixelSeries]:
        """Marks a cell and shows what was measured at a place in it."""
        self.place, self.row.value, self.column.value = (x, y), row, column
        self.ground.mark(row, column, self.cells)
        return self.measure()

    def measure(self) -> dict[str, PixelSeries]:
        """What each sensor measured at the chosen place, drawn and said."""
        self.pixels = {name: one.pixel(*self.place, self.shown[name]) for name, one in self.sensors.items()}
        self.picture.draw(pixel_figure(list(self.pixels.values())))
        (lon,), (lat,) = transform(self.ground.crs, "EPSG:4326", [self.place[0]], [self.place[1]])
        where = f"Row {self.row.value}, column {self.column.value} at {lat:.5f}°, {lon:.5f}°"
        self.say(f"{where} (lat, lon).<br>{'<br>'.join(f'{one.words()}.' for one in self.pixels.values())}")
        return self.pixels

    def figure(self) -> Figure:
        """All sensors on the chosen date, with the chosen place and what they measured there."""
        pictures = {}
        for name, one in self.sensors.items():
            title = f"{one.title}\n{one.words(self.shown[name])}\n{WORDS[one.recipe.value]}"
            pictures[title] = one.picture(self.shown[name])
        if self.place is None:
            return pixel_figure([], pictures)
        left, bottom, right, top = self.ground.bounds
        share = ((self.place[0] - left) / (right - left), (top - self.place[1]) / (top - bottom))
        return pixel_figure(list(self.pixels.values()), pictures, share)


def nodes_of(scene: xr.DataTree) -> dict[str, xr.Dataset]:
    """The sensors of a scene by name, checked: all know where they lie, in one CRS."""
    if not isinstance(scene, xr.DataTree):
        got = type(scene).__name__
        raise SceneError.of("a scene as DataTree", got, "Build it with skysense_nb.data.scene.build.")
    nodes = {name: scene[name].to_dataset() for name in sensors_of(scene)}
    for name, node in nodes.items():
        if node["image"].rio.crs is None:
            raise SceneError.of(f"{name} with a CRS", "none", "Write it: image.rio.write_crs('EPSG:…').")
    check_one_crs(nodes)
    return nodes


def date_texts(stops: np.ndarray) -> list[str]:
    """Days; with the time of day where one day has several."""
    texts = [f"{pd.Timestamp(stop):%Y-%m-%d}" for stop in stops]
    several = len(set(texts)) < len(texts)
    return [f"{pd.Timestamp(stop):%Y-%m-%d %H:%M}" for stop in stops] if several else texts
