"""Pictures with what people wrote on them: class names, masks, upright and oriented boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from skysense_nb.views.composites import composite
from skysense_nb.views.furniture import PALETTE, panels, set_description, show

VEIL = 0.55
"""How much of a picture a mask hides."""


@dataclass(frozen=True)
class Annotated:
    """One picture and its annotation.

    Attributes:
        picture: Colours (y, x, 3), 0–1 or 0–255.
        note: Line below the title.
        mask: Class ids (y, x), on the picture's ground in any number of pixels.
        boxes: Corners in pixels of the picture, N 4 2 (x, y).
        classes: Id per box.
        names: Name per class id.
        colours: Colour per class id; by default those that occur share out a palette for colour-blind readers.
    """

    picture: np.ndarray
    note: str = ""
    mask: np.ndarray | None = None
    boxes: np.ndarray | None = None
    classes: Sequence[int] = ()
    names: Sequence[str] = ()
    colours: Sequence | None = None

    def present(self) -> list[int]:
        """Named classes that occur, ascending."""
        found = self.classes if self.mask is None else np.unique(self.mask)
        return sorted({int(number) for number in found if number < len(self.names)})

    def colour(self, number: int) -> str | tuple:
        """Of a class that occurs."""
        if self.colours is not None:
            return self.colours[number]
        return PALETTE[self.present().index(number) % len(PALETTE)]


def annotated_figure(pictures: Mapping[str, Annotated], columns: int = 4, panel_inches: float = 3.2) -> Figure:
    """Pictures side by side, each with its mask laid over it or its boxes drawn, and the classes that occur.

    Args:
        pictures: Per title one.
        columns: Pictures in a row.
        panel_inches: Side of a picture.

    Example:
        >>> annotated_figure({"a": Annotated(np.ones((8, 8, 3)), mask=np.eye(8), names=["no", "yes"])})
        <Figure size 320x355 with 1 Axes>
    """
    figure, axes = panels(len(pictures), columns=columns, panel_inches=panel_inches)
    told = []
    for ax, (title, one) in zip(axes, pictures.items(), strict=True):
        height, width = one.picture.shape[:2]
        show(ax, one.picture, (width, height), f"{title}\n{one.note}" if one.note else title)
        present = one.present()
        if one.mask is not None:
            ax.imshow(veil(one), extent=(0, width, 0, height), interpolation="nearest")
        if one.boxes is not None:
            corners = np.stack([one.boxes[..., 0], height - one.boxes[..., 1]], axis=-1)  # show counts from below
            edges = [one.colour(int(number)) for number in one.classes]
            ax.add_collection(PolyCollection(corners, facecolors="none", edgecolors=edges, linewidths=1.5))
            ax.set_xlim(0, width), ax.set_ylim(0, height)
        if present:
            handles = [Patch(facecolor=one.colour(number), label=one.names[number]) for number in present]
            options = {"fontsize": 6, "framealpha": 0.8, "handlelength": 1.0, "borderpad": 0.3, "labelspacing": 0.2}
            ax.legend(handles=handles, loc="lower left", **options)
        told.append(f"{title}: {one.note or ', '.join(one.names[number] for number in present)}")
    return set_description(figure, f"Pictures with their annotation. {'; '.join(told)}.")


def veil(one: Annotated) -> np.ndarray:
    """A mask as colours with opacity, clear where no class is."""
    colours = np.zeros((*one.mask.shape, 4))
    for number in one.present():
        colours[one.mask == number] = (*to_rgba(one.colour(number))[:3], VEIL)
    return colours


def picture_of(images: np.ndarray, bands: Sequence[str], recipe: str = "true", date: int = 0) -> np.ndarray:
    """Colours of one date of a series with named bands, stretched over all its dates.

    Args:
        images: T C H W, NaN where there is no data.
        bands: Name per channel.
        recipe: As in `composite`; radar takes `sar`.
        date: Number of the date.

    Example:
        >>> picture_of(np.ones((1, 3, 4, 4)), ["R", "G", "B"]).shape
        (4, 4, 3)
    """
    dims = ("time", "band", "y", "x")
    return composite(xr.DataArray(images, dims=dims, coords={"band": list(bands)}), recipe, date=date)
