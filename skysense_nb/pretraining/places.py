"""Endless places of the synthetic world to train on and to probe with, each a tile with its truth.

A tile is what `scene.sky.to_sample` makes, a batch of one. SkySense (CVPR 2024) trained on 21.5 million places of
64 × 64 cells, 8.78 million km²; numbers of regions, places and tiles here are our choice.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from skysense_nb.errors import ParameterError, SampleError, SceneError

if TYPE_CHECKING:
    import xarray as xr

    from skysense_nb.data.synthetic.hashing import Dice

CELL_M = 10
DEGREE_M = 111_320
SPLITS = ("train", "held-out")
SQUARE_M = 20_000
HELD_OUT_SHARE = 0.2
"""Every UTM zone is cut into squares of this side, and this share of them, by hash, is held out."""

REGION_RADIUS_M = 30_000
"""Places of a region lie this far to each side of its middle: about one region of the prototypes."""

STRAY_M = 200
"""How far to each side a tile lies from the middle of the village, quarry, … it was drawn for."""

YEARS = 2018, 2026
"""Growing years of the tiles: from the first up to, not including, the second."""

ATTEMPTS = 400
"""Spots that are tried before a split is said to have no ground."""

TAG_SHARE = 1 / 8
"""Share of a ground cell from which on the tag of a land-cover class counts as seen there."""


@dataclass(frozen=True)
class Place:
    """Where and when a tile is: middle in degrees, kind it was drawn for (one of `KINDS`), growing year."""

    lon: float
    lat: float
    kind: str
    year: int


@dataclass(frozen=True)
class SyntheticPlaces(Dataset):
    """Endless tiles of the synthetic world; tile `index` is the same for everyone.

    Kinds of places take turns, biomes too. Places gather in a few regions, because geo-context prototypes learn from
    regions that come again. Ground of the two splits is disjoint whatever the other values are.

    Attributes:
        seed: Which places.
        cells: Side of a tile in ground cells of 10 m, even; 16 is 160 m and 512 HR pixels, 64 the paper's size.
        s2_dates: Sentinel-2 dates per tile.
        s1_dates: Sentinel-1 dates per tile.
        split: `train` or `held-out`.
        labels: Whether samples carry truth for probes; see `cell_labels`.
        regions: Number of regions.
        world: Seed of the world.

    Raises:
        ParameterError: An odd or empty tile, no region, or another split.

    Example:
        >>> SyntheticPlaces(cells=4, s2_dates=2, s1_dates=1)[7]["s2"].shape
        torch.Size([1, 2, 10, 4, 4])
    """

    seed: int = 0
    cells: int = 16
    s2_dates: int = 12
    s1_dates: int = 6
    split: str = "train"
    labels: bool = False
    regions: int = 28
    world: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ParameterError.of(f"a split among {', '.join(SPLITS)}", repr(self.split), "Choose one of these.")
        if self.cells < 2 or self.cells % 2:
            raise ParameterError.of("an even number of cells", str(self.cells), "Use 16, or 64 for the paper's size.")
        if self.regions < 1:
            raise ParameterError.of("at least one region", str(self.regions), "Use about four per biome, 28.")

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return sample_of(self.scene(index), self.labels)

    def scene(self, index: int) -> xr.DataTree:
        """The tile as a scene, with all its labels."""
        from skysense_nb.data.synthetic import World

        place = self.place(index)
        dates = {"s2_dates": self.s2_dates, "s1_dates": self.s1_dates}
        return World(self.world).scene(place.lon, place.lat, CELL_M * self.cells, place.year, **dates)

    def place(self, index: int) -> Place:
        """Where the tile is.

        Raises:
            SampleError: The regions hold no ground of this split.
        """
        from skysense_nb.data.synthetic import KINDS, World
        from skysense_nb.data.synthetic.hashing import Dice

        turn, number = divmod(index, len(KINDS))
        order = Dice.of(self.seed, "order of kinds", turn).uniform("lot", count=len(KINDS)).argsort()
        for attempt in range(ATTEMPTS):
            dice = Dice.of(self.seed, "place", index, attempt)
            center = region_center(self.seed, self.world, int(dice.number("region", 0, self.regions)))
            near = shifted(center, dice, REGION_RADIUS_M)
            if not self.owns(near):
                continue
            kind = KINDS[order[number]]
            try:
                spot = shifted(World(self.world).find(kind, near), dice, STRAY_M)
            except SceneError:  # no orchard in the far north: the next kind in turn
                number = (number + 1) % len(KINDS)
                continue
            if self.owns(spot):
                return Place(*spot, kind, int(dice.number("year", *YEARS)))
        got = f"none in {self.regions} regions"
        raise SampleError.of(f"ground of the split {self.split!r}", got, "Use more regions, or smaller tiles.")

    def owns(self, spot: tuple[float, float]) -> bool:
        """Whether all ground of a tile around (lon, lat) belongs to this split."""
        from skysense_nb.data.synthetic.hashing import Dice
        from skysense_nb.data.synthetic.window import project, zone_of

        zone = zone_of(*spot)
        half = CELL_M * (self.cells / 2 + 1)  # one more, because a scene is moved onto whole cells
        east, north = ([int((middle + edge) // SQUARE_M) for edge in (-half, half)] for middle in project(zone, *spot))
        squares = [Dice.of("held out", zone, x, y) for x in east for y in north]
        return all(square.chance("share", HELD_OUT_SHARE) == (self.split == "held-out") for square in squares)


@functools.lru_cache(maxsize=1024)
def region_center(seed: int, world: int, number: int) -> tuple[float, float]:
    """Longitude and latitude of the middle of a region, in the biome whose turn it is."""
    from skysense_nb.data.synthetic.biomes import BIOMES, biome_ids
    from skysense_nb.data.synthetic.hashing import Dice

    dice = Dice.of(seed, "region", number)
    lon, lat = dice.uniform("lon", -178, 178, count=2000), dice.uniform("lat", -50, 68, count=2000)
    first = (biome_ids(world, lon, lat) == number % len(BIOMES)).argmax()
    return float(lon[first]), float(lat[first])


def shifted(spot: tuple[float, float], dice: Dice, reach_m: float) -> tuple[float, float]:
    """(lon, lat) moved by up to `reach_m` to each side."""
    lon, lat = spot
    east, north = (dice.number(f"{axis} {reach_m}", -reach_m, reach_m) for axis in ("east", "north"))
    return lon + east / (DEGREE_M * math.cos(math.radians(lat))), lat + north / DEGREE_M


def sample_of(scene: xr.DataTree, labels: bool = False) -> dict[str, Tensor]:
    """Tensors of a scene, a batch of one, with truth if asked for."""
    from skysense_nb.data import to_sample

    return to_sample(scene) | (cell_labels(scene) if labels else {})


def cell_labels(scene: xr.DataTree) -> dict[str, Tensor]:
    """Truth of a synthetic scene on the grid of ground cells.

    Returns:
        `land_cover` (1 h w int64), the id that covers most of the cell; `tags` (1 K h w bool) in the order of
        `tag_names`, which of them cover at least an eighth of it; `scene_class` (1), the place in `KINDS` of what is
        in the middle, missing where the scene was cut out of a larger one.

    Example:
        >>> sorted(cell_labels(SyntheticPlaces(cells=4, s2_dates=1, s1_dates=1).scene(0)))
        ['land_cover', 'scene_class', 'tags']
    """
    from skysense_nb.data.sample import cell_grid
    from skysense_nb.data.synthetic import KINDS, LAND_COVER

    rows, columns = cell_grid(scene).shape
    cover = torch.from_numpy(scene["labels"]["land_cover"].values)
    blocks = cover.view(rows, len(cover) // rows, columns, -1)
    share = torch.stack([(blocks == one.id).float().mean((1, 3)) for one in LAND_COVER])  # K+1 h w
    labels = {"land_cover": share.argmax(0)[None], "tags": (share[1:] >= TAG_SHARE)[None]}
    if "scene_class" in scene.attrs:
        labels["scene_class"] = torch.tensor([KINDS.index(scene.attrs["scene_class"])])
    return labels


def tag_names() -> list[str]:
    """OpenStreetMap tags in the order of the label `tags`.

    Example:
        >>> tag_names()[:2]
        ['natural=water', 'natural=beach']
    """
    from skysense_nb.data.synthetic import LAND_COVER

    return [one.tag for one in LAND_COVER[1:]]
