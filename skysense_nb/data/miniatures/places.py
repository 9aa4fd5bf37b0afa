"""Places of the synthetic world as the miniatures need them: arrays, and boxes in pixels."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import xarray as xr
from PIL import Image

from skysense_nb.data.synthetic import World


@lru_cache(maxsize=8)
def place(kind: str, seed: int = 0, size_m: int = 160, **options: object) -> xr.DataTree:
    """A scene of the synthetic world around a place of some kind.

    Args:
        kind: One of `PLACES` of the world.
        seed: Of the world.
        size_m: Side; 160 m are 512 HR pixels and 16 Sentinel pixels.
        options: As in `World.scene`; sequences as tuples.
    """
    world = World(seed)
    return world.scene(*world.find(kind), size_m=size_m, **options)


def aerial(scene: xr.DataTree, date: int = 0) -> np.ndarray:
    """The HR image of a scene, H W 3 uint8."""
    return scene["hr"]["image"].isel(time=date).transpose("y", "x", "band").values.astype(np.uint8)


def box_corners(scene: xr.DataTree) -> tuple[np.ndarray, np.ndarray]:
    """Objects on the first HR date: corners in HR pixels from the upper left, N 4 2 (x, y) clockwise as the image is
    seen, and ids of the world's `OBJECTS`."""
    labels, grid = scene["labels"], scene["hr"]["image"].odc.geobox
    first = labels["object_time"].values == scene["hr"]["time"].values[0]
    corners = labels["object_corners"].values[first]
    left, top, pixel = grid.boundingbox.left, grid.boundingbox.top, abs(grid.resolution.x)
    in_pixels = np.stack([corners[..., 0] - left, top - corners[..., 1]], axis=-1) / pixel
    return clockwise(in_pixels), labels["object_class"].values[first].astype(int)


def clockwise(corners: np.ndarray) -> np.ndarray:
    """Corners N 4 2 in the order that turns clockwise where y points down.

    Example:
        >>> clockwise(np.array([[[0, 0], [0, 2], [3, 2], [3, 0]]]))[0].tolist()
        [[3, 0], [3, 2], [0, 2], [0, 0]]
    """
    following = np.roll(corners, -1, axis=1)
    area = (corners[..., 0] * following[..., 1] - following[..., 0] * corners[..., 1]).sum(1)
    return np.where(area[:, None, None] < 0, corners[:, ::-1], corners)


def save_jpeg(path: str, image: np.ndarray) -> np.ndarray:
    """Writes H W 3 as a JPEG of high quality; what a reader will find in it, 3 H W."""
    Image.fromarray(image).save(path, quality=95)
    with Image.open(path) as stored:
        return np.asarray(stored).transpose(2, 0, 1).copy()
