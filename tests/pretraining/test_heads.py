"""Heads survive the way through a weights file and do there what they did before."""

from dataclasses import replace

import pytest
import torch
from small_runs import EVERYTHING, SMALL, networks

from skysense_nb.errors import CheckpointError
from skysense_nb.models import load, save
from skysense_nb.pretraining.heads import load_heads


@pytest.fixture(scope="module")
def trained():
    return networks(replace(SMALL, preset="skysense-v2-tiny", terms=EVERYTHING))


def test_heads_come_back_whole_and_answer_alike(trained, tmp_path):
    path = save(trained.result(), tmp_path / "run.safetensors", extra=trained.heads().named())
    heads = load_heads(path)
    width = trained.student.config.fusion.embed_dims
    cells = torch.randn(2, 6, width)
    with torch.no_grad():
        torch.testing.assert_close(heads.decoder(cells), trained.teacher_decoder.eval()(cells))
        assert torch.equal(heads.text.projection(cells), trained.text.projection(cells))
    assert torch.equal(heads.text.table, trained.text.table)
    for name, projection in trained.alignment.projections.items():
        assert torch.equal(heads.alignment.projections[name].weight, projection.weight)
    assert not heads.training


def test_the_model_beside_them_loads_and_names_what_it_left_out(trained, tmp_path):
    path = save(trained.result(), tmp_path / "run.safetensors", extra=trained.heads().named())
    _, receipt = load("skysense-v2-tiny", path)
    assert set(receipt.ignored.values()) == {"used only by pre-training"}


def test_heads_that_were_not_trained_are_none(tmp_path):
    network = networks(SMALL)
    heads = load_heads(save(network.result(), tmp_path / "run.safetensors", extra=network.heads().named()))
    assert heads.decoder is None and heads.text is None and heads.alignment is not None


def test_a_file_without_heads_is_refused(tmp_path):
    path = save(load("skysense-tiny", weights=None)[0], tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match="Expected heads of a pre-training run in plain.safetensors, got none"):
        load_heads(path)
