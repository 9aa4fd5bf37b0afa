"""The whole way: from a scene and a model to rasters on disk, streaming, resumable, in one process or many."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from skysense_nb.errors import ParameterError, RunError
from skysense_nb.mapping.assembly import Mosaic
from skysense_nb.mapping.frugality import small_gdal_cache
from skysense_nb.mapping.imagery import Imagery, scaled
from skysense_nb.mapping.job import Job
from skysense_nb.mapping.ledger import Ledger, room_in, side_begun_with, unread
from skysense_nb.mapping.memory import largest_tile
from skysense_nb.mapping.products import Product
from skysense_nb.mapping.tiles import Tiling
from skysense_nb.mapping.workers import compute_on, model_of
from skysense_nb.mapping.writers import Writer, block_side, open_map, writer
from skysense_nb.models.digest import weights_digest
from skysense_nb.models.multimodal import MultiModalModel

if TYPE_CHECKING:
    from distributed import Client

MANY_BANDS = 16
"""More than these are not looked at band by band."""

AHEAD = 2
"""Pieces that are read while one is computed."""


@dataclass(frozen=True)
class Map:
    """What a run left; prints as one line.

    Attributes:
        files: Written rasters by layer; empty when the run was stopped before its end.
        tiles: How many tiles there are.
        gaps: Tiles without values, as (row, column) of their first cell, and why.
        computed: Tiles this call computed; the others were there.
        seconds: How long computing and writing took in this call.
    """

    files: dict[str, Path]
    tiles: int
    gaps: dict[tuple[int, int], str] = field(default_factory=dict)
    computed: int = 0
    seconds: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether every tile is done and the rasters are written."""
        return bool(self.files)

    def open(self, layer: str | None = None) -> xr.DataArray:
        """A raster, lazily; the first one if none is named."""
        return open_map(self.files[layer] if layer else next(iter(self.files.values())))

    def __str__(self) -> str:
        names = ", ".join(path.name for path in self.files.values()) or "not finished"
        gaps = f", {len(self.gaps)} gaps" if self.gaps else ""
        return f"{self.tiles} tiles ({self.computed} computed now{gaps}) in {self.seconds:.1f} s: {names}"


def map_scene(
    scene: xr.DataTree,
    model: MultiModalModel | Callable[[], MultiModalModel],
    product: Product,
    out: str | Path,
    *,
    tile: int | None = None,
    margin_m: float | None = None,
    overlap_m: float | None = None,
    blend: str = "cosine",
    batch: int = 1,
    memory_gb: float | None = None,
    period: tuple[str, str] | None = None,
    min_clear: float = 0.3,
    form: str | None = None,
    client: Client | None = None,
    progress: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> Map:
    """Maps a scene of any size. Called again with the same arguments, it goes on where it was stopped or killed.

    Tiles are read on exact grids of every sensor, computed in fixed batches, and kept in `out/pieces` until all are
    there; then they are put together block by block. Memory depends on tile and batch, not on the area.

    Args:
        scene: Opened lazily if it is large.
        model: A model, or a function without arguments that loads one: with `client`, each worker calls it once.
        product: What to map, such as `embedding(model.width)`.
        out: Folder of this run.
        tile: Edge of what the model reads at once, ground cells; by default 32 with HR (1024 pixels), else 64.
        margin_m: Ground at each side of a tile whose output is thrown away, metres; by default an eighth of a tile.
        overlap_m: Ground that neighbours share and blend, metres; by default an eighth of a tile.
        blend: `none`, `mean`, `linear` or `cosine`.
        batch: Tiles computed together.
        memory_gb: Peak memory of this process; without `tile`, the largest tile is taken that fits when a run
            begins.
        period: First and last acquisition date to read; None for all.
        min_clear: Dates less clear than this over a tile are left out there.
        form: `cog` or `zarr`; by default `zarr` for many bands, such as those of an embedding.
        client: A Dask cluster to share the work; its workers must see `out` under the same path.
        progress: Show a bar.
        stop: Asked after each piece; True ends the call, finished pieces stay.

    Returns:
        Files, gaps and numbers. A tile that cannot be read is a gap, and is tried again at the next call.

    Raises:
        RunError: `out` holds another run or other files, or cannot be written.
        SampleError: Values in a unit that cannot be meant.
        ParameterError: Numbers that cannot be.
        SceneError: No date in the period.

    Example:
        >>> print(map_scene(region, model, embedding(model.width), "runs/region"))          # doctest: +SKIP
        400 tiles (400 computed now) in 61.0 s: embedding.zarr
    """
    form = form or ("zarr" if max(len(layer.bands) for layer in product.layers) > MANY_BANDS else "cog")
    make = writer(form, product.layers)
    if batch < 1:
        raise ParameterError.of("a batch of at least 1", f"{batch}", "Pass 1 if memory is short.")
    loaded = model_of(model)
    imagery = Imagery(scene, period, loaded.modalities)
    imagery.check_units()
    if tile is None and memory_gb is not None:
        tile = side_begun_with(Path(out)) or largest_tile(imagery, loaded, product, batch, memory_gb)
    tiling = cut(imagery, tile, margin_m, overlap_m, blend)
    job = Job(imagery, model, product, tiling, batch, min_clear)
    weights = weights_digest(loaded)
    ledger = Ledger(out, job.identity(loaded, weights) | {"form": form})
    files = {layer.name: make.place(ledger.folder, layer) for layer in product.layers}

    def write_files() -> None:
        write(job, ledger, make, provenance(job, loaded, weights))

    return carry_out(job, loaded, ledger, files, write_files, client, progress, stop)


def carry_out(
    job: Job,
    model: MultiModalModel,
    ledger: Ledger,
    files: dict[str, Path],
    write_files: Callable[[], object],
    client: Client | None,
    progress: bool,
    stop: Callable[[], bool],
) -> Map:
    """Computes the pieces that are missing, and writes the files once all are there.

    Args:
        job: The work.
        model: Of the job, loaded.
        ledger: Where pieces are kept.
        files: What will be there.
        write_files: Makes these from the pieces.
        client: A Dask cluster to share the work.
        progress: Show a bar.
        stop: Asked after each piece; True ends the call.

    Raises:
        RunError: Not one tile could be read.
    """
    began, tiles, computed = time.perf_counter(), len(job.tiling.tiles()), 0
    with ledger.held():
        outcome = ledger.outcome()
        there = outcome is not None and all(path.exists() for path in files.values())
        if there and not any(map(unread, outcome.values())):
            return Map(files, tiles, outcome)
        todo = [number for number in range(len(job.pieces)) if not ledger.finished(number)]
        work = compute_on(client, job, ledger, todo) if client else compute_here(job, model, ledger, todo)
        with closing(work):
            for number in tqdm(work, total=len(todo), unit="piece", disable=not progress):
                computed += len(job.pieces[number])
                if stop():
                    break
        if not all(ledger.path(number).exists() for number in range(len(job.pieces))):
            return Map({}, tiles, {}, computed, time.perf_counter() - began)
        gaps = gaps_of(job, ledger)
        if len(gaps) == tiles and all(map(unread, gaps.values())):
            fix = "Check the files and call again: every tile is then tried again."
            raise RunError.of("a tile that can be read", f"none of {tiles} ({next(iter(gaps.values()))})", fix)
        write_files()
        ledger.conclude(gaps)
    return Map(files, tiles, gaps, computed, time.perf_counter() - began)


def cut(imagery: Imagery, tile: int | None, margin_m: float | None, overlap_m: float | None, blend: str) -> Tiling:
    """The tiling of a scene, from metres to cells."""
    side = tile or (32 if "hr" in imagery.names else 64)
    cell_m = abs(imagery.cells.resolution.x)
    margin, overlap = (
        max(1, side // 8) if metres is None else math.ceil(metres / cell_m) for metres in (margin_m, overlap_m)
    )
    return Tiling(tuple(imagery.cells.shape), side, margin, overlap, blend)


def compute_here(job: Job, model: MultiModalModel, ledger: Ledger, todo: list[int]) -> Iterator[int]:
    """Computes and keeps pieces one after the other, while a thread reads the next ones; yields their numbers."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        numbers = iter(todo)
        waiting = deque((number, reader.submit(job.read, number, model)) for number in islice(numbers, AHEAD))
        try:
            while waiting:
                number, read = waiting.popleft()
                tiles = read.result()
                waiting.extend((later, reader.submit(job.read, later, model)) for later in islice(numbers, 1))
                ledger.write(number, job.compute(tiles, model), job.product.kept_dtype)
                yield number
        finally:
            for _, read in waiting:
                read.cancel()


def write(job: Job, ledger: Ledger, make: type[Writer], attrs: dict[str, str]) -> None:
    """Puts the finished tiles together, block by block, into one raster per layer.

    Raises:
        RunError: The disk is full or cannot be written; finished tiles stay.
    """
    product, mosaic = job.product, Mosaic(job, ledger)
    side = block_side(max(len(layer.bands) for layer in product.layers))
    grid = scaled(job.imagery.cells, product.pixels_per_cell)
    scales = {} if product.scale is None else {"scale": json.dumps(product.scale(mosaic.largest).tolist())}
    with room_in(ledger.folder), small_gdal_cache():
        writers = [make(ledger.folder, layer, grid, attrs | scales, side) for layer in product.layers]
        for rows, columns in mosaic.blocks(side):
            found = mosaic.block((rows, columns))
            finished = found and product.finish(found[0], mosaic.largest)
            for at, layer in enumerate(product.layers):
                shape = (len(layer.bands), rows.stop - rows.start, columns.stop - columns.start)
                values = np.full(shape, layer.nodata, layer.dtype)
                if found is not None:
                    values = np.where(found[1], finished[at], values)
                writers[at].write(rows, columns, values)
        for one in writers:
            one.close()


def provenance(job: Job, model: MultiModalModel, weights: str) -> dict[str, str]:
    """What every file carries: model, digest of its weights, product, and the dates that were offered to it."""
    days = {name: pd.DatetimeIndex(job.imagery.scene[name]["time"].values) for name in job.imagery.names}
    return {
        "model": model.provenance,
        "weights": weights[:16],
        "product": job.product.name,
        "dates": "; ".join(f"{name} {len(day)}: {day[0]:%Y-%m-%d} to {day[-1]:%Y-%m-%d}" for name, day in days.items()),
    }


def gaps_of(job: Job, ledger: Ledger) -> dict[tuple[int, int], str]:
    """Every tile without values, as (row, column) of its first cell, and why."""
    found = {}
    for number, tiles in enumerate(job.pieces):
        for at, reason in ledger.gaps(number).items():
            found[tiles[at].rows.start, tiles[at].columns.start] = reason
    return found
