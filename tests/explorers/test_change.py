"""Polygons, scores and files follow the controls; the border cuts the second picture; clicks name polygons."""

import base64
import io

import geopandas
import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer
from small_scenes import CORNER, make_image

from skysense_nb.errors import DatasetError, SceneError
from skysense_nb.explorers import ChangeExplorer
from skysense_nb.explorers.application import family
from skysense_nb.views import describe

ROWS, COLUMNS = 12, 16


@pytest.fixture
def score():
    """A sure change of 6 cells of 100 m², a less sure one of 2, a lone cell."""
    values = np.full((ROWS, COLUMNS), 0.1)
    values[2:4, 3:6] = 0.9
    values[8, 10:12] = 0.6
    values[11, 0] = 0.95
    return make_image("s1", ROWS, COLUMNS)[0, 0].drop_vars(["time", "band"]).copy(data=values)


@pytest.fixture
def truth():
    values = np.zeros((ROWS, COLUMNS), int)
    values[2:4, 3:7] = 1
    values[11] = 255
    return values


@pytest.fixture
def pair():
    return np.zeros((48, 64, 3)), np.full((48, 64, 3), 200, "uint8")


def lat_lon(row, column):
    x, y = CORNER[0] + 10 * (column + 0.5), CORNER[1] - 10 * (row + 0.5)
    return Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)[::-1]


def pixels_of(layer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(layer.url.split(",")[1]))))


def test_polygons_follow_threshold_and_least_area(pair, score):
    explorer = ChangeExplorer(*pair, score)
    polygons = explorer.polygons()
    np.testing.assert_allclose(polygons.geometry.area, [600, 200, 100])
    np.testing.assert_allclose(polygons.score, [0.9, 0.6, 0.95])
    assert polygons.crs == score.rio.crs
    explorer.threshold.value = 0.7
    np.testing.assert_allclose(explorer.polygons().geometry.area, [600, 100])
    explorer.least_area.value = 600
    np.testing.assert_allclose(explorer.polygons().geometry.area, [600])
    assert "1 polygon, 600 m². Score at least 0.70, area at least 600 m²." in explorer.message.value
    explorer.least_area.value = 601 * 1.01
    assert len(explorer.polygons()) == 0 and explorer.message.value.count("0 polygons, 0 m²") == 1


def test_the_map_shows_polygons_where_they_are_with_their_numbers(pair, score):
    explorer = ChangeExplorer(*pair, score)
    assert len(explorer.found.layer.data["features"]) == 3
    corners = np.array(explorer.found.layer.data["features"][0]["geometry"]["coordinates"][0])
    (left, bottom), (right, top) = corners.min(0), corners.max(0)
    lat, lon = lat_lon(2.5, 4)
    assert left < lon < right and bottom < lat < top
    marker = explorer.found.labels.layers[0]
    assert ">1<" in marker.icon.html and left < marker.location[1] < right and bottom < marker.location[0] < top
    earlier = explorer.found.labels.layers
    explorer.threshold.value = 0.7
    assert len(explorer.found.labels.layers) == 2 and all(one.comm is None for one in earlier)
    assert explorer.list.value.count("<tr>") == 3


def test_scores_are_those_of_the_chosen_cells_without_unknown_ones(pair, score, truth):
    explorer = ChangeExplorer(*pair, score, truth)
    assert explorer.scores.value == pytest.approx(2 * 6 / (2 * 6 + 2 + 2))
    assert explorer.scores.others["precision"] == pytest.approx(6 / 8)
    assert explorer.scores.others["recall"] == pytest.approx(6 / 8)
    assert "F1 0.75, precision 0.75, recall 0.75" in explorer.message.value
    explorer.least_area.value = 300
    assert explorer.scores.others["precision"] == 1
    assert len(explorer.true.layer.data["features"]) == 1 and "dashArray" in explorer.true.layer.style


def test_the_border_cuts_the_second_picture(pair, score):
    explorer = ChangeExplorer(*pair, score)
    layer, seen = explorer.ground.layers["After"], {}
    for percent in (0, 25, 100):
        explorer.border.value = percent
        alpha = pixels_of(layer)[..., 3]
        seen[percent] = (alpha[alpha.shape[0] // 2] > 0).mean()
    assert seen[0] > 0.97 and seen[100] == 0 and abs(seen[25] - 0.75) < 0.03
    explorer.border.value = 50
    middle = pixels_of(layer)
    assert middle[middle.shape[0] // 2, -middle.shape[1] // 5].tolist() == [200, 200, 200, 255]


def test_a_click_names_the_polygon_below_it(pair, score):
    explorer = ChangeExplorer(*pair, score)
    explorer.ground.map._interaction_callbacks(type="click", coordinates=lat_lon(8, 11))
    assert "Polygon 2: 200 m², mean score 0.60." in explorer.message.value and explorer.number.value == 2
    assert len(explorer.found.marked.data["features"]) == 1
    assert explorer.on_click(*lat_lon(0, 0)) == 0 and "the score is 0.10" in explorer.message.value
    assert explorer.found.marked.data["features"] == []
    explorer.ground.map._interaction_callbacks(type="click", coordinates=(0.0, 0.0))
    assert "<b>Expected a click inside the outline" in explorer.message.value


def test_a_click_on_a_number_chooses_its_polygon(pair, score):
    explorer = ChangeExplorer(*pair, score)
    explorer.found.labels.layers[1]._click_callbacks(type="click", coordinates=lat_lon(8, 11))
    assert "Polygon 2: 200 m², mean score 0.60." in explorer.message.value and explorer.number.value == 2


def test_polygons_can_be_chosen_by_number(pair, score):
    explorer = ChangeExplorer(*pair, score)
    explorer.number.value = 3
    assert "Polygon 3: 100 m², mean score 0.95." in explorer.message.value
    explorer.threshold.value = 0.99
    assert explorer.number.value == explorer.number.max == 0 and explorer.found.marked.data["features"] == []
    with pytest.raises(SceneError, match="a polygon among"):
        explorer.choose(1)


def test_files_hold_the_polygons_and_are_not_overwritten(pair, score, tmp_path):
    explorer = ChangeExplorer(*pair, score)
    explorer.file.value = str(tmp_path / "change.gpkg")
    explorer.save_button.click()
    assert "3 polygons written to" in explorer.message.value
    back = geopandas.read_file(tmp_path / "change.gpkg")
    assert back.crs == score.rio.crs and back.geom_equals(explorer.polygons()).all()
    explorer.save_button.click()
    assert "<b>Expected a new file" in explorer.message.value
    with pytest.raises(DatasetError):
        explorer.save(tmp_path / "change.gpkg")


def test_static_picture_follows_the_controls(pair, score, truth):
    explorer = ChangeExplorer(*pair, score, truth)
    assert "Threshold 0.50: 3 outlines of found, 1 outlines of truth." in describe(explorer.figure())
    explorer.threshold.value = 0.7
    figure = explorer.figure()
    assert "Threshold 0.70: 2 outlines of found" in describe(figure)
    (ring, _) = figure.axes[1].collections[0].get_segments()
    np.testing.assert_allclose(ring.max(0) / ring.min(0), [6 / 3, 10 / 8])


def test_images_with_bands_are_drawn(score):
    explorer = ChangeExplorer(make_image("s2", ROWS, COLUMNS), make_image("s2", ROWS, COLUMNS, seed=1), score)
    assert explorer.before.shape == (ROWS, COLUMNS, 3) and len(explorer.polygons()) == 3


def test_refusals_in_words(pair, score, truth):
    with pytest.raises(SceneError, match="a score with a CRS, got none"):
        ChangeExplorer(*pair, score.drop_vars("spatial_ref"))
    with pytest.raises(SceneError, match=r"truth of 0, 1 and 255 on the score's grid \(12, 16\)"):
        ChangeExplorer(*pair, score, truth[:3])
    with pytest.raises(SceneError, match="an image over the ground of the score"):
        ChangeExplorer(make_image("s2", 6, 6), make_image("s2", 6, 6), score)
    with pytest.raises(SceneError, match=r"an image \(y, x, 3\) or with bands, got shape \(48, 64\)"):
        ChangeExplorer(pair[0][..., 0], pair[1], score)


def test_close_frees_all_widgets(pair, score, truth):
    explorer = ChangeExplorer(*pair, score, truth)
    held = list(family(explorer.box))
    explorer.close()
    assert len(held) > 30 and [one for one in held if one.comm is not None] == []
