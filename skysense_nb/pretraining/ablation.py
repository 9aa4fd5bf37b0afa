"""What each term of the loss is worth: the same run without it, or with one more."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.evaluation import evaluate, fused_cells, retrieval
from skysense_nb.pretraining.prober import probe_tiles
from skysense_nb.pretraining.recipe import RECIPES, Recipe, Terms
from skysense_nb.pretraining.run import pretrain


def variants(terms: Terms, more: float = 1.0) -> dict[str, Terms]:
    """The terms as they are, without each that is on, and with each that is off at weight `more`.

    Example:
        >>> list(variants(Terms(pixel=1, object=0, image=0, alignment=1, queries=0, text=2)))
        ['all terms', 'without pixel', 'without alignment', 'without text', 'with object', 'with image', 'with queries']
    """
    weights = asdict(terms)
    on = [name for name, weight in weights.items() if weight]
    less = {f"without {name}": replace(terms, **{name: 0.0}) for name in on if len(on) > 1}
    added = {f"with {name}": replace(terms, **{name: more}) for name in weights if name not in on}
    return {"all terms": terms, **less, **added}


def ablate(recipe: Recipe, folder: str | Path, more: float = 1.0, **options: Any) -> pd.DataFrame:
    """Trains every variant of a recipe's terms, and measures each on held-out places.

    Args:
        recipe: All that the variants share: seed, tiles and order of tiles, too. Query terms need local views.
        folder: One folder per variant, which a later call goes on with; `ablation.csv` is what is returned.
        more: Weight of a term that the recipe has off, where it is tried.
        options: As in `pretrain`.

    Returns:
        One row per variant: `scene_accuracy` and `land_cover_miou` as in `Score`, `effective_rank` of the fused
        features at the end, and `recall` of places by another sensor, cell by cell, a mean over the pairs of sensors
        (none where nothing was aligned).
    """
    folder, rows = Path(folder), {}
    fit, test = probe_tiles(recipe, folder / "probe")
    for name, terms in variants(recipe.terms, more).items():
        run = folder / name.replace(" ", "_")
        done = pretrain(replace(recipe, terms=terms, probe_every=0), run, **options)
        if recipe.stored_places and not recipe.tiles:
            recipe = replace(recipe, tiles=str(run / "tiles"))
        rows[name] = asdict(evaluate(fused_cells(done.model), fit, test))
        rows[name]["effective_rank"] = done.curves()["fused/effective_rank"].iloc[-1]
        if terms.alignment:
            found = retrieval(done.model, done.module.networks.alignment, test).values()
            rows[name]["recall"] = sum(one.by_cells for one in found) / len(found)
        pd.DataFrame(rows).T.to_csv(folder / "ablation.csv", index_label="terms")
    return pd.DataFrame(rows).T


def recorded_ablation(preset: str) -> tuple[str, pd.DataFrame]:
    """What `ablate` once gave for the recipe of bundled weights, with a line on when and how.

    Raises:
        ParameterError: None was recorded for this preset.
    """
    path = RECIPES / f"{preset}.ablation.csv"
    if not path.is_file():
        known = ", ".join(sorted(each.name.split(".")[0] for each in RECIPES.glob("*.ablation.csv")))
        raise ParameterError.of(f"a recorded ablation, of {known}", repr(preset), "Run `ablate` on its recipe.")
    with path.open() as lines:
        return next(lines).removeprefix("# ").strip(), pd.read_csv(lines, index_col="terms")
