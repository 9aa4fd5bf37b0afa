"""Figures of tokens: the grid each sensor has at each stage, and what each token was given to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from skysense_nb.views.furniture import NO_LABEL_GREY, PALETTE, class_colours, legend, panels, set_description, show


def token_grids_figure(
    pictures: Mapping[str, np.ndarray], grids: Mapping[str, Sequence[tuple[int, int, int]]], size_m: float
) -> Figure:
    """The tokens of each sensor at each stage, drawn over the ground they come from.

    Args:
        pictures: Per sensor its image as colours (y, x, 3), all of the same square.
        grids: Per sensor and stage the rows, columns and width of its tokens.
        size_m: Side of the square in metres.

    Example:
        >>> token_grids_figure({"s1": np.ones((8, 8, 3))}, {"s1": [(2, 2, 32)]}, 80.0)
        <Figure size 300x335 with 1 Axes>
    """
    stages = max(len(levels) for levels in grids.values())
    figure, axes = panels(len(grids) * stages, columns=stages)
    told = []
    for row, (name, levels) in enumerate(grids.items()):
        told.append(f"{name} {', '.join(f'{r} × {c}' for r, c, _ in levels)}")
        for stage, (rows, columns, width) in enumerate(levels):
            ax = axes[row * stages + stage]
            title = f"{name}, stage {stage + 1}: {rows} × {columns} tokens\nof {size_m / columns:.3g} m, {width} wide"
            show(ax, pictures[name], (size_m, size_m), title)
            line = {"color": "white", "linewidth": min(1.5, 24 / columns), "alpha": 0.9}
            for index in range(1, rows):
                ax.axhline(size_m * index / rows, **line)
            for index in range(1, columns):
                ax.axvline(size_m * index / columns, **line)
    return set_description(figure, f"Token grids over {size_m:g} m of ground, by stage: {'; '.join(told)}.")


def choices_figure(choices: Mapping[str, np.ndarray], count: int, word: str = "expert") -> Figure:
    """What each token was given to, such as an expert or an object, one map per title.

    Args:
        choices: Per title a map (h, w) of numbers from 0, −1 where there is none.
        count: How many there are to choose from.
        word: What is chosen, for the legend.

    Example:
        >>> choices_figure({"HR, block 9": np.array([[0, 1], [1, 1]])}, count=2)
        <Figure size 300x335 with 1 Axes>
    """
    figure, axes = panels(len(choices))
    colours = class_colours(count, PALETTE[:count])
    coloured = ListedColormap([NO_LABEL_GREY, *colours])
    shares = []
    for ax, (title, chosen) in zip(axes, choices.items(), strict=True):
        rows, columns = chosen.shape
        show(ax, chosen, (float(columns), float(rows)), title, cmap=coloured, vmin=-1.5, vmax=count - 0.5)
        counts = np.bincount(chosen[chosen >= 0].ravel(), minlength=count)
        shares.append(f"{title}: {word} {counts.argmax() + 1} has {counts.max() / max(counts.sum(), 1):.0%}")
    legend(axes[min(len(axes), 4) - 1], [f"{word} {number + 1}" for number in range(count)], colours)
    return set_description(figure, f"Chosen {word}s. {'; '.join(shares)}.")
