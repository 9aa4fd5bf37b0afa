"""Predictions beside the truth: masks with what is wrong in them, boxes that were found, missed and made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skysense_nb.views.furniture import NO_LABEL_GREY, PALETTE, class_colours, legend, panels, set_description, show

FOUND, MISSED, MADE_UP = PALETTE[4], PALETTE[6], PALETTE[5]
STYLES = {"found": (FOUND, "-"), "missed": (MISSED, "--"), "made up": (MADE_UP, ":")}
"""Colour and line of boxes; the lines tell them apart without colours."""


@dataclass(frozen=True)
class PredictedMask:
    """One place with its true and its predicted classes.

    Attributes:
        picture: Colours (y, x, 3), 0–1 or 0–255.
        truth: Class ids (y, x), on the picture's ground in any number of pixels; ids without a name are not known.
        prediction: Class ids on the grid of the truth.
    """

    picture: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray

    @property
    def right(self) -> float:
        """Share of the known pixels whose class is right; NaN where none is known."""
        known = self.truth < 255
        return float((self.truth == self.prediction)[known].mean()) if known.any() else float("nan")


def masks_figure(
    places: Mapping[str, PredictedMask], names: Sequence[str], colours: Sequence | None = None, inches: float = 2.3
) -> Figure:
    """A row per place: picture, truth, prediction, and where they differ.

    Args:
        places: Per title one.
        names: Name per class id.
        colours: Colour per class id, any of matplotlib's or RGB 0–1; by default a palette.
        inches: Side of a panel.

    Example:
        >>> one = PredictedMask(np.ones((8, 8, 3)), np.eye(8, dtype=int), np.zeros((8, 8), int))
        >>> masks_figure({"a": one}, ["no", "yes"])
        <Figure size 920x265 with 4 Axes>
    """
    palette = class_colours(len(names), colours)
    figure, axes = panels(4 * len(places), columns=4, panel_inches=inches)
    seen: set[int] = set()
    for row, (title, one) in enumerate(places.items()):
        size, four = (one.picture.shape[1], one.picture.shape[0]), axes[4 * row : 4 * row + 4]
        unknown = one.truth >= len(names)
        wrong = np.where(unknown, 0.6, np.where(one.truth == one.prediction, 1.0, 0.0))
        show(four[0], one.picture, size, title)
        show(four[1], painted(one.truth, palette), size, "truth")
        show(four[2], painted(one.prediction, palette), size, f"prediction, {one.right:.0%} right")
        show(four[3], wrong, size, "wrong in black", cmap="gray", vmin=0, vmax=1)
        seen |= set(np.unique(one.truth[~unknown]).tolist()) | set(np.unique(one.prediction).tolist())
    present = sorted(number for number in seen if number < len(names))
    legend(axes[3], [names[number] for number in present], [palette[number] for number in present], fontsize=7)
    told = "; ".join(f"{title}: {one.right:.0%} of the pixels right" for title, one in places.items())
    return set_description(figure, f"True and predicted classes. {told}.")


def painted(ids: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Class ids as colours, grey where there is no class of that id."""
    colours = np.concatenate([palette, class_colours(1, [NO_LABEL_GREY])])
    return colours[np.minimum(ids, len(palette))]


@dataclass(frozen=True)
class PredictedBoxes:
    """One picture with true boxes that were found or missed, and boxes that were made up.

    Attributes:
        picture: Colours (y, x, 3), 0–1 or 0–255.
        found, missed, made_up: Corners in pixels of the picture, N 4 2 (x, y); `found` are the true ones.
        labels: Words at the first corner of each box of `found` and `made_up`.
    """

    picture: np.ndarray
    found: np.ndarray
    missed: np.ndarray
    made_up: np.ndarray
    labels: Sequence[str] = ()


def boxes_figure(pictures: Mapping[str, PredictedBoxes], columns: int = 4, inches: float = 3.2) -> Figure:
    """Pictures with their boxes, told apart by colour and line.

    Args:
        pictures: Per title one.
        columns: Pictures in a row.
        inches: Side of a picture.

    Example:
        >>> none = np.zeros((0, 4, 2))
        >>> boxes_figure({"a": PredictedBoxes(np.ones((8, 8, 3)), none, none, none)})
        <Figure size 320x355 with 1 Axes>
    """
    figure, axes = panels(len(pictures), columns=columns, panel_inches=inches)
    told = [f"{title}: {draw_boxes(ax, title, one)}" for ax, (title, one) in zip(axes, pictures.items(), strict=True)]
    explain_lines(axes[-1])
    return set_description(figure, f"Boxes beside the truth. {'; '.join(told)}.")


def draw_boxes(ax: Axes, title: str, one: PredictedBoxes) -> str:
    """One picture with its boxes; returns the counts in words."""
    height, width = one.picture.shape[:2]
    kinds = {"found": one.found, "missed": one.missed, "made up": one.made_up}
    counts = ", ".join(f"{len(corners)} {kind}" for kind, corners in kinds.items())
    show(ax, one.picture, (width, height), f"{title}\n{counts}")
    for kind, corners in kinds.items():
        colour, line = STYLES[kind]
        upright = np.stack([corners[..., 0], height - corners[..., 1]], axis=-1)  # show counts from below
        ax.add_collection(
            PolyCollection(upright, facecolors="none", edgecolors=colour, linewidths=1.6, linestyles=line)
        )
    for words, corners in zip(one.labels, [*one.found, *one.made_up], strict=False):
        x, y = corners[corners[:, 1].argmin()]
        ax.text(x, height - y, words, fontsize=6, va="bottom", color="white", clip_on=True)
    ax.set_xlim(0, width), ax.set_ylim(0, height)
    return counts


def explain_lines(ax: Axes) -> None:
    """What the lines around boxes mean."""
    handles = [Line2D([], [], color=colour, linestyle=line, label=kind) for kind, (colour, line) in STYLES.items()]
    ax.legend(handles=handles, fontsize=7, loc="lower right", framealpha=0.8)
