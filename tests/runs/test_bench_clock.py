"""The clock tells how a step's time is divided, and the step is the one that pre-training takes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from skysense_nb.pretraining import CropPlan, Recipe, Terms, object_loss, prototype_update
from skysense_nb.pretraining import module as training
from skysense_nb.pretraining.places import SyntheticPlaces
from skysense_nb.pretraining.rehearsal import BLOCKS
from skysense_nb.pretraining.run import pretrain
from skysense_nb.pretraining.tiles import write_tiles
from skysense_nb.runs.bench_clock import CLUSTERING, PARTS, Clock, timed_run

CPU = torch.device("cpu")
PLAN = CropPlan(global_cells=2, local_cells=1, local_views=1, s2_dates=2, s1_dates=1)
SMALL = Recipe(
    steps=2, batch=2, tile_cells=4, views=PLAN,
    prototypes=32, hidden=32, bottleneck=16, clusters=2, queries=4, warmup=1,
)  # fmt: skip
V2 = replace(SMALL, preset="skysense-v2-tiny", terms=Terms(alignment=0, queries=1), geo_regions=4, geo_prototypes=2)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory) -> str:
    places = SyntheticPlaces(cells=4, s2_dates=3, s1_dates=2)
    return str(write_tiles(tmp_path_factory.mktemp("tiles"), places, 4))


@pytest.mark.parametrize("recipe", [SMALL, replace(V2, precision="bf16", recompute=True)], ids=["v1", "v2"])
def test_a_timed_run_changes_weights_as_a_plain_one(recipe, tiles, tmp_path):
    recipe = replace(recipe, tiles=tiles)
    plain = pretrain(recipe, tmp_path, accelerator="cpu", progress=False).module.state_dict()
    module, clock = timed_run(recipe, CPU, recipe.steps)
    assert len(clock.steps) == recipe.steps
    timed, fresh = module.state_dict(), training.Pretraining(recipe).state_dict()
    torch.testing.assert_close(timed, plain, rtol=1e-5, atol=1e-7)
    assert sum(not torch.equal(timed[name], fresh[name]) for name in fresh) > len(fresh) / 2


def test_the_parts_add_up_to_the_step(tiles):
    _, clock = timed_run(replace(V2, tiles=tiles), CPU, 2)
    for step in clock.steps:
        assert set(step) == {"step", CLUSTERING, *PARTS}
        assert sum(step[part] for part in PARTS) == pytest.approx(step["step"], rel=1e-6)
        assert all((step[part] >= 0).all() for part in step)
        assert 0 < step[CLUSTERING][0] < step["losses"][0] + step["update"][0]


def test_time_is_booked_where_it_was_spent(tiles, monkeypatch):
    """Every look at the clock takes one tick: so many ticks pass in a part as it is looked at in there."""
    ticks = itertools.count()
    monkeypatch.setattr(Clock, "now", lambda self: np.full(2, next(ticks)))
    only = Terms(pixel=0, object=1, image=0, alignment=0)
    plan = replace(PLAN, local_views=0)
    _, clock = timed_run(replace(SMALL, tiles=tiles, terms=only, views=plan), CPU, 1)
    (step,) = clock.steps
    assert [step[part][0] for part in ("views", "student forward", "teacher forward", CLUSTERING)] == [1, 1, 1, 8]
    assert [step[part][0] for part in ("losses", "backward", "update", "step")] == [20, 1, 1, 25]


def test_what_is_timed_is_put_back(tiles):
    before = training.make_views, object_loss.cluster, prototype_update.sinkhorn
    module, _ = timed_run(replace(SMALL, tiles=tiles), CPU, 1)
    assert (training.make_views, object_loss.cluster, prototype_update.sinkhorn) == before
    assert not any("features" in vars(model) for model in (module.networks.student, module.networks.teacher))


@pytest.mark.parametrize("wanted", [False, True])
def test_models_are_recomputed_and_compiled_if_asked(wanted, tiles):
    recipe = replace(SMALL, tiles=tiles, recompute=wanted)
    with torch.compiler.set_stance("force_eager"):
        module, _ = timed_run(recipe, CPU, 1, compiled=wanted)
    for model in (module.networks.student, module.networks.teacher):
        blocks = [part for part in model.modules() if isinstance(part, BLOCKS)]
        assert len(blocks) > 10
        assert {block._compiled_call_impl is not None for block in blocks} == {wanted}
        assert {part.recompute for part in model.modules() if hasattr(part, "recompute")} == {wanted}
