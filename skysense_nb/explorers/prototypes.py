"""From a region on the map to its prototypes, where they lie, and how they came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure
from pyproj import Transformer
from torch import Tensor

from skysense_nb.errors import SceneError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.picture import Picture
from skysense_nb.explorers.region_map import RegionMap, label
from skysense_nb.models.geo_context import GeoContext, region_bounds, region_of
from skysense_nb.pretraining.prototype_maps import assign, drift, nearest_cells, region_likeness
from skysense_nb.views import curves_figure, pictures_figure
from skysense_nb.views.furniture import PALETTE, class_colours
from skysense_nb.views.map_figures import as_colours, label_figure
from skysense_nb.views.region_figures import regions_figure

CROP_CELLS = 3
"""Side of a picture of a cell and its surroundings."""


class PrototypeExplorer(Explorer):
    """Shows what the prototypes of a region take for one kind of ground; regions by click or by list.

    Args:
        bank: Whose regions are squares of `region_of`.
        embeddings: Fused features (feature, y, x) with CRS of places in its regions, by name.
        images: Of the same places: colours (y, x, 3) or images with bands; places without one are left plain.
        history: Snapshots of `bank.bank` in the order of training, for the drift.

    Attributes:
        region: Chosen region.
        place: Name of the chosen place in it.

    Raises:
        SceneError: No place in a region that the bank knows.

    Example:
        >>> PrototypeExplorer(bank, {"village": embedding})         # doctest: +SKIP
    """

    def __init__(
        self,
        bank: GeoContext,
        embeddings: Mapping[str, xr.DataArray],
        images: Mapping[str, np.ndarray | xr.DataArray] | None = None,
        *,
        history: Sequence[Tensor] = (),
        basemap: bool = False,
    ) -> None:
        super().__init__()
        self.bank, self.embeddings, self.images = bank, dict(embeddings), dict(images or {})
        self.history = list(history)
        self.slots = {int(region): slot for slot, region in enumerate(bank.region_ids.tolist()) if region >= 0}
        homes = {name: home_of(one) for name, one in self.embeddings.items()}
        self.homes = {name: region for name, region in homes.items() if region in self.slots}
        if not self.homes:
            got = f"{len(homes)} places elsewhere"
            raise SceneError.of("places in regions that the bank knows", got, "Let the bank learn there first.")
        listed = list(dict.fromkeys(self.homes.values()))
        likeness = region_likeness(bank.bank[[self.slots[region] for region in listed]].cpu()).numpy()
        self.likeness = {
            one: dict(zip(listed, row.tolist(), strict=True)) for one, row in zip(listed, likeness, strict=True)
        }

        wide = widgets.Layout(width="340px")
        self.regions = widgets.Dropdown(
            options=[(label(one), one) for one in listed], description="Region", layout=wide
        )
        self.places = widgets.Dropdown(description="Place", layout=wide)
        self.prototype = widgets.IntSlider(
            min=0, max=bank.config.prototypes - 1, description="Prototype", continuous_update=False
        )
        self.map = RegionMap(listed, basemap)
        self.assigned, self.tiles, self.moved = Picture(), Picture(), Picture()
        self.when_clicked(self.map.map, self.on_click)
        self.when_changed(self.regions, self.choose_region)
        self.when_changed(self.places, self.choose_place)
        self.when_changed(self.prototype, self.choose_prototype)
        controls = widgets.HBox([self.regions, self.places, self.prototype])
        self.lay_out(self.map.map, controls, self.assigned, self.tiles, *([self.moved] if self.history else []))
        self.choose_region(listed[0])

    @property
    def region(self) -> int:
        return self.regions.value

    @property
    def place(self) -> str:
        return self.places.value

    def prototypes(self, region: int) -> Tensor:
        """K P of a region."""
        return self.bank.bank[self.slots[region]]

    def narrowed(self, name: str) -> Tensor:
        """Cells of a place as wide as the prototypes, h w P."""
        cells = torch.from_numpy(np.asarray(self.embeddings[name], dtype="float32")).permute(1, 2, 0)
        with torch.no_grad():
            return self.bank.query(cells.to(self.bank.bank.device))

    def on_click(self, lat: float, lon: float) -> int:
        """Chooses the region whose mark lies at latitude and longitude, degrees; marks are larger than regions.

        Raises:
            SceneError: No mark there.
        """
        return self.choose_region(self.map.at(lat, lon))

    def choose_region(self, region: int) -> int:
        """Shows a region: likeness of all others to it on the map, its places in the list."""
        if region not in self.likeness:
            raise SceneError.of("a region with places", str(region), "Choose one of the list.")
        with self.unheard():
            self.regions.value = region
            self.places.options = [name for name, home in self.homes.items() if home == region]
        self.map.shade(self.likeness[region], region)
        self.choose_place(self.places.options[0])
        if self.history:
            self.moved.draw(self.drift_figure())
        return region

    def choose_place(self, name: str) -> np.ndarray:
        """Draws the assignment map of a place and returns the numbers of the prototypes (y, x)."""
        if self.homes.get(name) != self.region:
            raise SceneError.of("a place of the chosen region", repr(name), "Choose one of the list.")
        with self.unheard():
            self.places.value = name
        groups = assign(self.narrowed(name), self.prototypes(self.region)).cpu().numpy()
        self.assigned.draw(self.assignment_figure(groups))
        counts = np.bincount(groups.ravel(), minlength=self.bank.config.prototypes)
        self.choose_prototype(self.prototype.value)
        self.say(
            f"{name}: {(counts > 0).sum()} of {len(counts)} prototypes of region {label(self.region)} occur; "
            f"the most frequent is {counts.argmax()} with {counts.max() / counts.sum():.0%} of the cells."
        )
        return groups

    def choose_prototype(self, number: int) -> list[tuple[str, int, int]]:
        """Shows the cells of all places that are most alike to a prototype of the region: (place, row, column)."""
        with self.unheard():
            self.prototype.value = number
        grids = {name: self.narrowed(name) for name in self.homes}
        cells = torch.cat([one.flatten(0, 1) for one in grids.values()])
        found, nearest, tiles = nearest_cells(cells, self.prototypes(self.region)[[number]], 6)[0].tolist(), [], {}
        starts = np.cumsum([0] + [one.shape[0] * one.shape[1] for one in grids.values()])
        names = list(grids)
        for turn, cell in enumerate(found, 1):
            place = int(np.searchsorted(starts, cell, side="right")) - 1
            row, column = divmod(cell - int(starts[place]), grids[names[place]].shape[1])
            nearest.append((names[place], row, column))
            tiles[f"{turn}: {names[place]}"] = self.crop(names[place], row, column)
        self.tiles.draw(pictures_figure(tiles))
        return nearest

    def crop(self, name: str, row: int, column: int) -> np.ndarray:
        """Colours of a cell and its surroundings."""
        rows, columns = self.embeddings[name].shape[1:]
        if name not in self.images:
            return np.full((2, 2, 3), 0.8)
        picture = as_colours(self.images[name])
        height, width = picture.shape[0] / rows, picture.shape[1] / columns
        top, left = (min(max(spot - CROP_CELLS // 2, 0), max(side - CROP_CELLS, 0))
                     for spot, side in ((row, rows), (column, columns)))  # fmt: skip
        ys, xs = (slice(int(start * step), int((start + CROP_CELLS) * step))
                  for start, step in ((top, height), (left, width)))  # fmt: skip
        return picture[ys, xs]

    def assignment_figure(self, groups: np.ndarray) -> Figure:
        """Numbers of prototypes (y, x) as a map with shares, beside the image."""
        grid = self.embeddings[self.place][0]
        count = self.bank.config.prototypes
        names = [f"prototype {number}" for number in range(count)]
        colours = [class_colours(len(PALETTE))[number % len(PALETTE)] for number in range(count)]
        title, image = f"{self.place}: nearest prototype", self.images.get(self.place)
        return label_figure(grid.copy(data=groups), names, colours, image=image, title=title)

    def drift_figure(self) -> Figure:
        """How the prototypes of the region turned towards what they are at the end."""
        turned = drift([one[self.slots[self.region]] for one in self.history])
        curves = {f"prototype {number}": turned[:, number].tolist() for number in range(turned.shape[1])}
        return curves_figure({f"cosine with the last, region {label(self.region)}": curves}, "snapshot")

    def figure(self) -> Figure:
        """The assignment map of the chosen place."""
        return self.assignment_figure(assign(self.narrowed(self.place), self.prototypes(self.region)).cpu().numpy())

    def map_figure(self) -> Figure:
        """Likeness of all regions to the chosen one, on a map."""
        values = {region_bounds(other): value for other, value in self.likeness[self.region].items()}
        return regions_figure({f"to region {label(self.region)}": values}, "likeness")


def home_of(embedding: xr.DataArray) -> int:
    """Region of the middle of an embedding."""
    if not isinstance(embedding, xr.DataArray) or embedding.ndim != 3 or embedding.rio.crs is None:
        raise SceneError.of("embeddings (feature, y, x) with a CRS", type(embedding).__name__, "Take those of embed.")
    left, bottom, right, top = embedding.rio.bounds()
    to_degrees = Transformer.from_crs(embedding.rio.crs, 4326, always_xy=True)
    return int(region_of(torch.tensor(to_degrees.transform((left + right) / 2, (bottom + top) / 2))))
