"""An ablation changes one term at a time and measures what each run left."""

from dataclasses import asdict, replace

import pandas as pd
import pytest
from small_runs import SMALL

from skysense_nb.errors import ParameterError
from skysense_nb.models import load
from skysense_nb.pretraining import Terms
from skysense_nb.pretraining.ablation import ablate, recorded_ablation, variants
from skysense_nb.pretraining.evaluation import evaluate, fused_cells
from skysense_nb.pretraining.prober import probe_tiles
from skysense_nb.pretraining.recipe import read_recipe


def test_each_variant_differs_in_one_term():
    terms = Terms(pixel=0.1, object=0.0, image=0.2, alignment=0.5, queries=0.0, text=2.0)
    found = variants(terms, more=3.0)
    assert found.pop("all terms") == terms
    for name, variant in found.items():
        changed = {key for key, value in asdict(variant).items() if value != getattr(terms, key)}
        assert changed == {name.split()[1]}
        assert getattr(variant, name.split()[1]) == (0.0 if name.startswith("without") else 3.0)
    assert len(found) == 6


def test_the_only_term_is_never_taken_away():
    assert "without text" not in variants(Terms(0, 0, 0, 0, 0, text=1.0))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    recipe = replace(SMALL, steps=2, stored_places=1, probe_tiles=(10, 4), terms=Terms(pixel=0, object=0, text=0))
    folder = tmp_path_factory.mktemp("ablation")
    return recipe, folder, ablate(recipe, folder, accelerator="cpu", progress=False)


def test_a_row_is_what_its_run_is_worth(done):
    recipe, folder, table = done
    model, receipt = load(weights=folder / "without_image" / "model.safetensors")
    assert "losses alignment 0.5" in receipt.training
    score = evaluate(fused_cells(model), *probe_tiles(recipe, folder / "probe"))
    row = table.loc["without image"]
    assert row.scene_accuracy == pytest.approx(score.scene_accuracy)
    assert row.land_cover_miou == pytest.approx(score.land_cover_miou)
    assert 0 <= row.recall <= 1 and row.effective_rank >= 1


def test_recall_is_told_where_something_was_aligned(done):
    table = done[2]
    assert list(table.index) == list(variants(done[0].terms))
    assert table.recall.isna().to_dict() == {name: name == "without alignment" for name in table.index}


def test_tiles_are_made_once_and_a_second_call_trains_nothing(done):
    recipe, folder, table = done
    assert [path.parent.name for path in folder.glob("*/tiles")] == ["all_terms"]
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/last.ckpt")}
    again = ablate(recipe, folder, accelerator="cpu", progress=False)
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("*/last.ckpt")}
    pd.testing.assert_frame_equal(again, table)
    written = pd.read_csv(folder / "ablation.csv", index_col="terms")
    pd.testing.assert_frame_equal(written, table, check_names=False)


def test_the_recorded_one_is_of_the_shipped_recipe():
    how, table = recorded_ablation("skysense-v2-tiny")
    assert list(table.index) == list(variants(read_recipe("skysense-v2-tiny").terms))
    assert "skysense-v2-tiny" in how and "steps=250" in how
    shares = table.drop(columns="effective_rank")
    assert (shares.isna() | ((shares > 0) & (shares < 1))).all(axis=None) and shares.isna().sum().sum() == 1
    with pytest.raises(ParameterError, match="Expected a recorded ablation, of skysense-v2-tiny, got 'skysense'"):
        recorded_ablation("skysense")
