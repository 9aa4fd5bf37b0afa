"""What frozen features of a model, or raw pixels, are worth on places that were held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.pretraining.alignment_loss import Alignment
from skysense_nb.pretraining.tiles import collate_tiles
from skysense_nb.sensors import HR_PIXELS_PER_CELL, SENSORS
from skysense_nb.training.probes import knn_accuracy, linear_probe_miou, retrieval_recall

Describe = Callable[[dict[str, Tensor]], Tensor]
"""From a batch of tiles to one vector per ground cell: B D h w."""


@dataclass(frozen=True)
class Score:
    """Worth of frozen features on other places than the probes were fitted on, 0–1.

    Attributes:
        scene_accuracy: k-NN accuracy of the kind of place, from the mean over cells.
        land_cover_miou: mIoU of a linear layer that names the land cover of each cell.
    """

    scene_accuracy: float
    land_cover_miou: float

    def __str__(self) -> str:
        return f"scene k-NN {self.scene_accuracy:.1%}, land-cover mIoU {self.land_cover_miou:.1%}"


def evaluate(describe: Describe, train: Dataset, test: Dataset, batch: int = 8, neighbours: int = 10) -> Score:
    """Fits probes on the cells and tiles of `train`, measures them on `test`.

    Args:
        describe: `fused_cells(model)` or `raw_pixels`.
        train: Labelled tiles of places the model may have seen.
        test: Labelled tiles of places it has not.
        batch: Tiles at a time.
        neighbours: k.
    """
    (tiles, kinds, cells, covers), (test_tiles, test_kinds, test_cells, test_covers) = (
        collect(describe, part, batch) for part in (train, test)
    )
    accuracy = knn_accuracy(tiles, kinds, test_tiles, test_kinds, neighbours)
    return Score(accuracy, linear_probe_miou(cells, covers, test_cells, test_covers).miou)


@torch.no_grad()
def collect(describe: Describe, tiles: Dataset, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors and classes of all tiles (n D, n) and of all their cells (n·N D, n·N)."""
    pooled, kinds, cells, covers = [], [], [], []
    for sample in DataLoader(tiles, batch, collate_fn=collate_tiles):
        vectors = describe(sample).float().cpu()  # B D h w
        pooled.append(vectors.mean((2, 3)))
        cells.append(vectors.flatten(2).transpose(1, 2).flatten(0, 1))
        kinds.append(sample["scene_class"])
        covers.append(sample["land_cover"].flatten())
    return tuple(torch.cat(parts) for parts in (pooled, kinds, cells, covers))


@dataclass(frozen=True)
class Recall:
    """How often a place seen by one sensor is the first that another sensor finds: recall@1, 0–1.

    Attributes:
        by_cells: Two places are as alike as their cells are on average, each compared with the other's cell at the
            same spot. That is what the alignment is trained for.
        by_mean: They are as alike as the means over their cells, which forget where things lie.
    """

    by_cells: float
    by_mean: float


@torch.no_grad()
def retrieval(model: MultiModalModel, alignment: Alignment, tiles: Dataset, batch: int = 8) -> dict[str, Recall]:
    """Looks for each place that one sensor sees among all tiles as another sensor sees them.

    Cells are compared in the common space of the alignment. Chance is one in the number of tiles.

    Args:
        model: Put into evaluation mode.
        alignment: Trained with it, such as `load_heads(…).alignment`.
        tiles: Of places the model has not seen, each with all sensors.
        batch: Tiles at a time.

    Returns:
        "hr-s2", "hr-s1", "s2-s1": mean of both directions.
    """
    model.eval()
    found = defaultdict(list)
    for sample in DataLoader(tiles, batch, collate_fn=collate_tiles):
        features = model.features(sample, cells=True)
        sources = {name: dates.flatten(3).transpose(2, 3) for name, dates in features.cells.items()}  # B T N D
        valid = {name: sample[f"{name}_valid"].to(model.device) for name in sources}
        for name, cells in alignment.embed(sources, valid).items():
            found[name].append(cells.cpu())
    places = {name: torch.cat(parts) for name, parts in found.items()}  # n N C
    return {f"{one}-{other}": recall_of(places[one], places[other]) for one, other in combinations(places, 2)}


def recall_of(one: Tensor, other: Tensor) -> Recall:
    """Recall of n places by unit vectors of their cells, n N C each: mean of both directions.

    Example:
        >>> recall_of(torch.eye(4).view(2, 2, 4), torch.eye(4).view(2, 2, 4))
        Recall(by_cells=1.0, by_mean=1.0)
    """
    by_cells = sum(retrieval_recall(one.flatten(1), other.flatten(1))) / 2
    return Recall(by_cells, sum(retrieval_recall(one.mean(1), other.mean(1))) / 2)


def fused_cells(model: MultiModalModel) -> Describe:
    """Describes cells by a model's fused features; the model is put into evaluation mode."""
    model.eval()
    return lambda sample: model.features(sample).fused


def raw_pixels(sample: dict[str, Tensor]) -> Tensor:
    """Describes a cell by every pixel of every sensor and date in it: the bar any model must clear.

    Example:
        >>> raw_pixels({"hr": torch.zeros(1, 1, 3, 64, 64), "s2": torch.zeros(1, 4, 10, 2, 2)}).shape
        torch.Size([1, 3112, 2, 2])
    """
    parts = []
    for name in [name for name in SENSORS if name in sample]:
        images = sample[name].flatten(1, 2)
        parts.append(F.pixel_unshuffle(images, HR_PIXELS_PER_CELL) if name == "hr" else images)
    return torch.cat(parts, dim=1)
