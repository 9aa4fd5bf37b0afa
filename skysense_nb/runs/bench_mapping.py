"""How fast a region is mapped, against the model alone on tiles that are already in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
import xarray as xr

from skysense_nb.data.storage import open_scene
from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.lazy import lazy_region
from skysense_nb.mapping import embedding, local_cluster, map_scene
from skysense_nb.mapping.imagery import Imagery
from skysense_nb.mapping.job import Job
from skysense_nb.mapping.tiles import Tiling
from skysense_nb.models.checkpoints import load
from skysense_nb.models.multimodal import MultiModalModel

DATES = {"s2_dates": ["2023-04-20", "2023-08-10"], "s1_dates": ["2023-06-01"]}
CORNER = (500_000, 5_500_000)
CELL_M = 10


@dataclass(frozen=True)
class MappingRate:
    """How fast one way of mapping is.

    Attributes:
        way: `model alone`, `this process`, or `n workers`.
        tile: Edge of a tile, ground cells.
        tiles: How many.
        tiles_per_s: By the clock. For workers from the moment each has its first tiles behind it, without the
            writing of the raster; for this process with reading, keeping, blending and writing.
        ratio: Of the rate of the model alone, in this process, one thread.
    """

    way: str
    tile: int
    tiles: int
    tiles_per_s: float
    ratio: float

    def __str__(self) -> str:
        rate = f"{self.tiles_per_s:7.2f} tiles/s · {self.ratio:.2f} × the model alone"
        return f"{self.way:<12} {self.tiles} tiles of {self.tile} cells · {rate}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a table or JSON."""
        return asdict(self)


def bench_mapping(
    preset: str = "skysense-tiny",
    cells: int = 192,
    tile: int = 48,
    workers: Sequence[int] = (1, 2),
    device: str = "cpu",
) -> Iterator[MappingRate]:
    """Maps the embedding of a synthetic region of two Sentinel-2 dates and one of Sentinel-1 in several ways.

    Every process computes with one thread, so that workers add up.

    Args:
        preset: Model, with random weights.
        cells: Edge of the region, ground cells.
        tile: Edge of a tile.
        workers: Numbers of processes of a Dask cluster; the model is on the CPU there.
        device: For the model in this process.

    Example:
        >>> [row.way for row in bench_mapping(cells=24, tile=16, workers=[])]
        ['model alone', 'this process']
    """
    loader = partial(load_model, preset)
    model, threads = loader().to(device), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory() as folder:
            region = stored_region(Path(folder) / "region.zarr", cells)
            options = {"tile": tile, "progress": False}
            alone, tiles = model_rate(region, model, tile)
            yield MappingRate("model alone", tile, tiles, alone, 1.0)
            began = perf_counter()
            map_scene(region, model, embedding(model.width), Path(folder) / "here", **options)
            rate = tiles / (perf_counter() - began)
            yield MappingRate("this process", tile, tiles, rate, rate / alone)
            for number in workers:
                rate = workers_rate(region, loader, model.width, Path(folder) / f"{number}", number, options)
                yield MappingRate(f"{number} workers", tile, tiles, rate, rate / alone)
    finally:
        torch.set_num_threads(threads)


def load_model(preset: str) -> MultiModalModel:
    """The model with random weights."""
    return load(preset, weights="random")[0]


def stored_region(path: Path, cells: int) -> xr.DataTree:
    """A synthetic region on disk."""
    edge = cells * CELL_M
    bounds = (CORNER[0], CORNER[1], CORNER[0] + edge, CORNER[1] + edge)
    return open_scene(lazy_region(World(0), bounds, "EPSG:32632", clouds=False, **DATES).sky.save(path))


def model_rate(region: xr.DataTree, model: MultiModalModel, tile: int) -> tuple[float, int]:
    """Tiles per second of the model on samples that are in memory, after one round for nothing; and how many tiles."""
    tiling = Tiling(region["s2"]["image"].shape[-2:], tile, tile // 8, tile // 8)
    job = Job(Imagery(region), model, embedding(model.width), tiling)
    read = [job.read(number, model) for number in range(len(job.pieces))]
    job.compute(read[0], model)
    began = perf_counter()
    for piece in read:
        job.compute(piece, model)
    return len(read) / (perf_counter() - began), len(read)


def workers_rate(
    region: xr.DataTree, loader: partial, width: int, out: Path, workers: int, options: dict[str, Any]
) -> float:
    """Tiles per second of a cluster once every worker has loaded the model and done a tile."""
    from distributed import Client

    done = []
    with local_cluster(workers) as cluster, Client(cluster) as client:
        stop = partial(note, done)
        map_scene(region, loader, embedding(width), out, client=client, stop=stop, **options)
    warm = 2 * workers
    return (len(done) - 1 - warm) / (done[-1] - done[warm])


def note(done: list[float]) -> bool:
    """Writes down that a tile is done, and lets the work go on."""
    return bool(done.append(perf_counter()))
