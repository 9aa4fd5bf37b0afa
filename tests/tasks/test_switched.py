"""Switching sensors and dates off says what the model says of a place that never had them."""

import numpy as np
import pytest
import torch

from skysense_nb.errors import SampleError
from skysense_nb.models import load
from skysense_nb.runtime import evaluation_mode
from skysense_nb.tasks.heads import CellHead, LabelHead, UPerHead, widths_of
from skysense_nb.tasks.switched import Switched, turned

DAYS = {"hr": [150], "s2": [10, 100, 200, 300], "s1": [50, 250]}
PARTS = [{"s2": [0, 3]}, {"hr": [0]}, {"hr": [0], "s1": [1]}, {"hr": [0], "s2": [2], "s1": [0, 1]}]


def place(cells=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"hr": (3, 32 * cells), "s2": (10, cells), "s1": (2, cells)}
    sample = {"lonlat": torch.tensor([[10.0, 50.0]])}
    for name, (bands, side) in shapes.items():
        sample[name] = torch.randn(1, len(DAYS[name]), bands, side, side, generator=generator)
        sample[f"{name}_day"] = torch.tensor([DAYS[name]])
    return sample | {"s2_valid": torch.tensor([[True, True, False, True]])}


def removed(sample, on):
    """The place as if only these dates had ever come."""
    part = {"lonlat": sample["lonlat"]}
    for name, dates in on.items():
        keys = [key for key in sample if key.split("_")[0] == name]
        part |= {key: sample[key][:, dates] for key in keys}
    return part


@pytest.fixture(scope="module", params=["skysense-tiny", "skysense-v2-tiny"])
def model(request):
    return load(request.param, weights="bundled")[0]


@pytest.mark.parametrize("on", PARTS, ids=str)
def test_what_is_off_might_as_well_not_be_there(model, on):
    sample = place()
    answer = Switched(model, sample).answer(on)
    kept = {name: [date for date in dates if (name, date) != ("s2", 2)] for name, dates in on.items()}
    kept = {name: dates for name, dates in kept.items() if dates}
    with torch.no_grad():
        expected = model.features(removed(sample, kept))
    np.testing.assert_allclose(answer.pooled, expected.pooled[0], atol=1e-5)
    np.testing.assert_allclose(answer.cells, expected.richest[0], atol=1e-5)
    assert answer.on == {name: tuple(dates) for name, dates in kept.items()}


def test_a_head_on_maps_of_sensors_sees_no_date_that_is_off(model):
    torch.manual_seed(0)
    sample, on = place(), {"s2": [0, 3], "s1": [1]}
    head = UPerHead(widths_of(model, ("s2", "s1")), ["a", "b", "c"], channels=8, auxiliary=0)
    answer = Switched(model, sample, head).answer(on)
    with evaluation_mode(head), torch.no_grad():
        expected = head.predict(head(model.features(removed(sample, on)), {}), {"size": (128, 128)})
    assert answer.prediction["mask"].shape == (128, 128)
    assert (answer.prediction["mask"] == expected["mask"][0].numpy()).mean() > 0.999  # ties may fall either way
    np.testing.assert_allclose(answer.prediction["mask_score"], expected["mask_score"][0], atol=1e-4)


def test_masks_lie_on_the_grid_of_the_truth(model):
    sample = place() | {"mask": torch.zeros(1, 8, 8, dtype=torch.int64)}
    head = CellHead(model.width, ["a", "b"], channels=4)
    assert Switched(model, sample, head).answer({"s1": [0]}).prediction["mask"].shape == (8, 8)


def test_modes_and_gradients_are_as_before(model):
    head = LabelHead(model.width, ["a", "b"]).train()
    parts = [*model.modules()]
    before = [part.training for part in parts]
    Switched(model, place(), head).answer({"s1": [0]})
    assert [part.training for part in parts] == before and head.training
    assert all(parameter.grad is None for parameter in (*model.parameters(), *head.parameters()))
    assert torch.is_grad_enabled()


def test_a_training_model_answers_as_in_evaluation():
    model = load("skysense-tiny", weights=None, seed=1)[0]
    expected = Switched(model.eval(), place()).answer({"s2": [0]})
    answer = Switched(model.train(), place()).answer({"s2": [0]})
    np.testing.assert_array_equal(answer.pooled, expected.pooled)
    assert model.training


def test_a_training_head_answers_as_in_evaluation(model):
    torch.manual_seed(0)
    head, on = CellHead(model.width, ["a", "b", "c"], channels=8, dropout=0.5), {"s2": [0]}
    before = {name: value.clone() for name, value in head.state_dict().items()}
    expected = Switched(model, place(), head.eval()).answer(on).prediction["mask_score"]
    np.testing.assert_array_equal(Switched(model, place(), head.train()).answer(on).prediction["mask_score"], expected)
    assert head.training and all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_a_model_without_fusion_is_run_again():
    model = load("skysense-tiny", weights=None, parts=("s2",))[0]
    switched = Switched(model, place())
    expected = model.features(removed(place(), {"s2": [1]}))
    np.testing.assert_allclose(switched.answer({"s2": [1]}).pooled, expected.pooled[0].detach(), atol=1e-5)


@pytest.mark.parametrize("on", [{}, {"s2": []}, {"s2": [2]}, {"other": [0]}], ids=str)
def test_nothing_to_read_is_refused(model, on):
    with pytest.raises(SampleError, match=r"^Expected at least one date of one sensor, got all off\."):
        Switched(model, place()).answer(on)


def test_several_places_are_refused(model):
    sample = {key: torch.cat([value, value]) for key, value in place().items()}
    with pytest.raises(SampleError, match="one place"):
        Switched(model, sample)


def test_heads_without_mask_or_label_are_refused(model):
    from skysense_nb.tasks.heads import BoxHead

    with pytest.raises(SampleError, match="a head that predicts a mask or a label, got BoxHead"):
        Switched(model, place(), BoxHead(widths_of(model, ("hr",)), ["ship"]))


def test_turned_is_known_for_simple_angles():
    x, y = np.array([1.0, 0.0]), np.array([0.0, 3.0])
    assert (turned(x, 5 * x), turned(x, y), turned(x, -x)) == (0, 1, 2)
    np.testing.assert_allclose(turned(x[:, None, None], (x + y / 3)[:, None, None]), [[1 - np.sqrt(0.5)]])
