"""Weights that come with the package: found by name, told by the receipt, with or without their prototypes."""

import re
from dataclasses import replace

import pytest
import torch

from skysense_nb.errors import CheckpointError
from skysense_nb.models import load, save
from skysense_nb.models.checkpoints import BUNDLED, bundled
from skysense_nb.models.geo_context import GeoContext, GeoContextConfig


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of bundled weights that holds one file, with prototypes and a head."""
    monkeypatch.setattr("skysense_nb.models.checkpoints.BUNDLED", tmp_path)
    model, _ = load("skysense-tiny", weights=None, seed=7)
    width = model.config.fusion.embed_dims
    sizes = GeoContextConfig(regions=3, prototypes=2, width=width)
    model.context = GeoContext(sizes, width)
    model.context.bank.normal_()
    model.context.region_ids[:2] = torch.tensor([5, 9])
    model.config = replace(model.config, context=sizes)
    save(
        model,
        tmp_path / "skysense-tiny.safetensors",
        training="Trained for a test.",
        extra={"pretraining.x": torch.ones(2)},
    )
    return model


def test_they_are_taken_by_default_and_the_receipt_says_so(shelf):
    model, receipt = load("skysense-tiny")
    assert all(torch.equal(value, shelf.state_dict()[key]) for key, value in model.state_dict().items())
    assert "skysense-tiny.safetensors: recognised as skysense-nb" in str(receipt)
    assert "Trained for a test." in str(receipt)
    assert "ignored pretraining.x: used only by pre-training" in str(receipt)
    assert "ignored context.bank and 1 more: geo-context was not asked for" in str(receipt)
    assert model.context is None


@pytest.mark.parametrize("weights", [None, "random"])
def test_random_weights_must_be_asked_for(shelf, weights):
    model, receipt = load("skysense-tiny", weights, seed=7)
    assert str(receipt).startswith("Random weights, seed 7")
    assert not torch.equal(next(load("skysense-tiny", weights, seed=8)[0].parameters()), next(model.parameters()))


def test_a_preset_without_bundled_weights_is_random_and_says_so(shelf):
    _, receipt = load("skysense-v2-tiny", parts=("s1",))
    assert str(receipt).startswith("Random weights")


def test_prototypes_come_on_request(shelf):
    model, _ = load("skysense-tiny", context=True)
    assert torch.equal(model.context.bank, shelf.context.bank)
    assert model.context.region_ids.tolist() == [5, 9, -1]
    assert model.context.known_regions == 2


def test_prototypes_of_weights_without_any_are_refused(shelf, tmp_path):
    plain = save(load("skysense-tiny", weights=None)[0], tmp_path / "plain.safetensors")
    for weights, got in ((plain, "weights without"), (None, "random weights")):
        with pytest.raises(CheckpointError, match=f"Expected weights that hold prototypes, got {got}"):
            load("skysense-tiny", weights, context=True)


def test_a_part_alone_is_filled_from_them(shelf):
    model, receipt = load("skysense-tiny", parts=("s2",))
    assert list(model.modalities) == ["s2"]
    assert all(torch.equal(value, shelf.state_dict()[key]) for key, value in model.state_dict().items())
    assert "was not asked for" in str(receipt)


@pytest.mark.parametrize("name", ["skysense-tiny", "skysense-v2-tiny"])
def test_what_is_bundled_is_small_half_and_described(name):
    path = bundled(name)
    assert path.parent == BUNDLED
    assert path.stat().st_size <= 16e6
    _, receipt = load(name)
    assert set(receipt.dtypes) == {"float16"}
    assert re.match(r"Pre-trained: \d+ steps of \d+ tiles", receipt.training)
    card = path.with_suffix(".md").read_text()
    assert receipt.training.removeprefix("Pre-trained: ") in card
    assert all(word in card for word in ("raw pixels", "random weights", "these weights", "held-out"))
