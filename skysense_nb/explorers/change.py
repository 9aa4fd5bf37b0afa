"""Two dates of a place on one map, and what changed between them as polygons to carry on with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets
import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from skysense_nb.errors import SceneError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.ground import Ground
from skysense_nb.explorers.outlines import Outlines
from skysense_nb.tasks.change_polygons import changed_areas, check_score, outlined, save_polygons
from skysense_nb.tasks.metrics import ChangeF1
from skysense_nb.tasks.scores import Scores
from skysense_nb.views import cell_at, change_figure
from skysense_nb.views.change_figures import FOUND, TRUE
from skysense_nb.views.furniture import ground_size_m
from skysense_nb.views.map_figures import as_colours

if TYPE_CHECKING:
    import geopandas

SWIPED_PIXELS = 640
"""Pictures are thinned to this many rows and columns, so that the border moves in a fraction of a second."""

LISTED = 8
"""Polygons in the list beside the map."""


class ChangeExplorer(Explorer):
    """Swipe between two dates, choose how sure and how large a change must be, take the polygons away.

    Args:
        before, after: Colours (y, x, 3) or an image with bands, both over the ground of the score.
        score: Of change, 0–1 (y, x), with a CRS; NaN where nothing is known.
        truth: What truly changed (y, x), 1 or True; 255 is not known.
        basemap: OpenStreetMap as background, for readers with a network.

    Attributes:
        scores: F1 of change with precision, recall and IoU of the chosen cells; None without truth.

    Raises:
        SceneError: A score without CRS or out of 0–1, images of other ground, truth of another grid.

    Example:
        >>> ChangeExplorer(first, second, score)         # doctest: +SKIP
    """

    def __init__(
        self,
        before: np.ndarray | xr.DataArray,
        after: np.ndarray | xr.DataArray,
        score: xr.DataArray,
        truth: np.ndarray | xr.DataArray | None = None,
        *,
        basemap: bool = False,
    ) -> None:
        super().__init__()
        check_score(score)
        self.score, self.truth, self.scores = score, checked_truth(truth, score), None
        self.before, self.after = (picture_of_ground(one, score) for one in (before, after))
        self.ground = Ground(score, basemap=basemap, height="480px")
        self.ground.map.layout.width = "60%"
        self.ground.lay("Before", self.before)
        self.ground.lay("After", self.after)
        self.true = None
        if self.truth is not None:
            self.true = Outlines(self.ground.map, "Truth", TRUE["color"], dashed=True)
            true = score.copy(data=(self.truth == 1).astype("float64"))
            self.true.draw(outlined(true, changed_areas(true, 0.5)))
        answer = partial(self.answer, self.choose)
        self.found = Outlines(self.ground.map, "Found", FOUND["color"], when_chosen=answer)

        wide, style = widgets.Layout(width="95%"), {"description_width": "8em"}
        look = {"layout": wide, "style": style, "continuous_update": False}
        self.border = widgets.IntSlider(50, min=0, max=100, description="Swipe, %", **look)
        self.threshold = widgets.FloatSlider(0.5, min=0.01, max=1, step=0.01, description="Least score", **look)
        least = {"layout": widgets.Layout(width="16em"), "style": style}
        self.least_area = widgets.BoundedFloatText(0, min=0, max=1e12, description="Least area, m²", **least)
        self.number = widgets.BoundedIntText(0, min=0, max=0, description="Polygon", **least)
        self.list = widgets.HTML()
        self.file = widgets.Text("change.gpkg", description="File", layout=wide, style=style)
        self.save_button = widgets.Button(description="Save polygons", tooltip="Write a new GeoPackage")
        self.when_changed(self.border, self.swipe)
        for widget in (self.threshold, self.least_area):
            self.when_changed(widget, lambda _: self.draw())
        self.when_changed(self.number, lambda number: number and self.choose(number))
        self.when_clicked(self.ground.map, self.on_click)
        self.when_pressed(self.save_button, lambda: self.save(self.file.value))
        beside = [self.threshold, self.least_area, self.number, self.list, self.file, self.save_button]
        column = widgets.VBox(beside, layout=widgets.Layout(width="40%"))
        self.lay_out(self.border, widgets.HBox([self.ground.map, column]))
        self.swipe(50)
        self.draw()

    def polygons(self) -> geopandas.GeoDataFrame:
        """Areas of change as chosen, the largest first, with `score` (mean) and `area_m2`, in the CRS of the score."""
        return self.shown.copy()

    def save(self, path: str | Path) -> Path:
        """Writes the polygons as a new GeoPackage.

        Raises:
            DatasetError: The file exists, or its name does not end in .gpkg.
        """
        path = save_polygons(self.polygons(), path)
        self.say(f"{len(self.shown)} polygons written to {path}.")
        return path

    def swipe(self, percent: int) -> None:
        """Shows the first date left of a border and the second one right of it."""
        column = round(self.after.shape[1] * percent / 100)
        cut = np.array(self.after, dtype="float64")
        cut[:, :column] = np.nan
        if 0 < column < cut.shape[1]:
            cut[:, column - 1], cut[:, column] = 1.0, 0.0  # a white line beside a black one, seen on any ground
        self.ground.lay("After", cut)

    def draw(self) -> geopandas.GeoDataFrame:
        """Brings polygons, list and scores to the state of the controls; returns the polygons."""
        chosen = self.threshold.value, self.least_area.value
        self.marks = changed_areas(self.score, *chosen)
        self.shown = outlined(self.score, self.marks)
        self.found.draw(self.shown)
        self.number.value, self.number.max = 0, len(self.shown)
        self.list.value = table_of(self.shown)
        words = f"{count_of(len(self.shown))}, {self.shown.area_m2.sum():,.0f} m²"
        if self.truth is not None:
            self.scores = f1_of(self.marks > 0, self.truth)
            values = {"F1": self.scores.value, **self.scores.others}
            told = (f"{name} {values[name]:.2f}" for name in ("F1", "precision", "recall"))
            words += f"; against the truth (dashed): {', '.join(told)}"
        self.say(f"{words}. Score at least {chosen[0]:.2f}, area at least {chosen[1]:,.0f} m².")
        return self.shown

    def on_click(self, lat: float, lon: float) -> int:
        """Answers a click at latitude and longitude, degrees, with the number of the polygon there, 0 for none.

        Raises:
            SceneError: The click lies outside the score.
        """
        row, column = cell_at(self.score, lat, lon)
        number = int(self.marks[row, column])
        if number:
            return self.choose(number)
        self.found.mark(None)
        self.say(f"No polygon here: the score is {float(self.score[row, column]):.2f}.")
        return 0

    def choose(self, number: int) -> int:
        """Marks a polygon and says how large it is; returns its number."""
        if not 1 <= number <= len(self.shown):
            raise SceneError.of(f"a polygon among 1–{len(self.shown)}", f"{number}", "Choose one that is there.")
        polygon = self.shown.iloc[number - 1]
        if self.number.value != number:
            self.number.value = number
        self.found.mark(number)
        self.say(f"Polygon {number}: {polygon.area_m2:,.0f} m², mean score {polygon.score:.2f}.")
        return number

    def figure(self) -> Figure:
        """Both dates, the outlines and the score as a static picture."""
        rings = self.found.shares(self.ground.bounds)
        truth = self.true and self.true.shares(self.ground.bounds)
        size, score = ground_size_m(self.score), self.score.values
        return change_figure(self.before, self.after, score, self.threshold.value, rings, truth, size)


def picture_of_ground(image: np.ndarray | xr.DataArray, score: xr.DataArray) -> np.ndarray:
    """Colours (y, x, 3) 0–1 of an image that covers the ground of a score."""
    if isinstance(image, xr.DataArray) and image.rio.crs is not None:
        cell = max(abs(step) for step in score.rio.resolution())
        off = np.abs(np.subtract(image.rio.bounds(), score.rio.bounds())).max()
        if image.rio.crs != score.rio.crs or off > cell / 2:
            got = f"{image.rio.crs}, {image.rio.bounds()}"
            raise SceneError.of("an image over the ground of the score", got, "Cut both to the same bounds and CRS.")
    colours = as_colours(image)
    if colours.ndim != 3 or colours.shape[2] != 3:
        raise SceneError.of("an image (y, x, 3) or with bands", f"shape {colours.shape}", "Take one date of it.")
    steps = [-(-side // SWIPED_PIXELS) for side in colours.shape[:2]]
    colours = colours[:: steps[0], :: steps[1]]
    return colours / 255.0 if colours.dtype == np.uint8 else colours.astype("float64")


def checked_truth(truth: np.ndarray | xr.DataArray | None, score: xr.DataArray) -> np.ndarray | None:
    """Truth as bytes on the grid of the score."""
    if truth is None:
        return None
    values = np.asarray(truth).astype("uint8")
    if values.shape != score.shape or not np.isin(values, (0, 1, 255)).all():
        got = f"shape {values.shape} with values {np.unique(values)[:5].tolist()}"
        raise SceneError.of(f"truth of 0, 1 and 255 on the score's grid {score.shape}", got, "Resample it first.")
    return values


def f1_of(change: np.ndarray, truth: np.ndarray) -> Scores:
    """Scores of cells said to have changed (y, x)."""
    metric = ChangeF1()
    pair = (torch.from_numpy(np.asarray(one, "int64"))[None] for one in (change, truth))
    metric.update(*({"mask": one} for one in pair))
    return metric.compute()


def count_of(number: int) -> str:
    """A number of polygons in words."""
    return f"{number} polygon{'' if number == 1 else 's'}"


def table_of(polygons: geopandas.GeoDataFrame) -> str:
    """The largest polygons as an HTML table."""
    rows = [
        f"<tr><td>{number}</td><td>{one.area_m2:,.0f}</td><td>{one.score:.2f}</td></tr>"
        for number, one in enumerate(polygons.head(LISTED).itertuples(), 1)
    ]
    rest = f"<caption>and {len(polygons) - LISTED} smaller ones</caption>" if len(polygons) > LISTED else ""
    head = "<tr><th>polygon</th><th>area, m²</th><th>mean score</th></tr>"
    return f'<table class="dataframe" style="caption-side: bottom">{rest}{head}{"".join(rows)}</table>'
