"""The click handler as a plain function, and the same through the map's own callback."""

import numpy as np
import pytest
from small_scenes import place_of

from skysense_nb.errors import SceneError
from skysense_nb.explorers import SimilarityExplorer
from skysense_nb.views.cells import cell_at
from skysense_nb.views.features import similarity
from skysense_nb.views.furniture import describe


def test_click_returns_and_draws_the_likeness(embedding, image):
    explorer = SimilarityExplorer(embedding, image("s2"))
    before = explorer.ground.layers["Likeness"].url
    likeness = explorer.on_click(*place_of(4, 6))
    np.testing.assert_allclose(likeness, similarity(embedding, 4, 6), atol=1e-6)
    assert explorer.cell == (4, 6) and (explorer.row.value, explorer.column.value) == (4, 6)
    assert (
        explorer.ground.layers["Likeness"].url != before
        and explorer.ground.layers["Likeness"] in explorer.ground.map.layers
    )
    lat, lon = np.mean(explorer.ground.marker.locations, axis=0)
    assert cell_at(embedding, lat, lon) == (4, 6)
    assert "Row 4, column 6." in explorer.message.value
    assert "50% of the place" in explorer.message.value


def test_the_map_passes_clicks_but_not_movements(embedding):
    explorer = SimilarityExplorer(embedding)
    explorer.ground.map._interaction_callbacks(type="mousemove", coordinates=place_of(1, 1))
    assert explorer.cell is None
    explorer.ground.map._interaction_callbacks(type="click", coordinates=place_of(1, 1))
    assert explorer.cell == (1, 1)


def test_keyboard_route_does_the_same(embedding):
    explorer = SimilarityExplorer(embedding)
    explorer.row.value, explorer.column.value = 3, 2
    explorer.button.click()
    assert explorer.cell == (3, 2) and "Row 3, column 2." in explorer.message.value


def test_a_refusal_is_shown_not_swallowed(embedding):
    embedding[:, 0, 0] = np.nan
    explorer = SimilarityExplorer(embedding)
    before = explorer.ground.layers["Likeness"].url
    explorer.ground.map._interaction_callbacks(type="click", coordinates=(0.0, 0.0))
    assert "<b>Expected a click inside the outline, got latitude 0.0000" in explorer.message.value
    explorer.button.click()
    assert "Expected a cell with features, got none at row 0, column 0." in explorer.message.value
    assert explorer.ground.layers["Likeness"].url == before and explorer.cell is None


def test_static_picture_follows_the_choice(embedding, image):
    explorer = SimilarityExplorer(embedding, image("s2"))
    assert "row 3, column 4" in describe(explorer.figure())
    explorer.choose(1, 2)
    assert "row 1, column 2" in describe(explorer.figure())


def test_refusals_in_words(embedding):
    with pytest.raises(SceneError, match=r"^Expected an embedding as DataArray \(feature, y, x\), got ndarray\."):
        SimilarityExplorer(embedding.values)
    with pytest.raises(SceneError, match=r"^Expected like=image with a CRS"):
        SimilarityExplorer(embedding.drop_vars("spatial_ref"))
