"""Eight samples of a task are learned by heart, by model and head together."""

import torch
from small_tasks import CLASSES, Colours, Fields, Mixtures, Pairs

from skysense_nb.models import load
from skysense_nb.tasks.evaluation import evaluate
from skysense_nb.tasks.fine_tuning import fine_tune
from skysense_nb.tasks.heads import CellHead, ChangeHead, MultiLabelHead, UPerHead, widths_of
from skysense_nb.tasks.plan import Plan

DECODER = {"channels": 32, "dropout": 0.0}


def score_by_heart(parts, make_head, samples, steps, learning_rate, folder):
    """The score on the samples that a fresh model and its head were trained on."""
    model, _ = load("skysense-tiny", weights="random", parts=parts)
    torch.manual_seed(0)
    head = make_head(model)
    plan = Plan(train="full", steps=steps, batch=8, learning_rate=learning_rate, warmup=5, moves=False)
    fine_tune(model, head, samples, None, plan, folder, accelerator="cpu", progress=False)
    return evaluate(model, head, samples).value


def test_eight_masks_are_learned_by_heart(tmp_path):
    def head(model):
        return UPerHead(widths_of(model, ("hr",)), ("outside", "inside"), auxiliary=8, **DECODER)

    assert score_by_heart(("hr",), head, Colours(8, side=64), 80, 5e-3, tmp_path) >= 0.95


def test_eight_changes_are_learned_by_heart(tmp_path):
    def head(model):
        return ChangeHead(widths_of(model, ("hr",)), Pairs.classes, auxiliary=0, **DECODER)

    assert score_by_heart(("hr",), head, Pairs(8, side=64), 40, 5e-3, tmp_path) >= 0.95


def test_eight_mixtures_of_labels_are_learned_by_heart(tmp_path):
    def head(model):
        return MultiLabelHead(model.width, CLASSES, average="macro")

    assert score_by_heart(("hr",), head, Mixtures(8), 20, 2e-3, tmp_path) >= 0.99


def test_eight_series_of_two_sensors_are_learned_by_heart(tmp_path):
    def head(model):
        return CellHead(model.width, Fields.classes, channels=16)

    assert score_by_heart(("s2", "s1", "fusion"), head, Fields(8), 40, 3e-3, tmp_path) >= 0.95
