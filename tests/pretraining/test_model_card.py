"""Probes within a run, and the card at its end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from small_runs import PLACES, SMALL
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.errors import RunError
from skysense_nb.models import load
from skysense_nb.models.checkpoints import bundled
from skysense_nb.pretraining.evaluation import evaluate, fused_cells
from skysense_nb.pretraining.model_card import write_card
from skysense_nb.pretraining.prober import probe_tiles
from skysense_nb.pretraining.recipe import make_recipe, read_recipe
from skysense_nb.pretraining.run import pretrain, story
from skysense_nb.pretraining.tiles import StoredPlaces

COUNTS = (10, 4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    recipe = replace(SMALL, steps=3, probe_every=2, probe_tiles=COUNTS, geo_regions=6, geo_prototypes=2)
    return recipe, pretrain(recipe, tmp_path_factory.mktemp("run"), accelerator="cpu", progress=False)


def test_probes_are_in_the_history_when_due_and_at_the_end(run):
    recipe, done = run
    probed = done.curves()["probe/scene_accuracy"].dropna()
    assert list(probed.index) == [2, 3]
    train, test = probe_tiles(recipe, done.folder / "probe")
    score = evaluate(fused_cells(done.module.networks.teacher), train, test)
    assert probed[3] == pytest.approx(score.scene_accuracy, abs=1e-5)
    assert done.curves()["probe/land_cover_miou"][3] == pytest.approx(score.land_cover_miou, abs=1e-5)


def test_probing_does_not_change_the_run(run, tmp_path):
    recipe, done = run
    plain = pretrain(replace(recipe, probe_every=0), tmp_path, accelerator="cpu", progress=False)
    same = zip(plain.model.state_dict().items(), done.model.state_dict().values(), strict=True)
    assert [name for (name, value), other in same if not torch.equal(value, other)] == []


def test_fitted_and_tested_tiles_are_of_different_ground(run):
    recipe, done = run
    train, test = probe_tiles(recipe, done.folder / "probe")
    assert (len(train), len(test)) == COUNTS
    places = [{tuple(tile["lonlat"].flatten().tolist()) for tile in part} for part in (train, test)]
    assert places[0].isdisjoint(places[1])


def test_the_recipe_of_a_run_lies_beside_it(run):
    recipe, done = run
    assert read_recipe(done.folder / "recipe.yaml") == recipe


def test_learned_prototypes_are_saved_as_geo_context(run):
    _, done = run
    model, _ = load("skysense-tiny", done.folder / "model.safetensors", context=True)
    bank = done.module.networks.bank
    assert torch.equal(model.context.bank, bank.bank)
    assert torch.equal(model.context.region_ids, bank.region_ids)
    assert model.context.known_regions > 0
    with torch.no_grad():
        assert model.features(PLACES[0]).context.shape[1] == 2 * model.config.fusion.embed_dims


def test_a_card_tells_what_was_measured_on_the_written_weights(run, tmp_path):
    recipe, done = run
    card = write_card(done.folder, tmp_path)
    assert card == tmp_path / "skysense-tiny.md"
    model, receipt = load("skysense-tiny", tmp_path / "skysense-tiny.safetensors")
    assert receipt.dtypes == ["float16"]
    score = evaluate(fused_cells(model), *probe_tiles(recipe, done.folder / "probe"))
    row = f"| this network, these weights | {score.scene_accuracy:.1%} | {score.land_cover_miou:.1%} |"
    text = card.read_text()
    assert row in text
    assert "3 steps of 2 tiles of the synthetic world, losses pixel 1, object 1, image 1, alignment 0.5" in text
    assert "prototypes of up to 6 regions" in text
    assert "| hr-s2 |" in text and f"| chance | {1 / COUNTS[1]:.1%} |" in text


def test_the_command_writes_a_card(run, tmp_path):
    _, done = run
    options = [
        "pretrain",
        str(done.folder / "recipe.yaml"),
        "--out",
        str(done.folder),
        "--accelerator",
        "cpu",
        "--card",
    ]
    told = CliRunner().invoke(app, options)
    assert told.exit_code == 0
    assert (done.folder / "card" / "skysense-tiny.md").read_text() in told.output


@pytest.mark.parametrize("name", ["skysense-tiny", "skysense-v2-tiny"])
def test_bundled_weights_card_and_readme_tell_of_the_recipe_that_comes_with_them(name):
    recipe = read_recipe(name)
    assert load(name)[1].training.startswith(story(recipe))
    card = bundled(name).with_suffix(".md").read_text()
    assert make_recipe(yaml.safe_load(card.split("```yaml")[1].split("```")[0])) == recipe
    readme = Path(__file__).parents[2].joinpath("README.md").read_text()
    for words in ("random", "these"):
        row = next(line for line in card.splitlines() if line.startswith(f"| this network, {words} weights"))
        values = " | ".join(value.strip().replace("%", " %") for value in row.split("|")[2:4])
        assert f"| `{name}`, {words.replace('these', 'bundled')} weights | {values} |" in readme


def test_an_unfinished_run_has_no_card(tmp_path):
    with pytest.raises(RunError, match="Expected a finished run in .*, got no model.safetensors"):
        write_card(tmp_path, tmp_path)


def test_stored_places_are_made_once_and_cut_into_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr("skysense_nb.pretraining.module.STORED_SIDE", 8)
    recipe = replace(SMALL, steps=1, stored_places=2)
    pretrain(recipe, tmp_path, accelerator="cpu", progress=False)
    paths = sorted((tmp_path / "tiles").glob("*.safetensors"))
    assert len(StoredPlaces(tmp_path / "tiles")) == 2 * 2**2
    before = [path.stat().st_mtime_ns for path in paths]
    (tmp_path / "last.ckpt").unlink()
    pretrain(recipe, tmp_path, accelerator="cpu", progress=False)
    assert [path.stat().st_mtime_ns for path in paths] == before
