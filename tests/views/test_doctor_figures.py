"""The doctor's picture, read back: values where they are, training statistics, findings in words and marks."""

import numpy as np
import pytest
import xarray as xr

from skysense_nb.errors import SceneError
from skysense_nb.sensors import S2
from skysense_nb.views.doctor_figures import MARKS, doctor_figure, findings_in_lines
from skysense_nb.views.furniture import describe


def row(level, check="unit", modality="s2") -> dict[str, str]:
    words = {"seen": f"{level} seen", "expected": "what is right", "next_step": f"mend the {check}."}
    return {"modality": modality, "check": check, "level": level} | words


def bars(ax):
    """Left end and width of the training bar of each band."""
    boxes = [collection.get_paths()[0].get_extents() for collection in ax.collections[::2]]
    return [(box.x0, box.width) for box in boxes]


def test_each_band_has_its_values_over_its_training_statistics(place):
    figure = doctor_figure(place, [])
    hr, s2, s1 = figure.axes[:3]
    assert [label.get_text() for label in s2.get_yticklabels()] == list(S2.bands)
    for (left, width), mean, std in zip(bars(s2), S2.mean, S2.std, strict=True):
        assert (left, width) == pytest.approx((mean - std, 2 * std))
    assert bars(hr)[0][0] == pytest.approx(255 * (0.485 - 0.229))
    histogram = s1.collections[1].get_paths()[0].vertices
    fullest = histogram[histogram[:, 1].argmin(), 0]
    assert fullest == pytest.approx(-14, abs=2)


def test_values_in_a_wrong_unit_stand_far_from_the_training(place):
    place["s1"] = place["s1"].to_dataset().map(lambda image: 10 ** (image / 10), keep_attrs=True)
    ax = doctor_figure(place, []).axes[2]
    low, high = ax.get_xlim()
    assert low < -30 and high > 0
    assert ax.collections[1].get_paths()[0].vertices[:, 1].min() == pytest.approx(-0.4)
    histogram = ax.collections[1].get_paths()[0].vertices
    assert histogram[histogram[:, 1].argmin(), 0] > -1


def test_hidden_ground_is_left_out(place):
    place["s2"]["image"].values[1, :, :, :8] = 20_000
    assert doctor_figure(place, []).axes[1].get_xlim()[1] < 10_000


def test_findings_carry_mark_and_word_the_worst_first(place):
    figure = doctor_figure(place, [row("ok", "CRS"), row("note", "clouds"), row("error"), row("warning", "range")])
    written = [text.get_text() for text in figure.axes[-1].texts]
    assert [text for text in written if text[0] in MARKS.values()] == ["✗ error", "▲ warning", "● note", "✓ ok"]
    assert "s2 · unit: error seen; trained on what is right. mend the unit." in written
    assert "error: s2 unit, error seen" in describe(figure)
    assert len(set(MARKS.values())) == len(MARKS)


def test_lines_are_wrapped_and_without_findings_there_are_none():
    assert findings_in_lines([]) == []
    ((_, text),) = findings_in_lines([row("error") | {"next_step": "word " * 60}])
    assert text.count("\n") >= 2


def test_odd_images_are_drawn_too(place):
    image = place["s2"]["image"]
    nodes = {
        "s1": place["s1"]["image"].isel(time=0, drop=True).assign_coords(band=["HH", "HV"]),
        "s2": (image * np.nan).drop_vars("band"),
    }
    figure = doctor_figure(xr.DataTree.from_dict({n: i.to_dataset(name="image") for n, i in nodes.items()}), [])
    s2, s1 = figure.axes[:2]
    assert "bands have no names" in s2.get_xlabel()
    assert [label.get_text() for label in s1.get_yticklabels()] == ["HH", "HV"]
    with pytest.raises(SceneError, match="a scene with a child among hr, s2, s1"):
        doctor_figure(xr.DataTree(), [])
