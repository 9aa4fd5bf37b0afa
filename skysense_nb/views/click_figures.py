"""Labelled cells and the class map learned from them: as layers of a map, and as a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image, ImageDraw, ImageFont

from skysense_nb.views.composites import MISSING_GREY
from skysense_nb.views.furniture import class_colours, legend, panels, scale_bar, set_description, show

Marks = Sequence[tuple[int, int, int, bool]]
"""Row, column, number of the class from 0, and whether the cell is kept for the score."""

EDGE = 640
"""Longer side of the layer of marks, in pixels."""

SIDE = 28
"""Of a mark in that layer: a number about ten pixels high where the layer is 400 wide on the page."""

FAINT = 0.35
"""Opacity of a cell whose classes are all as likely."""


def confidence_colours(probabilities: np.ndarray, colours: Sequence | np.ndarray, least: float = 0.0) -> np.ndarray:
    """Class colours (h, w, 4) that fade where the best class is not sure.

    Args:
        probabilities: K h w; NaN is transparent.
        colours: One per class.
        least: Cells whose best class is less likely than this are transparent.

    Example:
        >>> confidence_colours(np.array([[[1.0, 0.5]], [[0.0, 0.5]]]), ["red", "blue"]).round(2)[0].tolist()
        [[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.35]]
    """
    count = len(probabilities)
    palette, known = class_colours(count, colours), np.isfinite(probabilities).all(0)
    safe = np.where(known, probabilities, 0)
    sure = np.clip((safe.max(0) - 1 / count) / (1 - 1 / count), 0, 1)
    shown = known & (safe.max(0) >= least)
    return np.dstack([palette[safe.argmax(0)], np.where(shown, FAINT + (1 - FAINT) * sure, 0)])


def marks_picture(shape: tuple[int, int], marks: Marks, colours: Sequence | np.ndarray) -> np.ndarray:
    """A transparent layer (y, x, 4) of bytes with a numbered mark at every labelled cell.

    A filled disc was trained on, a white square with a coloured edge is kept for the score; the number, from 1, is
    that of the class.

    Args:
        shape: Rows and columns of the grid.
        marks: Labelled cells.
        colours: One per class.

    Example:
        >>> marks_picture((6, 8), [(2, 3, 0, False)], ["red"]).shape
        (480, 640, 4)
    """
    scale = EDGE / max(shape)
    height, width = (max(1, round(side * scale)) for side in shape)
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(SIDE * 0.75)
    palette = class_colours(len(colours), colours)
    for row, column, number, held_out in marks:
        x, y, half = (column + 0.5) * scale, (row + 0.5) * scale, SIDE / 2
        box, colour = (x - half, y - half, x + half, y + half), tuple(np.round(255 * palette[number]).astype(int))
        if held_out:
            pen.rectangle(box, fill="white", outline="black", width=1)
            pen.rectangle((box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1), outline=colour, width=4)
        else:
            pen.ellipse(box, fill=colour, outline="white", width=2)
        ink = "black" if held_out else ink_on(palette[number])
        pen.text((x, y), str(number + 1), fill=ink, font=font, anchor="mm")
    return np.asarray(picture)


def ink_on(colour: np.ndarray) -> str:
    """Black or white, whichever can be read on a colour."""
    return "white" if float(colour @ np.array([0.299, 0.587, 0.114])) < 0.55 else "black"


def clicks_figure(
    marks: Marks,
    names: Sequence[str],
    colours: Sequence | np.ndarray,
    size: tuple[float, float],
    shape: tuple[int, int],
    *,
    probabilities: np.ndarray | None = None,
    picture: np.ndarray | None = None,
    least: float = 0.0,
) -> Figure:
    """Labelled cells on the image, and beside them the classes they teach.

    Args:
        marks: Labelled cells.
        names: Of the classes.
        colours: One per class.
        size: Width and height in metres.
        shape: Rows and columns of the grid.
        probabilities: K h w; without them only the marks are shown.
        picture: Colours (y, x, 3) of the ground.
        least: Cells whose best class is less likely than this stay grey.

    Example:
        >>> clicks_figure([(0, 1, 0, False)], ["water", "land"], ["blue", "green"], (20.0, 20.0), (2, 2))
        <Figure size 400x435 with 1 Axes>
    """
    palette, (width, height), (rows, columns) = class_colours(len(names), colours), size, shape
    figure, axes = panels(1 + (probabilities is not None), panel_inches=4.0)
    blank = np.full((*shape, 3), MISSING_GREY)
    show(axes[0], blank if picture is None else picture, size, f"{len(marks)} labelled cells")
    if probabilities is not None:
        colour = confidence_colours(probabilities, palette, least)
        over = colour[..., :3] * colour[..., 3:] + MISSING_GREY * (1 - colour[..., 3:])
        show(axes[1], over, size, "Classes; faint where unsure")
    for row, column, number, held_out in marks:
        x, y = (column + 0.5) / columns * width, (1 - (row + 0.5) / rows) * height
        rgb, form = palette[number], "s" if held_out else "o"
        face, edge = ("white", rgb) if held_out else (rgb, "white")
        axes[0].plot(x, y, form, markersize=10, markerfacecolor=face, markeredgecolor=edge, markeredgewidth=1.5)
        ink = "black" if held_out else ink_on(rgb)
        axes[0].text(x, y, str(number + 1), fontsize=7, ha="center", va="center_baseline", color=ink, clip_on=True)
    axes[0].set_xlim(0, width), axes[0].set_ylim(0, height)
    scale_bar(axes[0], width)
    words = [f"{number} {name}" for number, name in enumerate(names, 1)]
    legend(axes[-1], words, palette)
    if any(mark[3] for mark in marks):
        forms = {"trained on": ("o", "0.3", "white"), "held out": ("s", "white", "0.3")}
        handles = [
            Line2D(
                [], [], marker=form, linestyle="", markersize=8, markerfacecolor=face, markeredgecolor=edge, label=word
            )
            for word, (form, face, edge) in forms.items()
        ]
        axes[0].legend(handles=handles, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, frameon=False)
    kept = sum(mark[3] for mark in marks)
    told = f"{len(marks)} labelled cells, {kept} of them held out"
    if probabilities is not None:
        best = np.where(np.isfinite(probabilities).all(0), np.nan_to_num(probabilities).argmax(0), -1)
        told += "; classes: " + ", ".join(f"{name} {(best == number).mean():.0%}" for number, name in enumerate(names))
    return set_description(figure, f"{told}.")
