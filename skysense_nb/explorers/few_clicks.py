"""Label a few cells by clicking, and see at once what all others are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import xarray as xr
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from skysense_nb.errors import SceneError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.ground import Ground
from skysense_nb.tasks.click_files import read_clicks, save_map
from skysense_nb.tasks.few_clicks import Click, FewClickHead, suggest
from skysense_nb.views import cell_at, clicks_figure, confidence_colours, marks_picture
from skysense_nb.views.furniture import class_colours, ground_size_m
from skysense_nb.views.map_figures import as_colours

KEPT = {"every 4th of a class": 4, "every 3rd of a class": 3, "none": 0, "all that follow": 1}
"""Which new clicks are held out: every so many-th of its class."""


class FewClickMapper(Explorer):
    """Turns a few labelled cells into a map of classes, with a score that is honest.

    Choose a class and click cells of it; or type row and column and press "Add click". As soon as two classes have a
    click, a linear head is trained on their features and colours the place, faintly where it is not sure. Some clicks
    are held out: nothing is trained on them, they give the score.

    Args:
        embedding: Features (feature, y, x) with a CRS.
        image: Colours (y, x, 3) or an image with bands over the same ground, drawn below.
        classes: Names, or colours by name.
        truth: Numbers of classes (y, x) in the order of `classes`, where they are known; others count as unknown.
        basemap: OpenStreetMap as background, for readers with a network.

    Attributes:
        clicks: Labelled cells in the order of clicking.
        probabilities: K h w, or None before two classes have a click.

    Raises:
        SceneError: No embedding, one without CRS, fewer than two names, or truth of another grid.

    Example:
        >>> FewClickMapper(embedding, image, classes=("water", "field", "forest"))       # doctest: +SKIP
    """

    def __init__(
        self,
        embedding: xr.DataArray,
        image: np.ndarray | xr.DataArray | None = None,
        classes: Sequence[str] | Mapping[str, str] = ("water", "land"),
        *,
        truth: np.ndarray | xr.DataArray | None = None,
        basemap: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(embedding, xr.DataArray) or embedding.ndim != 3:
            got = type(embedding).__name__ + (f" of {embedding.ndim} dimensions" if hasattr(embedding, "ndim") else "")
            raise SceneError.of("an embedding as DataArray (feature, y, x)", got, "Take the one that embed returns.")
        self.names = list(classes) if not isinstance(classes, str) else [classes]
        if len(set(self.names)) < max(2, len(self.names)):
            raise SceneError.of("two or more different classes", f"{self.names}", "Name them: classes=('water', …).")
        if truth is not None and np.shape(truth) != embedding.shape[1:]:
            fix = "Take the class of each ground cell."
            raise SceneError.of(f"truth of {embedding.shape[1:]} cells", f"{np.shape(truth)}", fix)
        colours = list(classes.values()) if isinstance(classes, Mapping) else None
        self.colours = class_colours(len(self.names), colours)
        self.embedding, self.image = embedding, image
        self.truth = None if truth is None else np.asarray(truth)
        self.ground = Ground(embedding, basemap=basemap)
        self.head = FewClickHead(embedding.values, len(self.names))
        self.clicks: list[Click] = []
        self.history: list[list[Click]] = []
        self.probabilities: np.ndarray | None = None
        if image is not None:
            self.ground.lay("Image", as_colours(image))
        self.ground.lay("Classes", np.full((2, 2, 3), np.nan), opacity=0.75)
        self.ground.lay("Clicks", np.full((2, 2, 3), np.nan))
        self.build_controls()
        self.say("Choose a class, then click cells of it inside the outline.")

    def build_controls(self) -> None:
        """Makes the widgets and connects them."""
        rows, columns = self.embedding.shape[1:]
        narrow, wide = widgets.Layout(width="150px"), {"description_width": "initial"}
        options = [(f"{number} {name}", number - 1) for number, name in enumerate(self.names, 1)]
        self.label = widgets.ToggleButtons(
            options=options, description="Class", style={"button_width": "auto"}, layout=widgets.Layout(width="auto")
        )
        self.kept = widgets.Dropdown(options=KEPT, value=4, description="Held out", style=wide)
        self.row = widgets.BoundedIntText(min=0, max=rows - 1, description="Row", layout=narrow)
        self.column = widgets.BoundedIntText(min=0, max=columns - 1, description="Column", layout=narrow)
        self.add_button = widgets.Button(description="Add click", tooltip="Label the cell at this row and column")
        self.undo_button = widgets.Button(description="Undo", tooltip="Take the last click back")
        self.suggest_button = widgets.Button(description="Suggest", tooltip="Outline the cell to label next")
        self.least = widgets.FloatSlider(
            min=0, max=1, step=0.05, description="Least confidence", continuous_update=False, style=wide
        )
        self.folder = widgets.Text(value="few_clicks", description="New folder", style=wide)
        self.save_button = widgets.Button(description="Save", tooltip="Write clicks, classes and confidence")
        self.counts = widgets.HTML()
        self.when_clicked(self.ground.map, self.on_click)
        self.when_pressed(self.add_button, lambda: self.add(self.row.value, self.column.value))
        self.when_pressed(self.undo_button, self.undo)
        self.when_pressed(self.suggest_button, self.suggest)
        self.when_pressed(self.save_button, lambda: self.save(self.folder.value))
        self.when_changed(self.least, lambda _: self.draw())
        self.lay_out(
            widgets.HBox([self.label, self.kept], layout=widgets.Layout(flex_flow="row wrap")),
            self.ground.map,
            self.counts,
            widgets.HBox([self.row, self.column, self.add_button, self.undo_button, self.suggest_button]),
            widgets.HBox([self.least, self.folder, self.save_button]),
        )
        self.count()

    def on_click(self, lat: float, lon: float) -> Click:
        """Answers a click at latitude and longitude, degrees, with the labelled cell."""
        return self.add(*cell_at(self.embedding, lat, lon))

    def add(self, row: int, column: int, name: str | None = None, held_out: bool | None = None) -> Click:
        """Labels a cell and maps anew; a cell that has a label gets the new one in its place.

        Args:
            row, column: From the top and from the left.
            name: Of the class; by default the one that is chosen.
            held_out: Keep it for the score; by default as chosen under "Held out".

        Raises:
            SceneError: An unknown class.
            SampleError: A cell outside the place, or without features.
        """
        if name is not None and name not in self.names:
            raise SceneError.of(f"a class among {', '.join(self.names)}", repr(name), "Choose one of these.")
        label = self.label.value if name is None else self.names.index(name)
        others = [click for click in self.clicks if (click.row, click.column) != (row, column)]
        if held_out is None:
            every, nth = self.kept.value, sum(click.label == label for click in others) + 1
            held_out = bool(every) and nth % every == 0
        click = Click(int(row), int(column), label, held_out)
        self.head.check_inside([click])
        self.row.value, self.column.value = click.row, click.column
        self.ground.mark(click.row, click.column, self.embedding)
        self.take([*others, click])
        where = f"Row {row}, column {column}{' (held out)' if held_out else ''}"
        self.say(f"{where}: {escape(self.names[label])}. {self.score()}")
        return click

    def take(self, clicks: Sequence[Click]) -> np.ndarray | None:
        """Takes these clicks in place of those there are, and returns the probabilities (K, h, w) they teach."""
        self.head.check_inside(clicks)
        self.history.append(self.clicks)
        return self.learn(clicks)

    def learn(self, clicks: Sequence[Click]) -> np.ndarray | None:
        """Trains on the clicks, where they are of two classes, and draws."""
        self.clicks = list(clicks)
        enough = len({click.label for click in self.clicks if not click.held_out}) > 1
        self.probabilities = self.head.probabilities(self.clicks) if enough else None
        self.ground.lay("Clicks", marks_picture(self.embedding.shape[1:], self.clicks, self.colours))
        self.draw()
        self.count()
        return self.probabilities

    def undo(self) -> list[Click]:
        """Takes the last change of the clicks back, and returns those that are left."""
        if not self.history:
            raise SceneError.of("a click to take back", "none", "Click on the map first.")
        self.learn(self.history.pop())
        self.say(f"Taken back; {len(self.clicks)} clicks are left. {self.score()}")
        return self.clicks

    def suggest(self) -> tuple[int, int]:
        """Outlines the cell whose two best classes are closest, and returns its row and column."""
        if self.probabilities is None:
            raise SceneError.of("clicks of two classes", "fewer", "Click cells of another class first.")
        row, column = suggest(self.probabilities, self.clicks)
        first, second = np.argsort(-self.probabilities[:, row, column], kind="stable")[:2]
        self.row.value, self.column.value = row, column
        self.ground.mark(row, column, self.embedding)
        what = f"{escape(self.names[first])} or {escape(self.names[second])}"
        self.say(f"Row {row}, column {column} (white outline): {what}? Choose its class and press “Add click”.")
        return row, column

    def save(self, folder: str | Path) -> list[Path]:
        """Writes `clicks.gpkg`, `classes.tif` and `confidence.tif` into a new folder; see `tasks.click_files`."""
        if self.probabilities is None:
            raise SceneError.of("a map to save", "clicks of fewer than two classes", "Click another class first.")
        written = save_map(folder, self.clicks, self.probabilities, self.names, self.colours, self.embedding)
        self.say(f"Written to {escape(str(folder))}: {', '.join(path.name for path in written)}.")
        return written

    def load(self, path: str | Path) -> list[Click]:
        """Goes on with clicks of a saved folder or GeoPackage, in place of those there are; any grid of this place."""
        self.take(read_clicks(path, self.embedding, self.names)[0])
        self.say(f"{len(self.clicks)} clicks read. {self.score()}")
        return self.clicks

    def score(self) -> str:
        """What the head gets right of cells it was not trained on, in words."""
        if self.probabilities is None:
            return "Click cells of another class to get a map."
        kept, crossed = self.head.held_out(self.clicks), self.head.cross_validated(self.clicks)
        told = [f"Right on {kept.right} of {kept.count} held-out clicks ({kept.accuracy:.0%})"] if kept else []
        if crossed:
            told += [f"leaving blocks out in turn: {crossed.right} of {crossed.count} ({crossed.accuracy:.0%})"]
        if self.truth is not None:
            unclicked = np.isin(self.truth, range(len(self.names))) & np.isfinite(self.probabilities).all(0)
            unclicked[[click.row for click in self.clicks], [click.column for click in self.clicks]] = False
            right = (self.probabilities.argmax(0) == self.truth)[unclicked]
            told += [f"truth: {right.mean():.0%} of {right.size} unclicked cells"] if right.size else []
        told = told or ["No score yet: hold clicks out, or click each class twice, far apart"]
        return f"{'; '.join(told)}."

    def draw(self) -> None:
        """Colours the map by the classes there are, less sure cells fainter."""
        shown = np.full((2, 2, 3), np.nan)
        if self.probabilities is not None:
            shown = confidence_colours(self.probabilities, self.colours, self.least.value)
        self.ground.lay("Classes", shown)

    def count(self) -> None:
        """Writes the legend with the clicks of each class."""
        tally, words = Counter((click.label, click.held_out) for click in self.clicks), []
        for number, name in enumerate(self.names):
            square = f'<span aria-hidden="true" style="color:{to_hex(self.colours[number])}">■</span>'
            words.append(
                f"{square} {number + 1} {escape(name)}: {tally[number, False]} + {tally[number, True]} held out"
            )
        self.counts.value = " · ".join(words) + " (discs are trained on, squares held out)"

    def figure(self) -> Figure:
        """The clicks and the map of classes as a static picture."""
        return clicks_figure(
            self.clicks,
            self.names,
            self.colours,
            ground_size_m(self.embedding),
            self.embedding.shape[1:],
            probabilities=self.probabilities,
            picture=None if self.image is None else as_colours(self.image),
            least=self.least.value,
        )
