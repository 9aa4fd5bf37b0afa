"""What the doctor saw, as a picture: values of every band against the training statistics, and the findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from skysense_nb.sensors import SENSORS, Sensor
from skysense_nb.views.furniture import PALETTE, SENSOR_COLOURS, set_description, thin
from skysense_nb.views.scene_figures import sensors_of

MARKS = {"error": "✗", "warning": "▲", "note": "●", "ok": "✓"}
INKS = {"error": PALETTE[5], "warning": PALETTE[1], "note": PALETTE[0], "ok": PALETTE[2]}
"""Findings are told apart by mark and word; the colour only repeats it."""

BINS = 80
LETTERS = 155
"""Of a line of findings at 12 inches."""

HISTOGRAM_INCHES, LINE_INCHES = 3.6, 0.19


def doctor_figure(scene: xr.DataTree, findings: Sequence[Mapping[str, str]]) -> Figure:
    """Per sensor the histogram of each band over its training mean ± one standard deviation, then the findings.

    Args:
        scene: Scene with children among `hr`, `s2`, `s1`, sound or not.
        findings: Rows with `modality`, `check`, `level`, `seen`, `expected`, `next_step`: `report.rows`.

    Example:
        >>> doctor_figure(place, place.sky.diagnose().rows)   # doctest: +SKIP
    """
    names, lines = sensors_of(scene), findings_in_lines(findings)
    height = LINE_INCHES * (sum(text.count("\n") + 1 for _, text in lines) + 1)
    figure = plt.figure(figsize=(12, HISTOGRAM_INCHES + height), layout="constrained")
    plt.close(figure)
    grid = figure.add_gridspec(2, len(names), height_ratios=(HISTOGRAM_INCHES, height))
    for column, name in enumerate(names):
        draw_bands(figure.add_subplot(grid[0, column]), SENSORS[name], scene[name])
    handles = [
        Patch(facecolor="0.6", label="values of the scene (height: how many)"),
        Patch(facecolor="0.9", edgecolor="0.5", label="training mean ± standard deviation"),
        Line2D([], [], color="black", label="training mean"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    write(figure.add_subplot(grid[1, :]), lines)
    told = "; ".join(f"{row['level']}: {row['modality']} {row['check']}, {row['seen']}" for row in remarks(findings))
    return set_description(figure, f"Values of {', '.join(names)} against the training. {told or 'No remarks'}.")


def draw_bands(ax: Axes, sensor: Sensor, node: xr.DataTree) -> None:
    """One line per band: the histogram of its values, over a grey bar where the training values lie."""
    image = thin(node["image"])
    held = [str(band) for band in image["band"].values] if "band" in image.coords else []
    named = bool(held) and image["band"].dtype.kind in "UOT"
    bands = held if named else list(sensor.bands[: image.sizes["band"]])
    clear = thin(node["clear"]).values if "clear" in node else None
    values = {band: finite(image.isel(band=number), clear) for number, band in enumerate(bands)}
    low, high = limits(sensor, list(values.values()))
    for place, band in enumerate(bands):
        if band in sensor.bands:
            mean, std = (known[sensor.bands.index(band)] * sensor.divisor for known in (sensor.mean, sensor.std))
            ax.broken_barh([(mean - std, 2 * std)], (place - 0.4, 0.8), facecolor="0.9", edgecolor="0.5", linewidth=0.5)
            ax.plot([mean, mean], [place - 0.4, place + 0.4], color="black", linewidth=1)
        counts, edges = np.histogram(values[band], BINS, (low, high))
        tops = place + 0.4 - 0.8 * counts / max(counts.max(), 1)
        ax.fill_between(edges, place + 0.4, np.append(tops, tops[-1]), step="post", color=SENSOR_COLOURS[sensor.name])
    ax.set_xlim(low, high)
    ax.set_ylim(len(bands) - 0.5, -0.5)
    ax.set_yticks(range(len(bands)), bands, fontsize=8)
    ax.set_xlabel(f"{sensor.unit} wanted" if named else f"{sensor.unit} wanted; bands have no names", fontsize=8)
    ax.set_title(sensor.title, fontsize=9)
    ax.tick_params(axis="x", labelsize=8)


def finite(band: xr.DataArray, clear: np.ndarray | None) -> np.ndarray:
    """Measured values of one band where the ground is seen, wherever any is."""
    values = band.values.astype("float64")
    kept = np.isfinite(values)
    if clear is not None and clear.shape == values.shape and (kept & clear).any():
        kept &= clear
    return values[kept]


def limits(sensor: Sensor, values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Ends of the axis: the training means ± 2 standard deviations, and nearly all values of the scene."""
    mean, std = np.array(sensor.mean) * sensor.divisor, np.array(sensor.std) * sensor.divisor
    ends = [np.percentile(band, (0.5, 99.5)) for band in values if band.size]
    low = min([(mean - 2 * std).min(), *(end[0] for end in ends)])
    high = max([(mean + 2 * std).max(), *(end[1] for end in ends)])
    return (max(low, 0.0), high) if sensor.name != "s1" and all(end[0] >= 0 for end in ends) else (low, high)


def remarks(findings: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """What is not ok, the worst first."""
    return [row for level in MARKS if level != "ok" for row in findings if row["level"] == level]


def findings_in_lines(findings: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Level and text of every remark, and one line for all that is ok."""
    lines = []
    for row in remarks(findings):
        text = f"{row['modality']} · {row['check']}: {row['seen']}; trained on {row['expected']}. {row['next_step']}"
        lines.append((row["level"], fill(text.strip(), LETTERS)))
    if sound := ", ".join(f"{row['modality']} {row['check']}" for row in findings if row["level"] == "ok"):
        lines.append(("ok", fill(sound, LETTERS)))
    return lines


def write(ax: Axes, lines: Sequence[tuple[str, str]]) -> None:
    """Marks, levels in words, and texts from the top."""
    ax.set_axis_off()
    count = sum(text.count("\n") + 1 for _, text in lines)
    ax.set_ylim(count + 0.5, -0.5)
    ax.set_xlim(0, 12)
    row = 0
    for level, text in lines:
        ax.text(0.05, row, f"{MARKS[level]} {level}", color=INKS[level], fontsize=9, va="top", weight="bold")
        ax.text(1.0, row, text, fontsize=9, va="top", linespacing=1.25)
        row += text.count("\n") + 1
