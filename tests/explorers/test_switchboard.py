"""Switches as functions and through their widgets; answers against the model itself."""

import re

import numpy as np
import pytest
import torch
import xarray as xr
from small_scenes import make_image

from skysense_nb.errors import SampleError
from skysense_nb.explorers import ModalitySwitchboard
from skysense_nb.explorers.application import family
from skysense_nb.models import load
from skysense_nb.tasks.heads import CellHead, LabelHead
from skysense_nb.views import describe


@pytest.fixture(scope="module")
def model():
    return load("skysense-tiny", weights="bundled")[0]


@pytest.fixture
def scene() -> xr.DataTree:
    """4 × 4 cells; of four Sentinel-2 dates the second is half, the third all cloudy."""
    s2 = make_image("s2", 4, 4, dates=4)
    clear = xr.ones_like(s2.isel(band=0, drop=True), dtype=bool)
    clear[1, :2], clear[2] = False, False
    nodes = {
        "hr": make_image("hr", 128, 128, pixel=10 / 32).clip(0, 255).to_dataset(name="image"),
        "s2": xr.Dataset({"image": s2, "clear": clear}),
        "s1": make_image("s1", 4, 4, dates=2).to_dataset(name="image"),
    }
    return xr.DataTree.from_dict(nodes)


def without(scene, gone):
    """The scene after dates were removed from its files."""
    nodes = {name: scene[name].to_dataset().isel(time=dates) for name, dates in gone.items()}
    return xr.DataTree.from_dict(nodes)


def text(explorer):
    return re.sub("<[^>]*>", "", explorer.message.value)


def test_answer_is_that_of_a_scene_without_these_dates(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    answer = explorer.switch(["hr", "s2"], {"s2": [0, 3]})
    with torch.no_grad():
        expected = model.pooled(without(scene, {"hr": [0], "s2": [0, 3]}).sky.to_sample())[0].numpy()
    np.testing.assert_allclose(answer.pooled, expected, atol=1e-5)
    cosine = (
        answer.pooled
        @ explorer.whole.pooled
        / np.prod([np.linalg.norm(one.pooled) for one in (answer, explorer.whole)])
    )
    assert f"The place moved by {1 - cosine:.3f}" in text(explorer)


def test_everything_on_is_what_the_model_says_of_the_scene(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    np.testing.assert_allclose(explorer.now.cells, model.embed(scene), atol=1e-5)
    assert "Read: hr (1 of 1 dates), s2 (3 of 4 dates), s1 (2 of 2 dates). The place moved by 0.000" in text(explorer)


def test_switching_back_restores_the_first_answer_exactly(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    first, shown = explorer.now, explorer.picture.value
    explorer.sensors["hr"].value = False
    explorer.dates["s2"][0].value = False
    assert explorer.now.on == {"s2": (1, 3), "s1": (0, 1)} and explorer.picture.value != shown
    explorer.dates["s2"][0].value = True
    explorer.sensors["hr"].value = True
    np.testing.assert_array_equal(explorer.now.pooled, first.pooled)
    assert explorer.now.on == first.on and explorer.picture.value == shown
    explorer.sensors["s1"].value = False
    explorer.all_button.click()
    assert explorer.now.on == first.on and explorer.sensors["s1"].value


def test_dates_say_how_cloudy_they_are_and_what_is_not_read(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    assert [one.description for one in explorer.dates["s2"]] == [
        "2021-04-01, 0% cloudy", "2021-04-21, 50% cloudy", "2021-05-11, 100% cloudy, not read", "2021-05-31, 0% cloudy",
    ]  # fmt: skip
    assert [one.disabled for one in explorer.dates["s2"]] == [False, False, True, False]
    explorer.sensors["s2"].value = False
    assert all(one.disabled for one in explorer.dates["s2"])


def test_all_off_is_refused_in_one_line_and_the_last_answer_stays(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    explorer.sensors["hr"].value = explorer.sensors["s2"].value = False
    last = explorer.picture.value
    explorer.sensors["s1"].value = False
    assert text(explorer) == "Expected at least one date of one sensor, got all off. Switch one on."
    assert explorer.picture.value == last and explorer.now.on == {"s1": (0, 1)}
    with pytest.raises(SampleError):
        explorer.switch([])
    explorer.sensors["s1"].value = True
    assert text(explorer).startswith("Read: s1 (2 of 2 dates).")


def test_masks_of_a_head_are_compared(model, scene):
    torch.manual_seed(0)
    head = CellHead(model.width, ["water", "field"], channels=8).eval()
    torch.nn.init.normal_(head.layers[-1].weight)
    explorer = ModalitySwitchboard(model, scene, head, classes={"water": "#0000ff", "field": "#00ff00"})
    answer = explorer.switch(["s1"])
    same = (answer.prediction["mask"] == explorer.whole.prediction["mask"]).mean()
    assert 0 < same < 1 and f"{same:.0%} of the map has the class of everything" in text(explorer)
    drawn = {ax.get_title(): ax.images[0].get_array() for ax in explorer.figure().axes if ax.images and ax.get_title()}
    np.testing.assert_array_equal(drawn["as switched"][..., 1], answer.prediction["mask"])
    np.testing.assert_allclose(drawn["confidence as switched"], answer.prediction["mask_score"])


def test_truth_in_a_sample_is_used(model, scene):
    head = CellHead(model.width, ["water", "field"], channels=8)
    sample = scene.sky.to_sample()
    truth = torch.tensor([[0, 0, 1, 255]] * 4)
    explorer = ModalitySwitchboard(model, sample | {"mask": truth})
    assert "Right" not in text(explorer)
    explorer = ModalitySwitchboard(model, sample | {"mask": truth}, head)
    right = (explorer.now.prediction["mask"] == truth.numpy())[:, :3].mean()
    assert f"Right: {right:.0%} ({right:.0%})." in text(explorer)
    assert [one.description for one in explorer.dates["s1"]] == ["01 April", "21 April"]


def test_classes_of_the_place_are_named_with_their_score(model, scene):
    torch.manual_seed(0)
    head = LabelHead(model.width, ["forest", "village"])
    torch.nn.init.normal_(head.classifier.weight)
    explorer = ModalitySwitchboard(model, scene, head)
    scores = explorer.switch(["hr"]).prediction["label_score"]
    assert f"Likeliest: {head.classes[scores.argmax()]} {scores.max():.2f}" in text(explorer)
    assert "as switched: " + head.classes[scores.argmax()] in describe(explorer.figure())


def test_all_combinations_are_answered(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    explorer.compare().wait()
    assert list(explorer.subsets) == ["hr", "s2", "s1", "hr + s2", "hr + s1", "s2 + s1", "hr + s2 + s1"]
    with torch.no_grad():
        alone = model.pooled({key: value for key, value in scene.sky.to_sample().items() if not key.startswith("s")})
    expected = 1 - torch.cosine_similarity(alone[0], torch.from_numpy(explorer.whole.pooled), dim=0)
    assert explorer.subsets["hr"]["features of the place"] == pytest.approx(float(expected), abs=1e-5)
    assert explorer.subsets["hr + s2 + s1"]["features of the place"] == pytest.approx(0, abs=1e-9)
    nearest = min(list(explorer.subsets)[:-1], key=lambda name: explorer.subsets[name]["features of the place"])
    assert text(explorer) == f"7 of 7 combinations; nearest to everything: {nearest}."
    assert "<img" in explorer.chart.value


def test_stop_keeps_what_is_done(model, scene):
    explorer = ModalitySwitchboard(model, scene)
    answer = explorer.switched.answer

    def one_then_stop(on):
        explorer.work.stop()
        return answer(on)

    explorer.switched.answer = one_then_stop
    explorer.compare_button.click()
    explorer.work.wait()
    assert list(explorer.subsets) == ["hr"] and text(explorer).startswith("1 of 7 combinations, stopped; nearest")


def test_static_picture_follows_the_switches(model, scene):
    explorer = ModalitySwitchboard(model, scene, image=scene["s2"]["image"][0])
    explorer.switch(["s2"], {"s2": [1]})
    assert "As switched: s2 with dates [1]." in describe(explorer.figure())
    assert [ax.get_title() for ax in explorer.figure().axes][:3] == ["image", "everything on", "as switched"]


def test_refusals_in_words(model, scene):
    with pytest.raises(SampleError, match="^Expected a scene, or a sample with hr, s2 or s1, got list"):
        ModalitySwitchboard(model, [])
    with pytest.raises(SampleError, match="^Expected 2 classes, as the head has, got 1"):
        ModalitySwitchboard(model, scene, LabelHead(model.width, ["a", "b"]), classes=["a"])
    with pytest.raises(SampleError, match="^Expected sensors among hr, s2, s1, got lidar"):
        ModalitySwitchboard(model, scene).switch(["lidar"])


def test_two_boards_do_not_disturb_each_other_and_close(model, scene):
    one, other = ModalitySwitchboard(model, scene), ModalitySwitchboard(model, scene)
    one.sensors["hr"].value = False
    assert other.sensors["hr"].value and "hr" in other.now.on
    held = list(family(one.box))
    one.close()
    assert all(widget.comm is None for widget in held) and not vars(one)
    other.sensors["hr"].value = False
    assert "hr" not in other.now.on
