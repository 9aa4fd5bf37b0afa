"""Tiles on disk: places stored once and read fast, and scenes of your own cut into tiles.

`collate_tiles` joins tiles to a batch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from skysense_nb.errors import RunError, SampleError, make_folder
from skysense_nb.pretraining.crops import CELL_LABELS
from skysense_nb.pretraining.disturbances import statistics
from skysense_nb.pretraining.places import SyntheticPlaces, sample_of
from skysense_nb.sensors import HR_PIXELS_PER_CELL, SENSORS

if TYPE_CHECKING:
    import xarray as xr

STORED_TYPES = {"hr": torch.uint8, "s2": torch.int16, "s1": torch.float16}
LABELS = ("scene_class", *CELL_LABELS)


def write_tiles(
    folder: str | Path,
    places: SyntheticPlaces,
    count: int,
    *,
    first: int = 0,
    cells: int | None = None,
    progress: bool = False,
) -> Path:
    """Stores places for `StoredPlaces`, one file per tile. A second call makes only what is missing.

    Several processes may fill one folder if their ranges of places differ.
    Drawing a place has a price of its own: 64 cells cut into sixteen tiles of 16 cost a quarter of sixteen places.

    Args:
        folder: Where to; made if it is not there.
        places: What to store.
        count: Number of places.
        first: Index of the first place.
        cells: Side of the tiles that each place is cut into; without it a place is one tile.
        progress: Whether to show a bar.

    Raises:
        SampleError: The folder holds tiles of other places, or places smaller than a tile.
        RunError: The folder cannot be made.

    Example:
        >>> folder = write_tiles("tiles", SyntheticPlaces(cells=4, s2_dates=1, s1_dates=1), count=1, cells=2)
        >>> len(StoredPlaces(folder))
        4
    """
    folder, side = Path(folder), cells or places.cells
    origin = {"origin": f"{places} in tiles of {side} cells"}
    across = places.cells // side
    if not across:
        raise SampleError.of(f"places of at least {side} cells", str(places.cells), "Use larger places.")
    make_folder(folder, RunError)
    for path in sorted(folder.glob("*.safetensors"))[:1]:
        with safe_open(path, "pt") as file:
            if (found := (file.metadata() or {}).get("origin")) != origin["origin"]:
                raise SampleError.of(f"tiles of {origin['origin']} in {folder}", str(found), "Use another folder.")
    for index in tqdm(range(first, first + count), "Places", disable=not progress):
        paths = {
            (row, column): folder / f"{index:08d}_{row:03d}_{column:03d}.safetensors"
            for row in range(across)
            for column in range(across)
        }
        if all(path.exists() for path in paths.values()):
            continue
        scene = places.scene(index)
        for (row, column), path in paths.items():
            tile = scene if across == 1 else cut_scene(scene, row * side, column * side, side)
            unfinished = path.with_suffix(".unfinished")
            save_file(compact(sample_of(tile, places.labels)), unfinished, metadata=origin)
            os.replace(unfinished, path)
    return folder


def compact(sample: dict[str, Tensor]) -> dict[str, Tensor]:
    """A sample as measured: colours 0–255, whole reflectances × 10,000, dB to a hundredth; labels as bytes."""
    stored = {}
    for name, values in sample.items():
        if name in SENSORS:
            mean, std = statistics(name, values)
            values = (values * std + mean) * SENSORS[name].divisor
            kind = STORED_TYPES[name]
            values = values.to(kind) if kind.is_floating_point else values.round().to(kind)
        elif values.dtype == torch.int64:
            values = values.to(torch.int16)
        stored[name] = values.contiguous()
    return stored


def expand(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The sample that `compact` stored, up to its rounding."""
    sample = {}
    for name, values in stored.items():
        if name in SENSORS:
            values = values.float()
            mean, std = statistics(name, values)
            values = (values / SENSORS[name].divisor - mean) / std
        sample[name] = values.long() if values.dtype == torch.int16 else values
    return sample


class StoredPlaces(Dataset):
    """The tiles that `write_tiles` put into a folder, ordered by name.

    Args:
        folder: The folder.

    Raises:
        SampleError: It holds none, or, on reading, a file that is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.paths = sorted(Path(folder).glob("*.safetensors"))
        if not self.paths:
            raise SampleError.of(f"tiles in {folder}", "none", "Make them with write_tiles.")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        try:
            return expand(load_file(self.paths[index]))
        except SafetensorError as error:
            raise SampleError.of(f"a tile in {self.paths[index]}", str(error), "Delete it and write again.") from error


class SceneFolder(Dataset):
    """Your own scenes, saved as Zarr or NetCDF with `scene.sky.save`, cut into tiles of whole ground cells.

    What is left over at the right and lower edge is not used. Gaps become zeros as in `to_sample`.

    Args:
        folder: Folder with `*.zarr` and `*.nc`.
        cells: Side of the tiles in ground cells.

    Raises:
        SampleError: No scene, one that is smaller than a tile, or, on reading, a tile without a valid date.

    Example:
        >>> from skysense_nb.data.synthetic import World
        >>> _ = World(seed=0).scene(8.5, 47.4, size_m=80, s2_dates=1, s1_dates=1).sky.save("scenes/one.nc")
        >>> len(SceneFolder("scenes", cells=4))
        4
    """

    def __init__(self, folder: str | Path, cells: int = 16) -> None:
        from skysense_nb.data import open_scene

        self.cells = cells
        self.tiles: list[tuple[Path, int, int]] = []
        paths = sorted(path for kind in ("*.zarr", "*.nc") for path in Path(folder).glob(kind))
        if not paths:
            raise SampleError.of(f"scenes (.zarr, .nc) in {folder}", "none", "Save them with scene.sky.save.")
        for path in paths:
            rows, columns = whole_cells(open_scene(path))
            if min(rows, columns) < cells:
                fix = "Take it out, or use smaller tiles."
                raise SampleError.of(f"at least {cells} × {cells} cells in {path}", f"{rows} × {columns}", fix)
            corners = range(0, rows - cells + 1, cells), range(0, columns - cells + 1, cells)
            self.tiles += [(path, row, column) for row in corners[0] for column in corners[1]]

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        from skysense_nb.data import open_scene

        path, row, column = self.tiles[index]
        try:
            sample = sample_of(cut_scene(open_scene(path), row, column, self.cells))
        except SampleError as error:
            raise SampleError(f"{path}: {error}") from error
        if not any(bool(sample[f"{name}_valid"].any()) for name in SENSORS if name in sample):
            where = f"{path} from row {row}, column {column} on ({self.cells} × {self.cells} cells)"
            raise SampleError.of(f"a valid date in {where}", "gaps and clouds alone", "Cut the scene to its data.")
        return sample


def whole_cells(scene: xr.DataTree) -> tuple[int, int]:
    """Rows and columns of ground cells that are covered completely."""
    from skysense_nb.data.sample import cell_grid
    from skysense_nb.data.scene import geobox, modalities

    if modalities(scene) == ["hr"]:
        rows, columns = geobox(scene["hr"]).shape
        return rows // HR_PIXELS_PER_CELL, columns // HR_PIXELS_PER_CELL
    return tuple(cell_grid(scene).shape)


def cut_scene(scene: xr.DataTree, row: int, column: int, cells: int) -> xr.DataTree:
    """The scene of `cells` × `cells` ground cells from a row and column on; nothing is read yet.

    Images that still have to be resampled keep a rim of two pixels, so that the tile's edge has neighbours.
    """
    import xarray as xr

    from skysense_nb.data.sample import cell_grid, pixel_grid, same_grid
    from skysense_nb.data.scene import geobox, modalities, pixel_size

    box = cell_grid(scene)[row : row + cells, column : column + cells].boundingbox
    nodes = {}
    for name in [*modalities(scene), *(["labels"] if "labels" in scene.children else [])]:
        fits = name == "labels" or same_grid(geobox(scene[name]), pixel_grid(scene, name))
        rim = 0 if fits else 2 * pixel_size(scene[name])
        inside = {"x": slice(box.left - rim, box.right + rim), "y": slice(box.top + rim, box.bottom - rim)}
        nodes[name] = scene[name].to_dataset().sel(inside)
    return xr.DataTree.from_dict(nodes)


def open_tiles(folder: str | Path, cells: int = 16) -> Dataset:
    """The tiles of a folder: stored places, or scenes of your own cut into `cells` × `cells` ground cells.

    Raises:
        SampleError: It holds neither.

    Example:
        >>> folder = write_tiles("whole", SyntheticPlaces(cells=4, s2_dates=1, s1_dates=1), count=1)
        >>> len(open_tiles(folder))
        1
    """
    if any(Path(folder).glob("*.safetensors")):
        return StoredPlaces(folder)
    return SceneFolder(folder, cells)


def collate_tiles(samples: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One batch from tiles; labels are kept where every tile has them. For `DataLoader(collate_fn=collate_tiles)`.

    Example:
        >>> tile = {"s1": torch.rand(1, 2, 2, 4, 4), "land_cover": torch.ones(1, 4, 4)}
        >>> collate_tiles([tile] * 3)["land_cover"].shape
        torch.Size([3, 4, 4])
    """
    from skysense_nb.data import collate

    shared = [name for name in LABELS if all(name in sample for sample in samples)]
    return collate(samples) | {name: torch.cat([sample[name] for sample in samples]) for name in shared}
