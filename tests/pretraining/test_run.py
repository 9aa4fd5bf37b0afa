"""Runs repeat, stop, go on bit for bit, and refuse to go on as something else."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import Callback
from small_runs import PLACES, SMALL

from skysense_nb.errors import CheckpointError, RunError
from skysense_nb.models import load
from skysense_nb.models.swin import SwinBlock
from skysense_nb.pretraining import Terms
from skysense_nb.pretraining.module import Pretraining
from skysense_nb.pretraining.run import Warner, pretrain
from skysense_nb.pretraining.tiles import write_tiles
from skysense_nb.runtime import mixed_seed
from skysense_nb.training import checkpoints
from skysense_nb.training.checkpoints import History, WholeCheckpoints, read_rows


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = write_tiles(tmp_path_factory.mktemp("tiles") / "tiles", PLACES, 5)
    return replace(SMALL, tiles=str(folder), accumulate=2, geo_regions=8, geo_prototypes=3)


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    return pretrain(recipe, tmp_path_factory.mktemp("whole"), accelerator="cpu", progress=False)


class Stop(Callback):
    """Ends a run as a power cut would: at a batch, without a chance to save."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_start(self, trainer, module, *_):
        if int(module.batches_seen) == self.batch:
            raise SystemError("power cut")


@pytest.mark.parametrize("batch", [3, 4, 6], ids=["within a step", "between steps", "late"])
def test_a_killed_run_goes_on_bit_for_bit(recipe, whole, tmp_path, batch):
    with pytest.raises(SystemError):
        pretrain(recipe, tmp_path, accelerator="cpu", progress=False, callbacks=[Stop(batch)])
    assert not (tmp_path / "model.safetensors").exists()
    again = pretrain(recipe, tmp_path, accelerator="cpu", progress=False)
    assert again.complete
    one, other = whole.module.state_dict(), again.module.state_dict()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    first, second = (run.curves() for run in (whole, again))
    assert list(first.columns) == list(second.columns)
    np.testing.assert_array_equal(first, second)


def test_a_run_leaves_a_model_that_loads_and_differs_from_where_it_began(recipe, whole):
    model, receipt = load(weights=whole.folder / "model.safetensors")
    assert "0 missing, 0 unexpected" in str(receipt)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.model.parameters(), strict=True))
    began, _ = load(recipe.preset, weights=None, seed=recipe.seed)
    moved = [not torch.equal(a, b) for a, b in zip(model.parameters(), began.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_history_has_every_step_and_every_term(recipe, whole):
    curves = whole.curves()
    assert list(curves.index) == [1, 2, 3, 4]
    assert {"loss", "hr/pixel", "fused/image", "alignment/hr-s2", "learning_rate", "prototypes/known"} <= set(curves)
    assert {"fused/effective_rank", "s2/pixel/information"} <= set(curves)
    assert curves.loc[4].notna().all()


def test_a_finished_run_is_not_done_again(recipe, whole):
    again = pretrain(recipe, whole.folder, accelerator="cpu", progress=False)
    assert again.complete
    assert list(again.curves().index) == [1, 2, 3, 4]


def test_going_on_as_another_run_is_refused(recipe, whole):
    for change, message in (
        ({"preset": "skysense-v2-tiny"}, "got preset 'skysense-v2-tiny' instead of 'skysense-tiny'"),
        ({"terms": Terms(image=0)}, "got terms"),
        ({"learning_rate": 0.5}, "got learning_rate 0.5 instead of 0.001"),
    ):
        with pytest.raises(CheckpointError, match=message):
            pretrain(replace(recipe, **change), whole.folder, accelerator="cpu", progress=False)
    assert pretrain(replace(recipe, save_every=7), whole.folder, accelerator="cpu", progress=False).complete


def test_another_number_of_processes_is_refused(recipe, whole):
    path = whole.folder / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True) | {"ranks": 8}
    module = Pretraining(recipe)
    module._trainer = type("OneProcess", (), {"world_size": 1})()
    with pytest.raises(CheckpointError, match="Expected as many processes as the run began with, got 1 instead of 8"):
        module.on_load_checkpoint(checkpoint)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path, keeper = tmp_path / "last.ckpt", WholeCheckpoints()
    keeper.save_checkpoint({"step": 1}, path)

    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(RunError, match="Expected room for a checkpoint in .*No space left"):
        keeper.save_checkpoint({"step": 2}, path)
    monkeypatch.undo()
    assert keeper.load_checkpoint(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_folder_that_cannot_be_is_named_before_the_first_step(recipe, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(RunError, match="Expected a writable folder at .*file, got a file"):
        pretrain(recipe, tmp_path / "file", accelerator="cpu", progress=False)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_damaged_checkpoint_is_named(recipe, tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="Expected a whole checkpoint at .*last.ckpt.*Delete it to begin anew"):
        pretrain(recipe, tmp_path, accelerator="cpu", progress=False)


def test_a_history_that_was_cut_off_is_mended(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("step,seconds,name,value\n1,0.5,loss,3\n2,0.9,loss,2\n3,1.2,lo")
    history = History(path)
    history.on_train_start(type("At", (), {"is_global_zero": True, "global_step": 1})(), None)
    assert read_rows(path) == [{"step": "1", "seconds": "0.5", "name": "loss", "value": "3"}]
    history.add(2, {"loss": 1.5})
    assert [row["value"] for row in read_rows(path)] == ["3", "1.5"]
    assert float(read_rows(path)[1]["seconds"]) >= 0.5


def test_seeds_differ_for_every_rank_batch_and_run():
    seeds = {mixed_seed(run, batch, rank) for run in range(3) for batch in range(50) for rank in range(4)}
    assert len(seeds) == 600
    assert mixed_seed(1, 2, 3) == mixed_seed(1, 2, 3)


def test_schedules_start_low_and_end_low(recipe):
    module = Pretraining(replace(recipe, steps=100, warmup=10))
    shares = [module.share_of_learning_rate(step) for step in range(101)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[9] == shares[10] == 1.0
    assert shares[100] == pytest.approx(1e-6 / 1e-3)
    assert shares[10:] == sorted(shares[10:], reverse=True)


def test_vectors_have_no_weight_decay(recipe):
    groups = Pretraining(recipe).configure_optimizers()["optimizer"].param_groups
    assert [group["weight_decay"] for group in groups] == [recipe.weight_decay, 0.0]
    assert {p.ndim for p in groups[1]["params"]} <= {0, 1}
    assert all(p.ndim > 1 for p in groups[0]["params"])


def test_a_collapse_is_told_in_words_once(recipe, tmp_path, capsys):
    single = {"batch": 1, "accumulate": 1, "warmup": 1, "save_every": 100}
    collapsed = replace(recipe, steps=20, terms=Terms(pixel=0, object=0), **single)

    class Alarm(Callback):
        def on_after_backward(self, trainer, module):
            module.collapse.words = lambda: "Everything is alike."

    pretrain(collapsed, tmp_path, accelerator="cpu", progress=False, callbacks=[Alarm()])
    assert capsys.readouterr().out.count("Step 10: Everything is alike.") == 1


def test_one_region_is_told_in_words_and_two_are_not(capsys):
    for regions in (2, 1):
        bank = SimpleNamespace(known_regions=regions)
        collapse = SimpleNamespace(words=lambda: None)
        module = SimpleNamespace(recipe=SMALL, networks=SimpleNamespace(bank=bank), collapse=collapse)
        trainer = SimpleNamespace(global_step=10, is_global_zero=True)
        Warner().on_train_batch_end(trainer, module)
        assert ("All tiles lie in one region" in capsys.readouterr().out) == (regions == 1)


@pytest.mark.parametrize("preset", ["skysense-tiny", "skysense-v2-tiny"])
def test_a_run_begins_with_open_branches_and_recomputes_where_told(preset):
    networks = Pretraining(replace(SMALL, preset=preset, branch_gain=0.3, recompute=True)).networks
    for model in (networks.student, networks.teacher):
        gains = [norm.weight for b in model.modules() if isinstance(b, SwinBlock) for norm in (b.norm1, b.norm2)]
        assert gains and all((gain == 0.3).all() for gain in gains)
        assert all(part.recompute for part in model.modules() if hasattr(part, "recompute"))
        assert any(hasattr(part, "recompute") for part in model.modules())
