"""Figures of what happens inside a model: stages, attention over dates, how far cells move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from skysense_nb.sensors import SENSORS
from skysense_nb.views.features import pca_rgb
from skysense_nb.views.furniture import SENSOR_COLOURS, panels, set_description, show


def stages_figure(stages: Sequence[np.ndarray], names: Sequence[str]) -> Figure:
    """The maps of an encoder from fine to coarse, each as its three principal components.

    Args:
        stages: Maps (D, h, w) over the same ground.
        names: One name per map.
    """
    figure, axes = panels(len(stages))
    for ax, stage, name in zip(axes, stages, names, strict=True):
        depth, rows, columns = stage.shape
        show(ax, pca_rgb(stage), (float(columns), float(rows)), f"{name}\n{depth} numbers × {rows} × {columns}")
    return set_description(figure, f"Principal components of {len(stages)} maps of one encoder: {', '.join(names)}.")


def attention_figure(read: np.ndarray, token_dates: Sequence[tuple[str, int]], days: Sequence[int]) -> Figure:
    """What the extra token reads from each date, layer by layer, and on average over the calendar.

    Args:
        read: Attention (layers, tokens), what is missing to one is the extra token itself.
        token_dates: Modality and index of date of each token.
        days: Day of the year of each token, 1–366.
    """
    figure, (left, right) = panels(2, panel_inches=4.2)
    picture = left.imshow(read, cmap="viridis", aspect="auto", vmin=0)
    figure.colorbar(picture, ax=left, label="share of attention", location="bottom")
    left.set(xlabel="token (HR, then S2 and S1 dates)", ylabel="fusion layer", title="Every layer")
    left.set_yticks(range(len(read)), range(1, len(read) + 1))
    mean = read.mean(0)
    for name, sensor in SENSORS.items():
        chosen = [index for index, (modality, _) in enumerate(token_dates) if modality == name]
        if chosen:
            places = np.asarray(days, float)[chosen]
            right.vlines(places, 0, mean[chosen], color=SENSOR_COLOURS[name], linewidth=2)
            right.plot(places, mean[chosen], "o", color=SENSOR_COLOURS[name], label=sensor.title, markersize=5)
    right.axhline(mean.sum() / max((mean > 0).sum(), 1), color="0.5", linestyle=":", linewidth=1)
    right.set(xlim=(0, 367), ylim=(0, None), xlabel="day of the year", title="Mean over layers (dotted: even share)")
    right.legend(fontsize=8, loc="lower right")
    most = int(mean.argmax())
    return set_description(
        figure,
        f"Attention over {len(days)} dates in {len(read)} layers; the most read is {token_dates[most][0]} on day "
        f"{days[most]} with {mean[most]:.1%}.",
    )


def spread_figure(values: dict[str, np.ndarray], quantity: str, *, maps: bool = True) -> Figure:
    """One distribution per case as a box, with the maps they come from below if wanted.

    Args:
        values: Per case a map (h, w).
        quantity: What the numbers are, with unit.
        maps: Also draw each map, on one colour scale.
    """
    names = list(values)
    figure, axes = panels(len(names), columns=5, panel_inches=2.0, below=2.2) if maps else panels(1)
    if not maps:
        figure.set_size_inches(8, 0.8 + 0.25 * len(names))
    boxes = axes[-1]
    boxes.boxplot([values[name].ravel() for name in names], orientation="horizontal", showfliers=False)
    boxes.set_yticks(range(1, len(names) + 1), names, fontsize=8)
    boxes.invert_yaxis()
    boxes.set(xlabel=quantity, xlim=(0, None))
    if maps:
        top = max(float(np.quantile(one, 0.99)) for one in values.values())
        for ax, name in zip(axes, names, strict=False):
            rows, columns = values[name].shape
            show(ax, values[name], (float(columns), float(rows)), name, cmap="viridis", vmin=0, vmax=top)
        figure.colorbar(axes[len(names) - 1].images[0], ax=axes[: len(names)], shrink=0.8)
    means = ", ".join(f"{name} {float(one.mean()):.2g}" for name, one in values.items())
    return set_description(figure, f"{quantity}; means: {means}.")
