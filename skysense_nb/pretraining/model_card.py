"""What a finished run is worth, measured and written down: half-precision weights with a model card."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import torch
from torch.utils.data import Dataset

from skysense_nb.data.synthetic import KINDS
from skysense_nb.errors import RunError
from skysense_nb.models import load, save
from skysense_nb.pretraining.evaluation import Recall, Score, evaluate, fused_cells, raw_pixels, retrieval
from skysense_nb.pretraining.heads import load_heads
from skysense_nb.pretraining.prober import probe_tiles
from skysense_nb.pretraining.recipe import Recipe, read_recipe

CARD = """# {preset}

Small weights to learn and teach with. They know the synthetic world of this project and nothing else; on real imagery
they were not measured. Half precision, {size:.1f} MB.

- **Trained** {training}
- **Data** {data}
- **Seed** {seed} · **time** {hours:.1f} h of training, torch {torch} · **date** {today}
- **Again** `skysense-nb pretrain recipe.yaml --card`, with the recipe below

## Worth

Frozen features on {tests} held-out synthetic places, probes fitted on {trains} others. Scene: k-NN (k = 10) of the mean
over cells, {classes} kinds of place. Land cover: mIoU of a linear layer per ground cell.

| features | scene k-NN | land-cover mIoU |
|---|---|---|
{rows}

Finding a held-out place by another sensor among {tests}, recall@1, mean of both directions. By cells: each is compared
with the cell at the same spot, as in the loss. By mean: only the means over cells are.

| sensors | by cells | by mean |
|---|---|---|
{recalls}
| chance | {chance:.1%} | {chance:.1%} |

## Recipe

```yaml
{recipe}```
"""


def write_card(folder: str | Path, out: str | Path) -> Path:
    """Measures a finished run against random weights and raw pixels, and writes `<preset>.safetensors` and `.md`.

    What is measured are the weights as they are written, in half precision.

    Args:
        folder: Of the run; the `probe_tiles` of its recipe are made there if they are missing.
        out: Where to write.

    Returns:
        The card.

    Raises:
        RunError: The run is not finished.
    """
    folder, out = Path(folder), Path(out)
    done = folder / "model.safetensors"
    if not done.exists():
        raise RunError.of(f"a finished run in {folder}", "no model.safetensors", "Let it run to its end first.")
    recipe = read_recipe(folder / "recipe.yaml")
    model, receipt = load(weights=done)
    path = out / f"{recipe.preset}.safetensors"
    save(model, path, dtype=torch.float16, training=receipt.training, extra=load_heads(done).named())
    train, test = probe_tiles(recipe, folder / "probe")
    rows, recalls = compare(recipe, path, train, test)
    found = [f"| {pair} | {one.by_cells:.1%} | {one.by_mean:.1%} |" for pair, one in recalls.items()]
    places = f"{recipe.stored_places} places of 64 × 64 ground cells, cut into" if recipe.stored_places else "endless"
    dates = f"{recipe.tile_s2_dates} Sentinel-2 and {recipe.tile_s1_dates} Sentinel-1 dates"
    text = CARD.format(
        preset=recipe.preset,
        size=path.stat().st_size / 1e6,
        training=receipt.training.removeprefix("Pre-trained: "),
        data=f"{places} tiles of {recipe.tile_cells} × {recipe.tile_cells} with {dates}, of the synthetic world",
        seed=recipe.seed,
        torch=torch.__version__,
        hours=pd.read_csv(folder / "history.csv").seconds.max() / 3600,
        today=date.today(),
        trains=len(train),
        tests=len(test),
        classes=len(KINDS),
        rows="\n".join(f"| {name} | {one.scene_accuracy:.1%} | {one.land_cover_miou:.1%} |" for name, one in rows),
        chance=1 / len(test),
        recalls="\n".join(found) or "| not trained | – | – |",
        recipe=(folder / "recipe.yaml").read_text(),
    )
    card = path.with_suffix(".md")
    card.write_text(text)
    return card


def compare(
    recipe: Recipe, path: Path, train: Dataset, test: Dataset
) -> tuple[list[tuple[str, Score]], dict[str, Recall]]:
    """Scores of raw pixels, of the network with random weights and of the weights at `path`; recalls of the latter."""
    trained, _ = load(recipe.preset, weights=path)
    random, _ = load(recipe.preset, weights=None, seed=recipe.seed)
    ways = {
        "raw pixels, all sensors and dates": raw_pixels,
        "this network, random weights": fused_cells(random),
        "this network, these weights": fused_cells(trained),
    }
    alignment = load_heads(path).alignment
    recalls = {} if alignment is None else retrieval(trained, alignment, test)
    return [(name, evaluate(way, train, test)) for name, way in ways.items()], recalls
