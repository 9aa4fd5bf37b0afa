"""Truth for every task: land cover, crops, parcels, change, boxes, scene class and tags."""

from __future__ import annotations

import numpy as np
import xarray as xr

from skysense_nb.data.synthetic import classes, things
from skysense_nb.data.synthetic.drawing import Plan
from skysense_nb.data.synthetic.spectra import Calendar, crops
from skysense_nb.data.synthetic.surfaces import SURFACE_IDS
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.truth import Ground
from skysense_nb.data.synthetic.window import TRUTH_PIXEL_M, Window

ENOUGH = 0.01
"""Share of the ground from which on a class counts as present in the scene."""

TAGS = {
    "river": "waterway=river", "sea": "natural=coastline", "turf": "leisure=pitch", "panels": "power=plant",
    "pool": "leisure=swimming_pool",
}  # fmt: skip
"""Tags that a surface carries beside that of its land cover."""


def rasters(ground: Ground, grid: np.ndarray, first: int, last: int, season: Calendar) -> dict[str, np.ndarray]:
    """Label layers of a window at `TRUTH_PIXEL_M`.

    Args:
        ground: Ground of the window.
        grid: Row per pixel (H, W).
        first: Day since 1970 of the earliest image.
        last: Day of the latest image.
        season: Calendar with the one date that decides which crop year counts.
    """
    facts = ground.facts
    before, after = ground.on(first), ground.on(last)
    cover = facts["cover"]
    changed = cover[before] != cover[after]
    crop = np.where(cover[after] == classes.CROPLAND, crops(facts[after], season.years)[:, 0], 0)
    parcel = np.where(
        np.isin(cover[after], [classes.CROPLAND, classes.GRASS, classes.ORCHARD, classes.VINEYARD]),
        facts["parcel"][after],
        0,
    )
    day = np.where(changed, change_day(facts, first, last), 0)
    tables = {
        "land_cover": cover[after].astype(np.uint8),
        "crop": crop.astype(np.uint8),
        "parcel": parcel.astype(np.int32),
        "change": changed.astype(np.uint8),
        "change_from": np.where(changed, cover[before], 0).astype(np.uint8),
        "change_to": np.where(changed, cover[after], 0).astype(np.uint8),
        "change_day": day.astype(np.int32),
        "surface": facts["surface"][after].astype(np.uint8),
    }
    return {name: table[grid] for name, table in tables.items()}


def change_day(facts: np.ndarray, first: int, last: int) -> np.ndarray:
    """Day since 1970 of the latest event of each row or its forerunners inside the period, 0 for none."""
    day, row = np.zeros(len(facts), np.int64), np.arange(len(facts))
    for _ in range(3):
        for name in ("born", "gone"):
            event = facts[name][row].astype(np.int64)
            day = np.maximum(day, np.where((event > first) & (event <= last), event, 0))
        row = np.where(facts["parent"][row] >= 0, facts["parent"][row], row)
    return day


def dataset(layers: dict[str, np.ndarray], window: Window, boxes: xr.Dataset) -> xr.Dataset:
    """The label layers with grid, CRS and class names, joined with the boxes."""
    axes = {"y": window.ys(TRUTH_PIXEL_M), "x": window.xs(TRUTH_PIXEL_M)}
    layers = {name: layer for name, layer in layers.items() if name != "surface"}
    day = layers.pop("change_day").astype("datetime64[D]").astype("datetime64[ns]")
    layers["change_date"] = np.where(layers["change"] == 1, day, np.datetime64("NaT", "ns"))
    labels = xr.Dataset({name: (("y", "x"), layer) for name, layer in layers.items()}, axes).merge(boxes)
    named = {"land_cover": classes.LAND_COVER, "crop": classes.CROPS, "object_class": classes.OBJECTS}
    named |= {"change_from": classes.LAND_COVER, "change_to": classes.LAND_COVER}
    for name, table in named.items():
        labels[name].attrs["class_names"] = classes.names(table)
        labels[name].attrs["class_colors"] = [one.color for one in table]
    labels["change"].attrs["class_names"] = ["no change", "change"]
    return labels.rio.write_crs(window.zone)


def objects(plan: Plan, terrain: Terrain, window: Window, dates: np.ndarray) -> xr.Dataset:
    """Boxes of everything countable whose middle lies in the window, for each aerial date."""
    found = [on_date(plan, terrain, window, date) for date in dates]
    corners = np.concatenate([corner for corner, _ in found])
    kind = np.concatenate([kind for _, kind in found])
    time = np.repeat(dates, [len(one) for _, one in found])
    low, high = corners.min(axis=1), corners.max(axis=1)
    return xr.Dataset(
        {
            "object_box": (("object", "edge"), np.concatenate([low, high], axis=1), {"unit": "m in the CRS"}),
            "object_corners": (("object", "corner", "axis"), corners, {"unit": "m in the CRS"}),
            "object_class": ("object", kind.astype(np.uint8)),
            "object_time": ("object", time.astype("datetime64[ns]")),
        },
        {"edge": ["xmin", "ymin", "xmax", "ymax"], "axis": ["x", "y"]},
    )


def on_date(plan: Plan, terrain: Terrain, window: Window, date: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """Oriented corners (N, 4, 2) and classes (N,) on one date: what is built, then what moves."""
    day = int(date.astype("datetime64[D]").astype(int))
    facts = plan.facts[plan.rows]
    built = facts[(facts["object"] > 0) & (facts["born"] <= day) & (facts["gone"] > day)]
    moving = things.on_day(plan.slots, day, terrain).slots
    corners, kind = [], []
    for records in (built, moving):
        inside = (records["x"] >= window.left) & (records["x"] < window.right)
        inside &= (records["y"] >= window.bottom) & (records["y"] < window.top)
        corners.append(things.oriented(records[inside]))
        kind.append(records["object"][inside])
    return np.concatenate(corners), np.concatenate(kind)


def summary(layers: dict[str, np.ndarray], kind: str, boxes: xr.Dataset) -> dict[str, object]:
    """Attributes of the scene: its class, the classes present, OpenStreetMap tags with shares of the ground.

    Args:
        layers: Label layers.
        kind: Kind of the cell in the middle of the scene.
        boxes: Dataset of `objects`.
    """
    share = np.bincount(layers["land_cover"].ravel(), minlength=len(classes.LAND_COVER)) / layers["land_cover"].size
    surface = np.bincount(layers["surface"].ravel(), minlength=256) / layers["surface"].size
    present = [one.name for one in classes.LAND_COVER[1:] if share[one.id] >= ENOUGH]
    present += sorted({classes.OBJECTS[kind].name for kind in boxes["object_class"].values.tolist()})
    tags = {one.tag: float(share[one.id]) for one in classes.LAND_COVER if one.tag and share[one.id] > 0}
    tags |= {tag: float(surface[SURFACE_IDS[name]]) for name, tag in TAGS.items() if surface[SURFACE_IDS[name]] > 0}
    return {
        "scene_class": kind,
        "multi_label": present,
        "tags": list(tags),
        "tag_shares": [round(value, 5) for value in tags.values()],
    }
