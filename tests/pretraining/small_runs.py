"""Tiles, recipes and views small enough for tests."""

import torch

from skysense_nb.models import load
from skysense_nb.pretraining import CropPlan, Recipe, StudentTeacher, Terms, make_views
from skysense_nb.pretraining.places import SyntheticPlaces, tag_names
from skysense_nb.pretraining.text_table import text_table
from skysense_nb.pretraining.tiles import collate_tiles

PLACES = SyntheticPlaces(cells=4, s2_dates=3, s1_dates=2, labels=True)
PLAN = CropPlan(global_cells=3, local_cells=2, local_views=1, s2_dates=2, s1_dates=1)
EVERYTHING = Terms(queries=1.0, text=1.0)
SMALL = Recipe(
    steps=4, batch=2, tile_cells=4, tile_s2_dates=3, tile_s1_dates=2, views=PLAN, prototypes=32, hidden=32,
    bottleneck=16, clusters=3, queries=4, warmup=1, save_every=1,
)  # fmt: skip


def networks(recipe, seed=0):
    torch.manual_seed(seed)
    model, _ = load(recipe.preset, weights=None, seed=seed)
    return StudentTeacher(model.train(), recipe, text_table(tag_names()) if recipe.terms.text else None)


def views(recipe, seed=0, tiles=(0, 1)):
    batch = collate_tiles([PLACES[index] for index in tiles])
    return make_views(batch, recipe.views, torch.Generator().manual_seed(seed))
