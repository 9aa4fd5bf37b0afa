"""Our weights under the published keys: exactly those keys and shapes, and back without a loss."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from small_models import NARROW, V2_TINY

from skysense_nb.errors import CheckpointError
from skysense_nb.models import SkySense, load, preset
from skysense_nb.models.family import build
from skysense_nb.models.geo_context import GeoContextConfig
from skysense_nb.models.multimodal import PARTS
from skysense_nb.models.official_files import FILE_NAMES, official_tensors

OFFICIAL = json.loads((Path(__file__).parents[1] / "data/parity/official_keys.json").read_text())


def test_the_paper_size_has_exactly_the_published_keys_and_shapes():
    with torch.device("meta"):
        files = official_tensors(SkySense(preset("skysense")))
    assert list(files["s2"].pop("ctpe").shape) == [1, 365, 2816]
    assert set(files) == set(FILE_NAMES)
    for part, tensors in files.items():
        listed = OFFICIAL[FILE_NAMES[part].replace("head_s1", "head_s2")]["keys"]
        assert {key: list(tensor.shape) for key, tensor in tensors.items()} == listed, part


def test_there_and_back_nothing_changes(tmp_path):
    source, _ = load(NARROW, "random", seed=3)
    for part, tensors in official_tensors(source).items():
        torch.save(tensors, tmp_path / FILE_NAMES[part])
    model, receipt = load(NARROW, tmp_path)
    assert {form for _, form, _ in receipt.files} == set(FILE_NAMES) and receipt.ignored == {}
    ours, theirs = model.state_dict(), source.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_model_of_some_parts_makes_some_files():
    with torch.device("meta"):
        files = official_tensors(build(NARROW, ("s2",), False))
        assert set(files) == {"s2"} and "ctpe" not in files["s2"]
        assert set(official_tensors(build(NARROW, PARTS, False))) == set(FILE_NAMES)


def test_what_has_no_published_form_is_refused():
    with torch.device("meta"):
        unified = build(V2_TINY, PARTS, False)
        with_context = build(dataclasses.replace(NARROW, context=GeoContextConfig(3, 2, 16)), PARTS, False)
    with pytest.raises(CheckpointError, match="Expected a model of SkySense v1, got SkySenseV2"):
        official_tensors(unified)
    with pytest.raises(CheckpointError, match="Expected a model without prototypes, got one with"):
        official_tensors(with_context)
