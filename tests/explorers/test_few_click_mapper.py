"""Labelling by click and by keyboard, the map that follows, and what is written."""

import geopandas
import numpy as np
import pytest
import rasterio
from small_scenes import place_of

from skysense_nb.errors import DatasetError, SampleError, SceneError
from skysense_nb.explorers import FewClickMapper
from skysense_nb.explorers.application import family
from skysense_nb.tasks.few_clicks import Click, suggest
from skysense_nb.views import describe


@pytest.fixture
def mapper(embedding, image):
    return FewClickMapper(embedding, image("s2"), classes={"water": "#0072B2", "field": "#E69F00"})


def fill(mapper, cells, name, held_out=False) -> None:
    for row, column in cells:
        mapper.add(row, column, name, held_out)


def test_clicks_of_two_classes_make_a_map(mapper):
    mapper.ground.map._interaction_callbacks(type="click", coordinates=place_of(1, 1))
    assert mapper.clicks == [Click(1, 1, 0)] and mapper.probabilities is None
    assert "Row 1, column 1: water. Click cells of another class" in mapper.message.value
    before = {name: layer.url for name, layer in mapper.ground.layers.items()}
    mapper.label.value = 1
    mapper.ground.map._interaction_callbacks(type="click", coordinates=place_of(4, 6))
    wanted = np.repeat([0, 1], 4)[None].repeat(6, 0)  # the halves of the embedding
    np.testing.assert_array_equal(mapper.probabilities.argmax(0), wanted)
    after = {name: layer.url for name, layer in mapper.ground.layers.items()}
    assert [name for name in after if after[name] != before[name]] == ["Classes", "Clicks"]
    assert "1 water</span>" not in mapper.counts.value and "1 water: 1 + 0 held out" in mapper.counts.value


def test_the_keyboard_does_the_same(mapper):
    mapper.label.value = 1
    mapper.row.value, mapper.column.value = 5, 7
    mapper.add_button.click()
    assert mapper.clicks == [Click(5, 7, 1)] and "Row 5, column 7: field." in mapper.message.value


def test_every_fourth_click_of_a_class_is_held_out_and_scored(mapper):
    for row in range(4):
        mapper.add(row, 1, "water")
        mapper.add(row, 6, "field")
    assert [click for click in mapper.clicks if click.held_out] == [Click(3, 1, 0, True), Click(3, 6, 1, True)]
    assert "Row 3, column 6 (held out): field. Right on 2 of 2 held-out clicks (100%)" in mapper.message.value
    assert "2 field: 3 + 1 held out" in mapper.counts.value
    mapper.kept.value = 1
    assert mapper.add(5, 0, "field").held_out  # a wrong label: the left half is water
    assert "Right on 2 of 3 held-out clicks (67%)" in mapper.message.value
    mapper.kept.value = 0
    assert not mapper.add(5, 7, "field").held_out


def test_a_held_out_click_changes_no_colour(mapper):
    fill(mapper, [(0, 0), (5, 2)], "water")
    fill(mapper, [(0, 6), (5, 7)], "field")
    before = mapper.probabilities.copy()
    fill(mapper, [(2, 2), (2, 6)], "field", held_out=True)
    np.testing.assert_array_equal(mapper.probabilities, before)


def test_a_cell_that_is_labelled_again_has_the_new_label_only(mapper):
    mapper.add(2, 2, "water")
    mapper.add(2, 2, "field")
    assert mapper.clicks == [Click(2, 2, 1)]
    mapper.undo_button.click()
    assert mapper.clicks == [Click(2, 2, 0)]
    mapper.undo()
    assert mapper.clicks == []
    mapper.undo_button.click()
    assert "Expected a click to take back, got none." in mapper.message.value


def test_undo_takes_the_map_back(mapper):
    mapper.add(1, 1, "water")
    mapper.add(1, 6, "field")
    before, layer = mapper.probabilities, mapper.ground.layers["Classes"].url
    mapper.add(3, 1, "field")
    assert not np.array_equal(mapper.probabilities, before)
    mapper.undo()
    np.testing.assert_array_equal(mapper.probabilities, before)
    assert mapper.ground.layers["Classes"].url == layer
    mapper.undo()
    assert mapper.probabilities is None


def test_suggest_outlines_the_least_sure_cell_and_fills_the_boxes(mapper):
    mapper.suggest_button.click()
    assert "Expected clicks of two classes, got fewer." in mapper.message.value
    mapper.add(0, 0, "water")
    mapper.add(0, 7, "field")
    mapper.suggest_button.click()
    cell = suggest(mapper.probabilities, mapper.clicks)
    assert (mapper.row.value, mapper.column.value) == cell
    assert f"Row {cell[0]}, column {cell[1]} (white outline): " in mapper.message.value
    lat, lon = np.mean(mapper.ground.marker.locations, axis=0)
    mapper.on_click(lat, lon)
    assert (mapper.clicks[-1].row, mapper.clicks[-1].column) == cell


def test_least_confidence_hides_cells(mapper):
    mapper.add(0, 0, "water")
    mapper.add(0, 7, "field")
    before = mapper.ground.layers["Classes"].url
    mapper.least.value = 1.0
    assert mapper.ground.layers["Classes"].url != before
    assert not mapper.least.continuous_update


def test_truth_is_compared_on_unclicked_cells_only(embedding):
    truth = np.repeat([0, 1], 4)[None].repeat(6, 0)
    truth[:, 0] = 1  # the head will be wrong there
    truth[5, 7] = 9  # not known
    mapper = FewClickMapper(embedding, classes=("a", "b"), truth=truth)
    mapper.add(0, 1, "a")
    mapper.add(0, 7, "b")
    assert f"truth: {39 / 45:.0%} of 45 unclicked cells." in mapper.message.value


def test_what_is_saved_is_what_is_shown(mapper, tmp_path):
    mapper.folder.value = str(tmp_path / "map")
    mapper.save_button.click()
    assert "Expected a map to save" in mapper.message.value and not (tmp_path / "map").exists()
    fill(mapper, [(0, 0), (5, 2)], "water")
    fill(mapper, [(0, 6), (5, 7)], "field", held_out=False)
    mapper.add(2, 3, "water", held_out=True)
    mapper.save_button.click()
    assert "classes.tif, clicks.gpkg, confidence.tif." in mapper.message.value
    with rasterio.open(tmp_path / "map" / "classes.tif") as file:
        np.testing.assert_array_equal(file.read(1), mapper.probabilities.argmax(0))
        assert file.bounds == mapper.embedding.rio.bounds() and file.colormap(1)[0][:3] == (0, 0x72, 0xB2)
    points = geopandas.read_file(tmp_path / "map" / "clicks.gpkg")
    assert points["class"].tolist() == ["water", "water", "field", "field", "water"]
    mapper.save_button.click()
    assert "one that exists" in mapper.message.value


def test_saved_clicks_are_gone_on_with(mapper, embedding, tmp_path):
    fill(mapper, [(0, 0), (5, 2)], "water")
    fill(mapper, [(0, 6), (5, 7)], "field")
    mapper.add(2, 3, "water", held_out=True)
    mapper.save(tmp_path / "map")
    other = FewClickMapper(embedding, classes=("forest", "field", "water"))
    other.load(tmp_path / "map")
    assert [(*click[:2], other.names[click.label], click.held_out) for click in other.clicks] == [
        (*click[:2], mapper.names[click.label], click.held_out) for click in mapper.clicks
    ]
    np.testing.assert_allclose(other.probabilities[[2, 1]], mapper.probabilities, atol=1e-3)
    assert "5 clicks read. Right on 1 of 1 held-out clicks" in other.message.value
    other.undo()
    assert other.clicks == []
    with pytest.raises(DatasetError, match="classes among a, b, got field, water"):
        FewClickMapper(embedding, classes=("a", "b")).load(tmp_path / "map")


def test_a_refusal_is_shown_and_changes_nothing(mapper, embedding):
    mapper.add(1, 1, "water")
    mapper.ground.map._interaction_callbacks(type="click", coordinates=(0.0, 0.0))
    assert "<b>Expected a click inside the outline" in mapper.message.value and len(mapper.clicks) == 1
    embedding[:, 0, 0] = np.nan
    holed = FewClickMapper(embedding)
    with pytest.raises(SampleError, match="none at row 0, column 0"):
        holed.add(0, 0, "water")
    assert holed.clicks == [] == holed.history
    with pytest.raises(SceneError, match="a class among water, land, got 'sea'"):
        holed.add(1, 1, "sea")


def test_names_are_shown_as_text_not_as_html(embedding):
    mapper = FewClickMapper(embedding, classes=("<b>a", "b"))
    mapper.add(0, 0, "<b>a")
    mapper.add(0, 7, "b")
    assert "&lt;b&gt;a" in mapper.message.value + mapper.counts.value and "<b>a" not in mapper.counts.value


def test_static_picture_follows_the_clicks(mapper):
    assert describe(mapper.figure()) == "0 labelled cells, 0 of them held out."
    mapper.add(0, 0, "water")
    mapper.add(0, 7, "field")
    assert describe(mapper.figure()).endswith("classes: water 50%, field 50%.")


def test_every_control_says_what_it_is_and_close_ends_all(mapper):
    mapper.add(0, 0, "water")
    members = [one for one in family(mapper.box) if one.comm is not None]
    controls = (mapper.label, mapper.kept, mapper.row, mapper.column, mapper.least, mapper.folder)
    assert all(one.description for one in controls)
    buttons = (mapper.add_button, mapper.undo_button, mapper.suggest_button, mapper.save_button)
    assert all(one.description and one.tooltip for one in buttons)
    mapper.close()
    assert all(one.comm is None for one in members) and not vars(mapper)


def test_two_mappers_do_not_disturb_each_other(embedding):
    one, other = FewClickMapper(embedding), FewClickMapper(embedding)
    one.add(0, 0, "water")
    assert other.clicks == [] and "0 + 0" in other.counts.value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"classes": ["a"]}, "two or more different classes"),
        ({"classes": ["a", "a", "b"]}, "two or more different classes"),
        ({"truth": np.zeros((3, 3))}, r"truth of \(6, 8\) cells, got \(3, 3\)"),
    ],
)
def test_refusals_in_words(embedding, arguments, words):
    with pytest.raises(SceneError, match=words):
        FewClickMapper(embedding, **arguments)


def test_embeddings_without_place_or_form_are_refused(embedding):
    with pytest.raises(SceneError, match=r"an embedding as DataArray \(feature, y, x\), got ndarray"):
        FewClickMapper(embedding.values)
    with pytest.raises(SceneError, match="with a CRS"):
        FewClickMapper(embedding.drop_vars("spatial_ref"))
