"""One map to make: what is read, by which model, cut how; and the work of one piece of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from skysense_nb.data.sample import collate, to_sample
from skysense_nb.mapping.frugality import frugal_reads
from skysense_nb.mapping.imagery import READ_ERRORS, Imagery, seen
from skysense_nb.mapping.products import Product, Sample
from skysense_nb.mapping.tiles import Tile, Tiling
from skysense_nb.models.inference import InferenceModel
from skysense_nb.models.multimodal import MultiModalModel, kept_form
from skysense_nb.runtime import evaluation_mode, explain_out_of_memory

NOT_READ = "not read"
"""How the reason of a gap begins that may be gone when its tile is read again."""


@dataclass(frozen=True)
class Result:
    """What became of one tile.

    Attributes:
        tile: The tile.
        values: K h w of its kept part, or a table n K of things found in it; None for a gap.
        seen: Where any sensor saw the ground, h w; None with a table.
        gap: Why there are no values; empty otherwise.
    """

    tile: Tile
    values: np.ndarray | None = None
    seen: np.ndarray | None = None
    gap: str = ""


def named(model: MultiModalModel, weights: str) -> str:
    """A model in words, and the beginning of the digest of its weights."""
    return f"{model.provenance}, {weights[:16]}"


@dataclass(frozen=True)
class Job:
    """Everything that decides what a map shows.

    Attributes:
        imagery: What is read.
        model: The model, or a function without arguments that loads it (each worker calls it once).
        product: What is mapped.
        tiling: How the ground is cut.
        batch: Tiles that are computed together: a piece. Pieces are fixed, because a batch of another size rounds
            differently, and a map that was resumed should be the same to the last bit.
        min_clear: Dates that are less clear than this over a tile are left out there.
    """

    imagery: Imagery
    model: MultiModalModel | Callable[[], MultiModalModel]
    product: Product
    tiling: Tiling
    batch: int = 1
    min_clear: float = 0.3

    @cached_property
    def pieces(self) -> list[list[Tile]]:
        """The tiles, `batch` at a time."""
        tiles = self.tiling.tiles()
        return [tiles[first : first + self.batch] for first in range(0, len(tiles), self.batch)]

    def identity(self, model: MultiModalModel, weights: str) -> dict[str, str]:
        """What must be the same for a run to go on; `weights` is the digest of the model's."""
        tiling = {name: getattr(self.tiling, name) for name in ("shape", "side", "margin", "overlap", "blend")}
        return {
            "imagery": self.imagery.digest(),
            "model": named(model, weights),
            "product": f"{self.product.name}: {self.product.identity}",
            "tiling": json.dumps(tiling | {"batch": self.batch, "min_clear": self.min_clear}),
        }

    def read(self, number: int, model: MultiModalModel) -> list[tuple[Result, Sample | None]]:
        """The tiles of a piece: each what is known before the model ran, and its sample unless it is a gap."""
        return [self.read_tile(tile, model) for tile in self.pieces[number]]

    def read_tile(self, tile: Tile, model: MultiModalModel) -> tuple[Result, Sample | None]:
        """One tile; pixels are decoded in this thread, also where a Dask worker calls."""
        try:
            with frugal_reads():
                scene = self.imagery.read(tile)
        except READ_ERRORS as error:
            return Result(tile, gap=f"{NOT_READ}: {' '.join(str(error).split())[:200]}"), None
        sample = to_sample(scene, hr_bands=model.channels("hr"), min_clear=self.min_clear, units=False)
        if not self.product.fits(sample):
            return Result(tile, gap="no usable date"), None
        there = seen(scene, self.product.pixels_per_cell)
        return Result(tile, seen=self.kept(there, tile)), sample

    def compute(self, read: list[tuple[Result, Sample | None]], model: MultiModalModel) -> list[Result]:
        """Runs the model on the tiles of a piece that are no gaps, as one batch."""
        samples = [sample for _, sample in read if sample is not None]
        if not samples:
            return [result for result, _ in read]
        batch = {key: values.to(model.device) for key, values in collate(samples).items()}
        fix = f"Take smaller tiles than {self.tiling.side} cells, or fewer at once than {self.batch}."
        with explain_out_of_memory(fix), evaluation_mode(model), torch.inference_mode():
            outputs = iter(self.outputs(kept_form(model), batch))
        return [result if sample is None else self.completed(result, next(outputs)) for result, sample in read]

    def outputs(self, model: InferenceModel, batch: Sample) -> Iterable[np.ndarray]:
        """What the product says of each tile of a batch, K h w."""
        return self.product.read(model, batch).float().cpu().numpy()

    def completed(self, known: Result, output: np.ndarray) -> Result:
        """A tile with its values."""
        return replace(known, values=self.kept(output, known.tile))

    def kept(self, values: np.ndarray, tile: Tile) -> np.ndarray:
        """The part of … h w that lies inside a tile's margin."""
        by = self.product.pixels_per_cell
        rows, columns = (
            slice((span.first - span.start) * by, (span.last - span.start) * by) for span in (tile.rows, tile.columns)
        )
        return values[..., rows, columns]
