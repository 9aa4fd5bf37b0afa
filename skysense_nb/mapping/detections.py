"""Objects found tile by tile, each counted once, as polygons in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import shapely
import torch
import xarray as xr
from torch import Tensor

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.mapping.doubles import without_doubles
from skysense_nb.mapping.imagery import Imagery, scaled
from skysense_nb.mapping.job import Job, Result
from skysense_nb.mapping.ledger import Ledger, room_in
from skysense_nb.mapping.products import Product, Sample
from skysense_nb.mapping.run import Map, carry_out, cut, provenance
from skysense_nb.mapping.tiles import Span
from skysense_nb.mapping.workers import model_of
from skysense_nb.models.digest import weights_digest
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.sensors import HR_PIXELS_PER_CELL

if TYPE_CHECKING:
    from distributed import Client

Detector = Callable[[MultiModalModel, Sample], list[dict[str, Tensor]]]
"""From a model and a batch to, per sample, `boxes` (n 4 x1 y1 x2 y2, or n 5 cx cy w h angle in radians from x towards
y, HR pixels of the tile), `scores` (n) and `labels` (n)."""

STRAY_CELLS = 1
"""How far beyond its part a tile still reports objects. Two tiles that see an object on their border may each place
its middle on the other's side; without this, neither would report it."""

COLUMNS = 11
"""Of what is kept per object: 8 corner coordinates in HR pixels of the map, score, label, whether it is a stray."""


@dataclass(frozen=True)
class DetectionJob(Job):
    """A job whose tiles hold tables of objects, n `COLUMNS`.

    Attributes:
        classes: Names in the order of labels.
    """

    classes: tuple[str, ...] = ()

    def outputs(self, model: MultiModalModel, batch: Sample) -> Iterable[np.ndarray]:
        """Corners, score and label of the objects in each tile of a batch, n 10, pixels of the tile."""
        found, size = self.product.read(model, batch), len(next(iter(batch.values())))
        if len(found) != size:
            raise SampleError.of(f"a detector's answers for {size} tiles", f"{len(found)}", "Return one per sample.")
        return [table_of(one, len(self.classes)) for one in found]

    def completed(self, known: Result, output: np.ndarray) -> Result:
        """A tile with the objects that belong to it, and strays that others may have overlooked."""
        spans = known.tile.columns, known.tile.rows  # x, y
        start = np.array([span.start for span in spans]) * HR_PIXELS_PER_CELL
        corners = output[:, :8].reshape(-1, 4, 2) + start
        middle = corners.mean(1)
        own, near, whole = np.ones((3, len(output)), bool)
        for axis, span in enumerate(spans):
            own &= between(middle[:, axis], span.first, span.last)
            near &= between(middle[:, axis], span.first - STRAY_CELLS, span.last + STRAY_CELLS)
            whole &= uncut(corners[..., axis], span)
        table = np.concatenate([corners.reshape(-1, 8), output[:, 8:], ~own[:, None]], axis=1)
        return replace(known, values=table[own | (near & whole)], seen=None)


def map_detections(
    scene: xr.DataTree,
    model: MultiModalModel | Callable[[], MultiModalModel],
    detector: Detector,
    out: str | Path,
    *,
    classes: tuple[str, ...],
    identity: str,
    double_iou: float = 0.5,
    tile: int | None = None,
    margin_m: float | None = None,
    batch: int = 1,
    period: tuple[str, str] | None = None,
    min_clear: float = 0.3,
    client: Client | None = None,
    progress: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> Map:
    """Finds objects in a scene of any size. Called again with the same arguments, it goes on where it was stopped.

    An object belongs to the tile in whose part its middle lies; parts cover the ground without overlap. Where two
    tiles report one object at their border, one report stays. Objects of one tile are left as the detector gave them.

    Args:
        scene: Opened lazily if it is large.
        model: A model, or a function without arguments that loads one.
        detector: Finds objects in a batch; suppresses its own doubles.
        out: Folder of this run.
        classes: Names; label 0 is the first.
        identity: What the detector is, such as the checksum of its head: a run goes on only with the same.
        double_iou: Intersection over union, 0–1, from which on objects of one class in two tiles are one.
        tile: Edge of what the model reads at once, ground cells.
        margin_m: Ground at each side of a tile that belongs to its neighbours, metres: at least half the length of
            the largest object and a cell, so that each is seen whole. By default an eighth of a tile.
        batch: Tiles computed together.
        period: First and last acquisition date to read; None for all.
        min_clear: Dates less clear than this over a tile are left out there.
        client: A Dask cluster to share the work.
        progress: Show a bar.
        stop: Asked after each piece; True ends the call, finished pieces stay.

    Returns:
        As `map_scene`. `files["detections"]` is a GeoPackage: polygons with `class`, `score`, the best first; model,
        weights and dates are metadata of its layer.

    Raises:
        RunError: `out` holds another run or other files, or cannot be written.
        SampleError: Values in a unit that cannot be meant, or a detector's answer that cannot be.
        ParameterError: Numbers that cannot be.
        SceneError: No date in the period.

    Example:
        >>> found = map_detections(region, model, find_ships, "runs/ships",
        ...                        classes=("ship",), identity="head of 3 May")             # doctest: +SKIP
        >>> geopandas.read_file(found.files["detections"])                                  # doctest: +SKIP
    """
    if batch < 1 or not 0 < double_iou <= 1:
        got = f"a batch of {batch}, an IoU of {double_iou}"
        raise ParameterError.of("a batch of at least 1 and an IoU above 0, at most 1", got, "Pass such numbers.")
    loaded = model_of(model)
    imagery = Imagery(scene, period, loaded.modalities)
    imagery.check_units()
    told = f"{identity}, classes {', '.join(classes)}, doubles from {double_iou}"
    product = Product("detections", told, detector, (), lambda values, _: (), kept_dtype="float64")
    tiling = cut(imagery, tile, margin_m, 0.0, "none")
    job = DetectionJob(imagery, model, product, tiling, batch, min_clear, tuple(classes))
    weights = weights_digest(loaded)
    ledger = Ledger(out, job.identity(loaded, weights))
    path = ledger.folder / "detections.gpkg"

    def write_file() -> None:
        write_objects(job, gathered(job, ledger, double_iou), path, provenance(job, loaded, weights))

    return carry_out(job, loaded, ledger, {"detections": path}, write_file, client, progress, stop)


def gathered(job: DetectionJob, ledger: Ledger, double_iou: float) -> np.ndarray:
    """Objects of all tiles, each once, the best first, n `COLUMNS`."""
    tables, owners = [np.zeros((0, COLUMNS))], [np.zeros(0, int)]
    for number, tiles in enumerate(job.pieces):
        for at, tile in enumerate(tiles):
            table = ledger.result(number, at, tile).values
            if table is not None:
                tables.append(table)
                owners.append(np.full(len(table), number * job.batch + at))
    table, owner = np.concatenate(tables), np.concatenate(owners)
    kept = without_doubles(outlines(table), table[:, 8], table[:, 9], owner, table[:, 10] > 0, double_iou)
    return table[kept[np.argsort(-table[kept, 8], kind="stable")]]


def write_objects(job: DetectionJob, table: np.ndarray, path: Path, told: dict[str, str]) -> None:
    """Polygons on the ground in a GeoPackage, whole or not there."""
    import geopandas
    from pyogrio.errors import DataSourceError

    grid = scaled(job.imagery.cells, HR_PIXELS_PER_CELL)
    x, y = grid.affine @ (table[:, 0:8:2], table[:, 1:8:2])
    columns = {"class": np.array(job.classes, object)[table[:, 9].astype(int)], "score": table[:, 8]}
    objects = geopandas.GeoDataFrame(columns, geometry=shapely.polygons(np.stack([x, y], -1)), crs=str(grid.crs))
    beside = TemporaryDirectory(dir=path.parent, prefix=".detections-")
    with room_in(path.parent, DataSourceError), beside as folder:
        unfinished = Path(folder) / path.name
        objects.to_file(
            unfinished, layer="detections", driver="GPKG", engine="pyogrio", geometry_type="Polygon",
            layer_metadata=told,
        )  # fmt: skip
        unfinished.replace(path)


def table_of(found: dict[str, Tensor], classes: int) -> np.ndarray:
    """A detector's answer for one tile: corners, score and label, n 10."""
    boxes, scores, labels = (found[name].detach().double().cpu() for name in ("boxes", "scores", "labels"))
    if boxes.ndim != 2 or boxes.shape[1] not in (4, 5) or not len(boxes) == len(scores) == len(labels):
        got = f"boxes {tuple(boxes.shape)}, scores {tuple(scores.shape)}, labels {tuple(labels.shape)}"
        raise SampleError.of("boxes n 4 or n 5 with n scores and labels", got, "See `Detector`.")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        got = f"{int(labels.min())} to {int(labels.max())}"
        raise SampleError.of(f"labels from 0 to {classes - 1}", got, "Name all classes, with background if it has one.")
    return torch.cat([corners_of(boxes).flatten(1), scores[:, None], labels[:, None]], 1).numpy()


def corners_of(boxes: Tensor) -> Tensor:
    """Corners n 4 2 of boxes n 4 (x1 y1 x2 y2) or n 5 (cx cy w h angle), in order around the box.

    Example:
        >>> corners_of(torch.tensor([[0.0, 0.0, 4.0, 2.0]])).tolist()
        [[[0.0, 0.0], [4.0, 0.0], [4.0, 2.0], [0.0, 2.0]]]
    """
    if boxes.shape[1] == 4:
        return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].unflatten(1, (4, 2))
    middle, size, angle = boxes[:, :2], boxes[:, 2:4], boxes[:, 4:]
    along = torch.cat([angle.cos(), angle.sin()], 1) * size[:, :1] / 2
    across = torch.cat([-angle.sin(), angle.cos()], 1) * size[:, 1:] / 2
    return middle[:, None] + torch.stack([-along - across, along - across, along + across, across - along], 1)


def outlines(table: np.ndarray) -> np.ndarray:
    """Polygons of objects, pixels of the map; convex, whatever the order of their corners."""
    return shapely.convex_hull(shapely.polygons(table[:, :8].reshape(-1, 4, 2)))


def between(values: np.ndarray, first: int, last: int) -> np.ndarray:
    """Whether pixels lie within cells."""
    return (values >= first * HR_PIXELS_PER_CELL) & (values < last * HR_PIXELS_PER_CELL)


def uncut(values: np.ndarray, span: Span) -> np.ndarray:
    """Whether corners (n 4, one axis) lie within what a tile read; at its edge an object may go on."""
    low, high = span.start * HR_PIXELS_PER_CELL, span.stop * HR_PIXELS_PER_CELL
    return (values > low).all(1) & (values < high).all(1)
