"""Figures of a scene: every sensor on one date, one sensor on every date, one pixel through the year."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skysense_nb.errors import SceneError
from skysense_nb.sensors import SENSORS
from skysense_nb.views.composites import CLOUD_COLOUR, cloud_overlay, composite, stretch_limits
from skysense_nb.views.furniture import SENSOR_COLOURS, ground_size_m, panels, scale_bar, set_description, show, thin

PANELS = {
    "hr": (("true", "true colour"),),
    "s2": (("true", "true colour"), ("false", "false colour: B8 B4 B3")),
    "s1": (("sar", "VV, VH, VV − VH as R G B"),),
}


def scene_figure(scene: xr.DataTree, date: str | None = None) -> Figure:
    """One date of a place through every sensor it has.

    Args:
        scene: Scene with children among `hr`, `s2`, `s1`.
        date: Each sensor shows its image nearest to this date; by default its clearest one.

    Example:
        >>> scene_figure(place, date="2021-07-01")       # doctest: +SKIP
    """
    names = sensors_of(scene)
    views = [(name, recipe, words) for name in names for recipe, words in PANELS[name]]
    figure, axes = panels(len(views), panel_inches=3.0 if len(views) > 1 else 5.0, title_inches=0.55)
    for ax, (name, recipe, words) in zip(axes, views, strict=True):
        node, index = scene[name], choose_date(scene[name], date)
        image, clear = thin(node["image"]), thin(node["clear"]) if "clear" in node else None
        day = f"{pd.Timestamp(node['time'].values[index]):%Y-%m-%d}"
        size = ground_size_m(node["image"])
        title = f"{SENSORS[name].title} · {day}\n{words} · {size[0] / node.sizes['x']:.3g} m"
        show(ax, composite(image, recipe, date=index, clear=clear), size, title)
        if clear is not None:
            outline_clouds(ax, clear.isel(time=index), size)
    scale_bar(axes[0], ground_size_m(scene[names[0]]["image"])[0])
    seen = ", ".join(f"{SENSORS[name].title} ({words})" for name, _, words in views)
    return set_description(figure, f"The same ground seen {len(views)} ways: {seen}. North is up.")


def series_figure(scene: xr.DataTree, name: str = "s2", recipe: str | None = None, most: int = 15) -> Figure:
    """The dates of one sensor, alike stretched, with clouds outlined, above a strip of when each sensor looked.

    Args:
        scene: Scene that holds the sensor.
        name: `hr`, `s2` or `s1`.
        recipe: Composite of `composites.RECIPES`; by default the sensor's first.
        most: At most this many dates, evenly spread.

    Example:
        >>> series_figure(place, "s2")                   # doctest: +SKIP
    """
    if name not in sensors_of(scene):
        raise SceneError.of(f"a sensor among {', '.join(sensors_of(scene))}", repr(name), "Choose one the scene has.")
    node, recipe = scene[name], recipe or PANELS[name][0][0]
    image, clear = thin(node["image"]), thin(node["clear"]) if "clear" in node else None
    dates = pd.DatetimeIndex(node["time"].values)
    shown = np.unique(np.linspace(0, len(dates) - 1, min(most, len(dates))).round().astype(int))
    limits, size = stretch_limits(image, recipe, clear=clear), ground_size_m(node["image"])
    figure, axes = panels(len(shown), columns=5, panel_inches=2.0, below=1.4)
    for ax, index in zip(axes, shown, strict=False):
        title = f"{dates[index]:%Y-%m-%d}"
        if clear is not None:
            title += f" · {float(clear.isel(time=index).mean()):.0%} clear"
        show(ax, composite(image, recipe, date=int(index), limits=limits), size, title)
        if clear is not None:
            outline_clouds(ax, clear.isel(time=index), size)
    scale_bar(axes[0], size[0])
    draw_calendar(axes[-1], scene)
    figure.suptitle(f"{SENSORS[name].title}, {len(shown)} of {len(dates)} dates", fontsize=11)
    span = f"{dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
    clouds = ", clouds outlined in purple" if clear is not None else ""
    return set_description(figure, f"{len(shown)} images of {SENSORS[name].title} from {span}{clouds}.")


def spectra_figure(scene: xr.DataTree, row: int, column: int) -> Figure:
    """One Sentinel-2 pixel through the year: its spectrum on every clear date, its greenness, its backscatter.

    Args:
        scene: Scene with `s2`, and `s1` for the radar curve.
        row: Row of the Sentinel-2 pixel from the top.
        column: Column from the left.
    """
    pixel = pick_pixel(scene, row, column)
    dates, sensor = pd.DatetimeIndex(pixel["time"].values), SENSORS["s2"]
    figure, (left, right) = panels(2, panel_inches=4.2)
    season = ScalarMappable(Normalize(1, 366), "cividis")
    figure.colorbar(season, ax=left, label="day of year", location="top", shrink=0.7, aspect=30)
    for day, spectrum in zip(dates.day_of_year, pixel["image"].values, strict=True):
        left.plot(sensor.wavelengths_nm, spectrum, ".-", linewidth=1, color=season.to_rgba(day))
    left.set(xlabel="wavelength, nm", ylabel=sensor.unit, ylim=(0, None))
    red, near = (pixel["image"].sel(band=band).values for band in ("B4", "B8"))
    greenness = right.plot(
        dates, (near - red) / np.maximum(near + red, 1), "o-", color=SENSOR_COLOURS["s2"], label="NDVI"
    )
    right.set(ylim=(-0.2, 1))
    right.set_ylabel("NDVI = (B8 − B4) / (B8 + B4)", color=SENSOR_COLOURS["s2"])
    radar = draw_radar(right, scene["s1"]["image"].sel(x=pixel.x, y=pixel.y, method="nearest")) if "s1" in scene else []
    right.legend(handles=[*greenness, *radar], fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.01), ncols=3)
    label_dates(right, most=6)
    figure.suptitle(f"Sentinel-2 pixel in row {row}, column {column}: {len(dates)} clear dates", fontsize=11)
    course = "NDVI and backscatter" if radar else "NDVI"
    return set_description(figure, f"Spectra of one pixel on {len(dates)} clear dates and its course of {course}.")


def pick_pixel(scene: xr.DataTree, row: int, column: int) -> xr.Dataset:
    """One Sentinel-2 pixel on its clear dates."""
    if "s2" not in scene.children:
        raise SceneError.of("a scene with s2", ", ".join(scene.children) or "nothing", "Choose a scene that has it.")
    node = scene["s2"].to_dataset()
    rows, columns = node.sizes["y"], node.sizes["x"]
    if not (0 <= row < rows and 0 <= column < columns):
        inside = f"a pixel in rows 0–{rows - 1}, columns 0–{columns - 1}"
        raise SceneError.of(inside, f"row {row}, column {column}", "Choose one inside.")
    pixel = node.isel(y=row, x=column)
    pixel = pixel.isel(time=pixel["clear"].values) if "clear" in pixel else pixel
    if pixel.sizes["time"] == 0:
        raise SceneError.of("a pixel that is clear on some date", "one that never is", "Choose another pixel.")
    return pixel


def draw_radar(ax: Axes, backscatter: xr.DataArray) -> list[Line2D]:
    """VV and VH of one pixel on a second axis; returns the lines for the legend."""
    beside, lines = ax.twinx(), []
    for band, dash in (("VV", "-"), ("VH", "--")):
        values, style = backscatter.sel(band=band), {"marker": "s", "markersize": 3, "color": SENSOR_COLOURS["s1"]}
        lines += beside.plot(backscatter.time, values, dash, label=f"{band}, dB", **style)
    beside.set_ylabel("backscatter, dB", color=SENSOR_COLOURS["s1"])
    return lines


def draw_calendar(ax: Axes, scene: xr.DataTree) -> None:
    """When each sensor looked: one row per sensor, hollow where more than half was hidden."""
    names = sensors_of(scene)
    for height, name in enumerate(reversed(names)):
        node, colour = scene[name], SENSOR_COLOURS[name]
        seen = node["clear"].mean(("y", "x")).values > 0.5 if "clear" in node else np.ones(node.sizes["time"], bool)
        times = node["time"].values
        ax.plot(times[seen], np.full(seen.sum(), height), "o", color=colour, markersize=6)
        ax.plot(times[~seen], np.full((~seen).sum(), height), "o", color=colour, markersize=6, markerfacecolor="none")
    ax.set_yticks(range(len(names)), [SENSORS[name].title for name in reversed(names)], fontsize=8)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.grid(axis="x", alpha=0.3)
    ax.tick_params(axis="x", labelsize=8)
    label_dates(ax, most=13)
    hollow = " (hollow: more than half hidden by cloud)" if any("clear" in scene[name] for name in names) else ""
    ax.set_title(f"When each sensor looked{hollow}", fontsize=9)


def label_dates(ax: Axes, most: int) -> None:
    """At most `most` short dates below the axes."""
    locator = mdates.AutoDateLocator(maxticks=most)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))


def outline_clouds(ax: Axes, clear: xr.DataArray, size_m: tuple[float, float]) -> None:
    """Tints and outlines what is hidden on one date."""
    width, height = size_m
    ax.imshow(cloud_overlay(clear, opacity=0.15), extent=(0, width, 0, height), interpolation="nearest")
    hidden = ~clear.values[::-1]
    if hidden.any() and not hidden.all():
        rows, columns = hidden.shape
        x, y = (np.arange(columns) + 0.5) / columns * width, (np.arange(rows) + 0.5) / rows * height
        ax.contour(x, y, hidden.astype(float), levels=[0.5], colors=[CLOUD_COLOUR], linewidths=1.2)


def choose_date(node: xr.DataTree, date: str | None) -> int:
    """Position of the date nearest to `date`, or of the clearest one (the middle one without a mask)."""
    if date is not None:
        return int(np.abs(node["time"].values - np.datetime64(date)).argmin())
    if "clear" in node:
        return int(node["clear"].mean(("y", "x")).values.argmax())
    return node.sizes["time"] // 2


def sensors_of(scene: xr.DataTree) -> list[str]:
    """Modalities of a scene in model order."""
    names = [name for name in SENSORS if name in scene.children]
    if not names:
        raise SceneError.of(
            "a scene with a child among hr, s2, s1", f"{list(scene.children)}", "Build it with build()."
        )
    return names
