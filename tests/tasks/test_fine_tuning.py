"""Fine-tuning learns, trains what it was told to and nothing else, stops, and goes on to the same weights."""

from dataclasses import replace

import pytest
import torch
from lightning import Callback
from small_tasks import CLASSES, Colours

from skysense_nb.errors import CheckpointError, EnvironmentProblem, ParameterError
from skysense_nb.layers.regularise import DropPath
from skysense_nb.models import load
from skysense_nb.tasks.best import load_best
from skysense_nb.tasks.evaluation import evaluate
from skysense_nb.tasks.fine_tuning import fine_tune
from skysense_nb.tasks.frozen import FrozenSamples, frozen
from skysense_nb.tasks.heads.labels import LabelHead
from skysense_nb.tasks.heads.levels import widths_of
from skysense_nb.tasks.heads.masks import UPerHead
from skysense_nb.tasks.plan import DIOR, ISAID, Plan

PLAN = Plan(train="full", steps=6, batch=4, learning_rate=1e-3, warmup=0, check_every=3, save_every=2)
QUIET = {"accelerator": "cpu", "progress": False}


def parts(seed=0):
    model, _ = load("skysense-tiny", weights="random", seed=seed)
    torch.manual_seed(seed)
    return model, LabelHead(model.width, CLASSES)


def state(*modules):
    return {f"{n}.{name}": value.clone() for n, one in enumerate(modules) for name, value in one.state_dict().items()}


class Stop(Callback):
    """Ends a run as a power cut would, before a batch."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, module, *_):
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


class Gradients(Callback):
    """Keeps the gradients of the last step."""

    def on_before_optimizer_step(self, trainer, module, optimizer):
        named = module.named_parameters()
        self.gradients = {name: one.grad.clone() for name, one in named if one.grad is not None}


def test_eight_samples_are_learned_by_heart(tmp_path):
    model, head = parts()
    plan = Plan(train="full", steps=60, batch=8, learning_rate=1e-3, warmup=5, moves=False)
    done = fine_tune(model, head, Colours(8), None, plan, tmp_path, **QUIET)
    assert done.complete
    assert evaluate(model, head, Colours(8)).value == 1.0
    assert done.curves()["loss"].iloc[-1] < 0.05


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path):
    whole = parts()
    fine_tune(*whole, Colours(9), Colours(6, seed=1), PLAN, tmp_path / "whole", **QUIET)
    stopped = parts()
    with pytest.raises(SystemExit):
        fine_tune(*stopped, Colours(9), Colours(6, seed=1), PLAN, tmp_path / "cut", callbacks=[Stop(5)], **QUIET)
    again = parts(seed=0)
    done = fine_tune(*again, Colours(9), Colours(6, seed=1), PLAN, tmp_path / "cut", **QUIET)
    assert done.complete
    for name, value in state(*whole).items():
        assert torch.equal(state(*again)[name], value), name


def test_a_batch_in_parts_is_the_same_batch(tmp_path):
    found = []
    for accumulate in (1, 2):
        model, head = parts()
        for module in model.modules():  # stochastic depth draws per part
            if isinstance(module, DropPath):
                module.rate = 0.0
        plan = replace(PLAN, steps=1, moves=False, check_every=0, clip=0.0, accumulate=accumulate)
        seen = Gradients()
        fine_tune(model, head, Colours(8), None, plan, tmp_path / str(accumulate), callbacks=[seen], **QUIET)
        found.append(seen.gradients)
    largest = max(float(one.abs().max()) for one in found[0].values())
    for name, value in found[0].items():
        assert torch.allclose(found[1][name], value, atol=1e-5 * largest), name


@pytest.mark.parametrize("train", ["head", "last:1", "lora:2", "full"])
def test_only_what_was_named_is_trained(train, tmp_path):
    model, head = parts()
    before = state(model, head)
    fine_tune(model, head, Colours(8), None, replace(PLAN, train=train, steps=2), tmp_path, **QUIET)
    named = state(model, head).items()
    after = {name.replace("parametrizations.", "").replace(".original", ""): value for name, value in named}
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert any(name.startswith("1.") for name in moved)
    in_model = {name for name in moved if name.startswith("0.")}
    assert bool(in_model) == (train in ("last:1", "full"))
    if train == "last:1":
        early = ("0.encoders.hr.stages.0", "0.encoders.hr.patch")
        assert not [name for name in in_model if name.startswith(early)]
    if train == "lora:2":
        ups = [value for name, value in state(model).items() if name.endswith(".up")]
        assert any(up.abs().max() > 0 for up in ups)


def test_frozen_features_train_a_head_as_images_do(tmp_path):
    plan = replace(PLAN, train="head", moves=False, steps=4)
    (model, head), (_, other) = parts(), parts()
    fine_tune(model, head, Colours(8), None, plan, tmp_path / "images", **QUIET)
    held = FrozenSamples(frozen(model, [Colours(8)[index] for index in range(8)], ()), CLASSES)
    fine_tune(None, other, held, None, plan, tmp_path / "cached", **QUIET)
    for name, value in state(head).items():
        assert torch.allclose(state(other)[name], value, atol=3e-3), name


def test_the_best_weights_come_back_and_a_run_without_progress_ends(tmp_path):
    model, head = parts()
    plan = replace(PLAN, train="head", steps=40, learning_rate=0.5, schedule="constant", check_every=1, patience=3)
    done = fine_tune(model, head, Colours(9), Colours(6, seed=1), plan, tmp_path, **QUIET)
    told = done.curves()["score"].dropna()
    assert done.steps < 40
    assert done.complete
    assert done.scores.value == told.max()
    assert len(told) - (told.reset_index(drop=True).idxmax() + 1) == 3
    assert evaluate(model, head, Colours(6, seed=1)) == done.scores
    again = fine_tune(*parts(), Colours(9), Colours(6, seed=1), plan, tmp_path, **QUIET)
    assert (again.steps, again.scores) == (done.steps, done.scores)
    fresh, blank = parts(seed=0)
    load_best(tmp_path / "best.safetensors", fresh, blank)
    assert torch.equal(blank.classifier.weight, head.classifier.weight)


def test_a_checkpoint_holds_what_is_trained_and_nothing_else(tmp_path):
    model, head = parts()
    fine_tune(model, head, Colours(8), None, replace(PLAN, train="head", steps=1), tmp_path, **QUIET)
    assert (tmp_path / "last.ckpt").stat().st_size < 100_000


def test_another_plan_or_head_does_not_go_on_with_a_run(tmp_path):
    plan = replace(PLAN, train="head", steps=2)
    fine_tune(*parts(), Colours(8), None, plan, tmp_path, **QUIET)
    with pytest.raises(CheckpointError, match="learning_rate 0.5 instead of 0.001"):
        fine_tune(*parts(), Colours(8), None, replace(plan, learning_rate=0.5), tmp_path, **QUIET)
    model, _ = parts()
    other = UPerHead(widths_of(model, ("hr",)), CLASSES[:2], channels=8, auxiliary=0)
    with pytest.raises(CheckpointError, match="head 'UPerHead' instead of 'another'"):
        fine_tune(model, other, Colours(8), None, plan, tmp_path, **QUIET)
    with pytest.raises(CheckpointError, match="weights of this head"):
        load_best(tmp_path / "best.safetensors", model, other)


def test_cached_features_cannot_train_a_model(tmp_path):
    model, head = parts()
    held = FrozenSamples(frozen(model, [Colours(2)[0]], ()), CLASSES)
    with pytest.raises(ParameterError, match="train='full' with cached features"):
        fine_tune(None, head, held, None, PLAN, tmp_path, **QUIET)


def test_out_of_memory_says_what_would_fit_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    model, head = parts()
    features, calls = model.features, []

    def hungry(batch):
        calls.append(1)
        if len(calls) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return features(batch)

    monkeypatch.setattr(model, "features", hungry)
    with pytest.raises(EnvironmentProblem, match=r"Call again with accumulate=2 \(2 at a time\)"):
        fine_tune(model, head, Colours(8), None, PLAN, tmp_path, **QUIET)
    monkeypatch.undo()
    done = fine_tune(*parts(), Colours(8), None, replace(PLAN, accumulate=2), tmp_path, **QUIET)
    assert done.complete


def test_published_plans_have_the_published_numbers():
    assert (ISAID.learning_rate, ISAID.weight_decay, ISAID.layer_decay, ISAID.steps) == (6e-5, 0.01, 0.9, 80_000)
    assert (ISAID.schedule, ISAID.warmup, ISAID.batch) == ("poly", 1500, 16)
    assert (DIOR.learning_rate, DIOR.weight_decay, DIOR.layer_decay, DIOR.schedule) == (1e-4, 0.05, 0.9, "steps")
    assert [round(share * 12) for share in DIOR.drops] == [8, 11]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "lora"}, "Expected train of head, last:n, full or lora:r, got 'lora'"),
        ({"schedule": "cosine"}, "Expected a schedule among poly, steps, constant, got 'cosine'"),
        ({"batch": 6, "accumulate": 4}, "Expected steps of a batch that divides into its parts"),
        ({"steps": 5}, "Expected a warm-up shorter than the training, got 10 of 5 steps"),
        ({"precision": "fp16"}, "Expected fp32 or bf16, got 'fp16'"),
    ],
)
def test_impossible_plans_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        Plan(**options)
