"""The monitor reads what runs write; following is tried with a run that another thread writes."""

import re
import time
from types import SimpleNamespace

import pytest
import torch

from skysense_nb.errors import ParameterError, RunError
from skysense_nb.explorers import TrainingMonitor
from skysense_nb.explorers.application import family
from skysense_nb.pretraining import Recipe
from skysense_nb.pretraining.collapse import Collapse
from skysense_nb.pretraining.recipe import write_recipe
from skysense_nb.training.checkpoints import History
from skysense_nb.views import describe


def begin(folder):
    writer = History(folder / "history.csv")
    writer.on_train_start(SimpleNamespace(global_step=0, is_global_zero=True), None)
    return writer


@pytest.fixture
def run(tmp_path):
    """A pre-training run of 12 steps whose 6 first are done; its warm-up ends with step 2."""
    write_recipe(Recipe(steps=12, warmup=1), tmp_path / "recipe.yaml")
    writer = begin(tmp_path)
    for step in range(1, 7):
        watched = {"fused/pixel/entropy": 0.4, "fused/pixel/information": 0.5, "fused/effective_rank": 9.0}
        writer.add(step, {"fused/pixel": 2 / step, "loss": 3 / step, **watched, "learning_rate": 1e-3})
    writer.add(6, {"probe/scene_accuracy": 0.75})
    return SimpleNamespace(folder=tmp_path, writer=writer)


def text(explorer):
    return re.sub("<[^>]*>", "", explorer.message.value)


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_says_where_the_run_stands(run):
    monitor = TrainingMonitor(run.folder)
    assert text(monitor).startswith("Step 6 of 12. Loss 0.5, lowest 0.5 in step 6.")
    assert text(monitor).endswith("No sign of collapse.")
    assert monitor.terms.options == ("loss", "fused/pixel") and monitor.terms.value == ("loss",)
    assert set(monitor.charts()) == {
        "loss", "information of targets (lowest level)", "effective rank of features", "probes and scores, 0–1",
        "seconds per step", "learning rate",
    }  # fmt: skip


def test_refresh_reads_what_came_and_keeps_the_choice(run):
    monitor = TrainingMonitor(run.folder)
    monitor.terms.value, before = ("fused/pixel",), monitor.picture.value
    run.writer.add(7, {"loss": 9.0, "fused/pixel": 8.0, "text": 1.0})
    monitor.refresh_button.click()
    assert "Step 7 of 12. Loss 9, lowest 0.5 in step 6." in text(monitor) and monitor.picture.value != before
    assert monitor.terms.value == ("fused/pixel",) and "text" in monitor.terms.options
    steps, values = monitor.charts()["loss"].curves["fused/pixel"]
    assert (steps[-1], values[-1]) == (7, 8.0)


def test_terms_and_smoothing_redraw(run):
    monitor = TrainingMonitor(run.folder)
    shown = [monitor.picture.value]
    monitor.terms.value = ("loss", "fused/pixel")
    shown.append(monitor.picture.value)
    monitor.smoothing.value = 0.0
    shown.append(monitor.picture.value)
    assert len(set(shown)) == 3
    assert "loss, fused/pixel: 2 to 0.333" in describe(monitor.figure())


def test_collapse_is_told_with_its_kind_as_the_monitor_of_the_run_does(run):
    monitor, watch = TrainingMonitor(run.folder), Collapse()
    run.writer.add(7, {"fused/pixel/information": 0.01, "fused/pixel/entropy": 0.2})
    assert "Collapse (fused/pixel): all places get the same prototypes." in monitor.refresh()
    run.writer.add(8, {"fused/pixel/information": 0.01, "fused/pixel/entropy": 0.99})
    assert "Collapse (fused/pixel): targets name no prototype." in monitor.refresh()
    watch.observe_features("fused", torch.ones(50, 24))
    run.writer.add(9, {**watch.state(), "fused/pixel/information": 0.5})
    assert "Collapse (fused): features lie in 1.0 directions." in monitor.refresh()
    assert watch.words() is not None


def test_collapse_is_not_judged_during_the_warm_up(tmp_path):
    write_recipe(Recipe(steps=12, warmup=3), tmp_path / "recipe.yaml")
    begin(tmp_path).add(6, {"loss": 1.0, "hr/effective_rank": 1.0})
    assert "Collapse is judged after step 6" in text(TrainingMonitor(tmp_path))


def test_a_loss_that_is_no_number_is_told(run):
    run.writer.add(7, {"loss": float("nan")})
    assert "The loss is no number since step 7: lower the learning rate." in text(TrainingMonitor(run.folder))


def test_a_fine_tuning_run_shows_its_score(tmp_path):
    writer = begin(tmp_path)
    for step in (1, 2):
        writer.add(step, {"mask": 1.0, "loss": 1.0, "learning_rate": 1e-3})
    writer.add(2, {"score": 0.5, "score/water": 0.25})
    monitor = TrainingMonitor(tmp_path, steps=2)
    assert list(monitor.charts()["probes and scores, 0–1"].curves) == ["score"] and monitor.ended
    assert "collapse" not in text(monitor).lower()


def test_a_run_that_has_not_begun_is_told_not_raised(tmp_path):
    monitor = TrainingMonitor(tmp_path / "later")
    assert "got no such file. Start pretrain or fine_tune with this folder" in text(monitor)
    with pytest.raises(RunError, match="no such file"):
        monitor.refresh()
    with pytest.raises(RunError, match="Call refresh"):
        monitor.figure()


def test_follow_reads_until_the_run_ends(tmp_path):
    monitor = TrainingMonitor(tmp_path, steps=3, every=0.01)
    work = monitor.follow()
    wait_for(lambda: text(monitor).startswith("Waiting. Expected the history"))
    writer = begin(tmp_path)
    writer.add(1, {"loss": 3.0})
    wait_for(lambda: text(monitor).startswith("Step 1 of 3."))
    assert work.running and work.box.layout.display == ""
    writer.add(2, {"loss": 2.0})
    writer.add(3, {"loss": 1.0})
    work.wait(20)
    assert not work.running and text(monitor).startswith("Followed, the run has ended. Step 3 of 3. Loss 1")
    assert work.box.layout.display == "none"


def test_stop_ends_following_at_once(run):
    monitor = TrainingMonitor(run.folder, every=3600)
    monitor.follow_button.click()
    wait_for(lambda: monitor.work.running)
    monitor.work.button.click()
    monitor.work.wait(20)
    assert not monitor.work.running and text(monitor).startswith("Followed, stopped. Step 6 of 12.")


def test_closing_ends_following(run):
    monitor = TrainingMonitor(run.folder, every=3600)
    thread, held = monitor.follow().thread, list(family(monitor.box))
    monitor.close()
    assert not thread.is_alive() and all(widget.comm is None for widget in held)


def test_refusals_in_words(tmp_path):
    with pytest.raises(ParameterError, match="^Expected steps and seconds above 0, got steps=0"):
        TrainingMonitor(tmp_path, steps=0)
