"""Click a place, see what looks like it: here, and at other places."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.figure import Figure

from skysense_nb.errors import SceneError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.ground import Ground
from skysense_nb.explorers.long_work import LongWork
from skysense_nb.explorers.picture import Picture
from skysense_nb.views import cell_at, check_cell, quantity_maps_figure, similarity_figure
from skysense_nb.views.map_figures import as_colours

Embeddings = xr.DataArray | Mapping[str, xr.DataArray]


class SimilarityExplorer(Explorer):
    """Colours every cell by its cosine similarity to a chosen one; by click, or by row, column and a button.

    Args:
        embedding: Features (feature, y, x) with a CRS; or several of the same grid by name, such as one per sensor
            and the fused ones, to choose from.
        image: Colours (y, x, 3) or an image with bands over the same ground, drawn below.
        others: Embeddings of other places by name, for "Compare places"; as `embedding`, with the same names.
        basemap: OpenStreetMap as background, for readers with a network.

    Attributes:
        cell: Chosen (row, column), None before the first choice.
        likeness: Similarity (y, x) to it.
        elsewhere: Similarity of the cells of other places to it, by name, after `compare`.

    Raises:
        SceneError: No embedding, one without CRS, or grids that differ.

    Example:
        >>> SimilarityExplorer(embedding, image)         # doctest: +SKIP
    """

    def __init__(
        self,
        embedding: Embeddings,
        image: np.ndarray | xr.DataArray | None = None,
        *,
        others: Mapping[str, Embeddings] | None = None,
        basemap: bool = False,
    ) -> None:
        super().__init__()
        self.embeddings = by_name(embedding)
        self.others = {place: by_name(one) for place, one in (others or {}).items()}
        first = next(iter(self.embeddings.values()))
        self.image, self.cell, self.likeness, self.elsewhere = image, None, None, {}
        self.directions = {name: unit_vectors(one) for name, one in self.embeddings.items()}
        self.ground = Ground(first, basemap=basemap)
        if image is not None:
            self.ground.lay("Image", as_colours(image))
        self.ground.lay("Likeness", np.full((2, 2, 3), np.nan), opacity=0.75)

        rows, columns = first.shape[1:]
        narrow = widgets.Layout(width="150px")
        self.features = widgets.Dropdown(options=list(self.embeddings), description="Features")
        self.row = widgets.BoundedIntText(min=0, max=rows - 1, description="Row", layout=narrow)
        self.column = widgets.BoundedIntText(min=0, max=columns - 1, description="Column", layout=narrow)
        self.button = widgets.Button(description="Show likeness", tooltip="Colour cells by likeness to this one")
        self.compare_button = widgets.Button(description="Compare places", tooltip="Likeness of cells elsewhere")
        self.work, self.picture = LongWork(self, "Places"), Picture()
        self.when_clicked(self.ground.map, self.on_click)
        self.when_pressed(self.button, lambda: self.choose(self.row.value, self.column.value))
        self.when_changed(self.features, lambda _: self.cell and self.choose(*self.cell))
        self.when_pressed(self.compare_button, self.compare)
        choice = [self.features] * (len(self.embeddings) > 1) + [self.row, self.column, self.button]
        places = [widgets.HBox([self.compare_button, self.work.box]), self.picture] if self.others else []
        self.lay_out(self.ground.map, widgets.HBox(choice), *places)
        self.say("Click inside the outline, or choose a row and a column.")

    @property
    def embedding(self) -> xr.DataArray:
        """The features that are compared."""
        return self.embeddings[self.features.value]

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
        check_cell(self.embedding, row, column)
        directions = self.directions[self.features.value]
        likeness = np.clip(np.tensordot(directions[:, row, column], directions, 1), -1, 1)
        if not np.isfinite(likeness[row, column]):
            raise SceneError.of("a cell with features", f"none at row {row}, column {column}", "Choose another cell.")
        self.likeness = self.embedding[0].drop_vars("feature", errors="ignore").copy(data=likeness).rename("similarity")
        self.ground.lay("Likeness", coloured(likeness))
        self.ground.mark(row, column, self.embedding)
        self.cell, self.row.value, self.column.value, self.elsewhere = (row, column), row, column, {}
        self.say(
            f"Row {row}, column {column}. Yellow cells are most alike (1), blue ones least "
            f"({np.nanmin(likeness):.2f}); {np.mean(likeness > 0.9):.0%} of the place is above 0.9."
        )
        return self.likeness

    def compare(self) -> LongWork:
        """Begins to compare the cells of all other places with the chosen one; place by place, can be stopped."""
        if self.cell is None:
            raise SceneError.of("a chosen cell", "none", "Click on the map first.")
        name, (row, column) = self.features.value, self.cell
        wanted = self.directions[name][:, row, column]

        def step(place: str) -> None:
            self.elsewhere[place] = np.clip(np.tensordot(wanted, unit_vectors(self.others[place][name]), 1), -1, 1)

        def done(count: int, complete: bool) -> None:
            if self.elsewhere:
                self.picture.draw(quantity_maps_figure(self.elsewhere, f"similarity to the chosen cell ({name})"))
            best = max(self.elsewhere, key=lambda place: np.nanmax(self.elsewhere[place]), default="none")
            self.say(f"{count} of {len(self.others)} places{'' if complete else ', stopped'}; nearest cell in: {best}.")

        self.elsewhere = {}
        self.work.start(self.others, step, done)
        return self.work

    def figure(self) -> Figure:
        """The last answer as a static picture; before a choice, of the cell in the middle."""
        rows, columns = self.embedding.shape[1:]
        row, column = self.cell or (rows // 2, columns // 2)
        return similarity_figure(self.embedding, row, column, self.image)


def by_name(embedding: Embeddings) -> dict[str, xr.DataArray]:
    """Embeddings by name, checked: one grid, three dimensions."""
    named = dict(embedding) if isinstance(embedding, Mapping) else {"features": embedding}
    for one in named.values():
        if not isinstance(one, xr.DataArray) or one.ndim != 3:
            got = type(one).__name__ if not isinstance(one, xr.DataArray) else f"{one.ndim} dimensions"
            raise SceneError.of("an embedding as DataArray (feature, y, x)", got, "Take the one that embed returns.")
    if len({one.shape[1:] for one in named.values()}) != 1:
        got = ", ".join(f"{name} {one.shape[1:]}" for name, one in named.items()) or "none"
        raise SceneError.of("embeddings of one grid", got, "Embed all sensors of one scene.")
    return named


def unit_vectors(embedding: xr.DataArray) -> np.ndarray:
    """Features of length one (D, h, w) fp32; cells without features are NaN."""
    values = np.asarray(embedding, dtype="float32")
    length = np.sqrt(np.einsum("dhw,dhw->hw", values, values))
    return values / np.where(length > 0, length, np.nan)


def coloured(likeness: np.ndarray) -> np.ndarray:
    """Similarity (y, x) from its lowest value to 1 in viridis' colours (y, x, 4); NaN stays transparent."""
    low = float(np.nanmin(likeness))
    colours = colormaps["viridis"]((likeness - low) / max(1 - low, 1e-9))
    colours[~np.isfinite(likeness)] = np.nan
    return colours
