"""Potsdam, small: three tiles with both kinds of labels, one with a world file for a CRS; or many to learn from."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import rasterio
import torch
import xarray as xr
from PIL import Image, ImageDraw
from rasterio.errors import NotGeoreferencedWarning

from skysense_nb.data.benchmarks.potsdam import TILES as OFFICIAL
from skysense_nb.data.benchmarks.reader import IGNORED, UNKNOWN_DATE, Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.data.miniatures.places import aerial, box_corners, place
from skysense_nb.data.miniatures.sights import aerial_scenes, covers
from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.aerial import MARGIN_M
from skysense_nb.data.synthetic.canvas import Canvas
from skysense_nb.data.synthetic.classes import (
    BARE,
    BEACH,
    BROADLEAF,
    BUILDING,
    CAR_PARK,
    CONIFER,
    ORCHARD,
    QUAY,
    ROAD,
    RUNWAY,
    SOLAR,
    VEHICLE,
    WATER,
)
from skysense_nb.data.synthetic.crowns import BUSH, grow, plant
from skysense_nb.data.synthetic.spectra import Calendar
from skysense_nb.data.synthetic.terrain import Terrain
from skysense_nb.data.synthetic.truth import Ground
from skysense_nb.data.synthetic.window import HR_PIXEL_M, window_of
from skysense_nb.errors import ParameterError

TILES = {"2_10": "city", "6_7": "village", "2_13": "industry"}
WORLD_FILE = "6_7"
SIDE = 192
BLOCK = SIDE // 6
LOW_VEGETATION, TREE, CAR, CLUTTER = 2, 3, 4, 5
CLASSES = {
    BUILDING: 1, BROADLEAF: TREE, CONIFER: TREE, ORCHARD: TREE, ROAD: 0, CAR_PARK: 0, RUNWAY: 0, QUAY: 0,
    WATER: CLUTTER, BEACH: CLUTTER, BARE: CLUTTER, SOLAR: CLUTTER,
}  # fmt: skip
"""Class on disk per land cover of the world; all others are low vegetation."""

EDGE = 3
"""Pixels on either side of a boundary that are black in labels without boundaries."""

SHOWN = {"city": (BUILDING,), "village": (BUILDING,), "industry": (BUILDING, CAR_PARK)}
"""Kinds of places to learn from, and what has to be on them."""


def write_potsdam(folder: Path, seed: int, places: int | None = None) -> dict[str, Record]:
    """A strip with a block of each class runs along the top, so that every colour is there.

    Args:
        folder: Where to.
        seed: Of the world, or of the draw of places.
        places: Tiles of 256 × 256 pixels to learn from, each of another place and without a strip, instead of three;
            38 at most, as many as there are names of tiles.
    """
    if places is not None:
        return write_places(folder, seed, places)
    truth = {}
    for tile, kind in TILES.items():
        scene = place(kind, seed, 60, s2_dates=1, s1_dates=1, modalities=("hr",))
        ids = class_ids(scene)
        for number in range(6):
            ids[:16, number * BLOCK : (number + 1) * BLOCK] = number
        truth[f"top_potsdam_{tile}"] = write_all_of(folder, tile, scene, ids)
    return truth


def write_places(folder: Path, seed: int, count: int) -> dict[str, Record]:
    """One tile per place, as many for training and for testing as there are official ones."""
    official = sum(map(len, OFFICIAL.values()))
    if count > official:
        raise ParameterError.of(f"at most {official} places, one per tile", f"{count}", "Ask for fewer.")
    training = round(count * len(OFFICIAL["train"]) / official)
    tiles = (*OFFICIAL["train"][:training], *OFFICIAL["test"][: count - training])
    drawn = aerial_scenes(tuple(SHOWN), seed, count, covers(SHOWN))
    return {
        f"top_potsdam_{tile}": write_all_of(folder, tile, scene, class_ids(scene, tree_crowns(scene)))
        for tile, (_, scene) in zip(tiles, drawn, strict=True)
    }


def write_all_of(folder: Path, tile: str, scene: xr.DataTree, ids: np.ndarray) -> Record:
    """Both images and both kinds of labels of a tile; what a reader must find."""
    rgb = aerial(scene).transpose(2, 0, 1)
    infrared = (0.5 * rgb[1] + 0.5 * (255 - rgb[0])).astype(np.uint8)
    grid = scene["hr"]["image"].rio
    grid = {"transform": grid.transform()} | ({} if tile == WORLD_FILE else {"crs": grid.crs})
    images = {"2_Ortho_RGB": ("RGB", rgb), "4_Ortho_RGBIR": ("RGBIR", np.stack([*rgb, infrared]))}
    for place_on_disk, (ending, image) in images.items():
        write_tile(folder / place_on_disk / f"top_potsdam_{tile}_{ending}.tif", image, grid)
    colors = colors_of(ids)
    write_tile(folder / "5_Labels_all" / f"top_potsdam_{tile}_label.tif", colors, {})
    colors[:, near_boundary(ids)] = 0
    write_tile(folder / "5_Labels_all_noBoundary" / f"top_potsdam_{tile}_label_noBoundary.tif", colors, {})
    return {
        "id": f"top_potsdam_{tile}",
        "hr": torch.from_numpy(rgb.copy())[None],
        "hr_date": UNKNOWN_DATE.reshape(1),
        "mask": torch.from_numpy(np.where(ids == CLUTTER, IGNORED, ids)),
        **grid,
    }


def tree_crowns(scene: xr.DataTree) -> np.ndarray:
    """Where the aerial image shows the crown of a tree, also in gardens, H W bool; of the world of `scenes`."""
    image, seed = scene["hr"]["image"], World().seed
    edges = image.odc.geobox.boundingbox
    window = window_of((edges.left, edges.bottom, edges.right, edges.top), image.rio.crs)
    ground = Ground.of(Terrain(seed, window.zone), window.padded(MARGIN_M))
    canvas = Canvas(seed, ground, Calendar(seed, window.zone, image["time"].values))
    facts = ground.facts[ground.on(canvas.day)]
    trees = grow(int(canvas.key("trees")[0]), canvas.grid, facts, canvas.window)
    top = plant(trees, canvas.height, canvas.window)[window.inside(canvas.window, HR_PIXEL_M)]
    return np.append(trees.kind, BUSH)[top] != BUSH  # -1, no tree, is the last


def class_ids(scene: xr.DataTree, crowns: np.ndarray | None = None) -> np.ndarray:
    """Ids of classes, H W int64, at the pixels of the image, four to one of the land cover; crowns are trees."""
    land_cover = scene["labels"]["land_cover"].values
    ids = np.full_like(land_cover, LOW_VEGETATION)
    for cover, number in CLASSES.items():
        ids[land_cover == cover] = number
    ids = ids.repeat(4, axis=0).repeat(4, axis=1)
    if crowns is not None:
        ids[crowns] = TREE
    drawn = Image.fromarray(ids)
    for box, kind in zip(*box_corners(scene), strict=True):
        if kind == VEHICLE:
            ImageDraw.Draw(drawn).polygon([tuple(point) for point in box], fill=CAR)
    return np.array(drawn).astype(np.int64)


def colors_of(ids: np.ndarray) -> np.ndarray:
    """R G B of class ids, 3 H W uint8."""
    entry = benchmark("potsdam")
    colors = np.array([one.code for one in (*entry.classes, *entry.ignored)], np.uint8)
    return colors[ids].transpose(2, 0, 1).copy()


def near_boundary(ids: np.ndarray) -> np.ndarray:
    """Pixels with another class within `EDGE` rows and columns."""
    padded = np.pad(ids, EDGE, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * EDGE + 1, 2 * EDGE + 1))
    return windows.min(axis=(2, 3)) != windows.max(axis=(2, 3))


def write_tile(path: Path, image: np.ndarray, grid: dict) -> None:
    """A GeoTIFF, or, where there is no CRS, a plain one with a world file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels, height, width = image.shape
    options = {"dtype": "uint8", "compress": "deflate", **(grid if "crs" in grid else {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", width, height, channels, **options) as file:
            file.write(image)
    if "transform" in grid and "crs" not in grid:
        to_middle = grid["transform"] @ (0.5, 0.5)
        a, b, _, d, e, _ = tuple(grid["transform"])[:6]
        path.with_suffix(".tfw").write_text("\n".join(f"{value:.10f}" for value in (a, d, b, e, *to_middle)) + "\n")
