"""Places of the synthetic world as the miniatures need them: arrays, and boxes in pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import xarray as xr
from PIL import Image
from tqdm import tqdm

from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.regions import Place, draw_place
from skysense_nb.data.synthetic.window import project, zone_of
from skysense_nb.errors import ParameterError

FEWEST = 4
"""Places from which on every split has one."""

SHARES = {"train": 0.6, "val": 0.75, "test": 1.0}
"""Upper ends of the splits, where the benchmark leaves the shares free."""

GOLDEN = 0.6180339887498949
REDRAWS = 40
"""Draws for one place before it is said that there is none."""


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


def scenes(
    kinds: Sequence[str],
    seed: int,
    count: int,
    size_m: int,
    keep: Callable[[Place, xr.DataTree], bool] | None = None,
    fits: Callable[[Place], bool] | None = None,
    **options: object,
) -> Iterator[tuple[Place, xr.DataTree]]:
    """Scenes of many places to learn from, one after the other; no two of them overlap.

    All lie on held-out ground, because the bundled weights were trained with labels of the other. A larger `count`
    begins with the same places.

    Args:
        kinds: What is in the middle; they take turns. Where a region has no such place the next one stands in.
        seed: Of the draws. The world is always that of the bundled weights.
        count: Number of places.
        size_m: Side, a multiple of 20.
        keep: Whether a scene will do; another place is drawn instead of one that will not.
        fits: Whether a place will do, asked before its scene is made.
        options: As in `World.scene`, or functions of the number of the place that give them; `year` instead of each
            place's own.

    Raises:
        ParameterError: Too few places to fill the splits, or more than there is ground for.

    Example:
        >>> [spot.kind for spot, _ in scenes(["city", "fields"], 0, 4, 20, s2_dates=1, modalities=("s2",))]
        ['city', 'fields', 'city', 'fields']
    """
    if count < FEWEST:
        raise ParameterError.of(f"at least {FEWEST} places, so that every split has one", f"{count}", "Ask for more.")
    world, taken, drawn = World(), [], 0
    for number in tqdm(range(count), "Places", disable=None, leave=False):
        turn = number % len(kinds)
        chosen = {name: value(number) if callable(value) else value for name, value in options.items()}
        for _ in range(REDRAWS):
            spot = draw_place(seed, drawn, (*kinds[turn:], *kinds[:turn]), size_m / 2 + 10, test=True)
            drawn += 1
            zone = zone_of(spot.lon, spot.lat)
            x, y = project(zone, spot.lon, spot.lat)
            near = (max(abs(x - east), abs(y - north)) < size_m + 20 for one, east, north in taken if one == zone)
            if any(near) or (fits is not None and not fits(spot)):
                continue
            scene = world.scene(spot.lon, spot.lat, size_m, **{"year": spot.year} | chosen)
            if keep is None or keep(spot, scene):
                taken.append((zone, x, y))
                yield spot, scene
                break
        else:
            got = f"{number} in {drawn} draws"
            raise ParameterError.of(f"{count} places apart from each other", got, "Ask for fewer, or another seed.")


def spread(number: int, kinds: int = 1) -> float:
    """A number from 0 to 1 for each place in turn, even over any run of them and over each of `kinds` kinds.

    Example:
        >>> [round(spread(number), 2) for number in range(4)]
        [0.0, 0.62, 0.24, 0.85]
    """
    period = 2 * kinds if kinds in (2, 3) else kinds  # else the first places would miss a split
    return sum(divmod(number, period)) * GOLDEN % 1


def split_of(number: int, kinds: int = 1) -> str:
    """Split of a place: of each kind about 60 % train, 15 % val, 25 % test.

    Example:
        >>> [split_of(number) for number in range(4)]
        ['train', 'val', 'train', 'test']
    """
    return next(split for split, end in SHARES.items() if spread(number, kinds) < end)


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
