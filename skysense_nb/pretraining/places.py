"""Endless places of the synthetic world to train on and to probe with, each a tile with its truth.

A tile is what `scene.sky.to_sample` makes, a batch of one. SkySense (CVPR 2024) trained on 21.5 million places of
64 × 64 cells, 8.78 million km²; numbers of regions, places and tiles here are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from skysense_nb.errors import ParameterError

if TYPE_CHECKING:
    import xarray as xr

    from skysense_nb.data.synthetic.regions import Place

CELL_M = 10
SPLITS = ("train", "held-out")

TAG_SHARE = 1 / 8
"""Share of a ground cell from which on the tag of a land-cover class counts as seen there."""


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
            ParameterError: The regions hold no ground of this split.
        """
        from skysense_nb.data.synthetic import KINDS
        from skysense_nb.data.synthetic.hashing import Dice
        from skysense_nb.data.synthetic.regions import draw_place

        turn, number = divmod(index, len(KINDS))
        order = Dice.of(self.seed, "order of kinds", turn).uniform("lot", count=len(KINDS)).argsort()
        kinds = [KINDS[one] for one in (*order[number:], *order[:number])]
        return draw_place(self.seed, index, kinds, self.half_m, self.split == "held-out", self.regions, self.world)

    @property
    def half_m(self) -> float:
        """Half a tile, and one cell more, because a scene is moved onto whole cells."""
        return CELL_M * (self.cells / 2 + 1)


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
