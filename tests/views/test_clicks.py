"""The click handler as a plain function, and the same through the map's own callback."""

import numpy as np
import pytest
from pyproj import Transformer

from skysense_nb.errors import SceneError
from skysense_nb.views.clicks import cell_at, similarity_map
from skysense_nb.views.features import similarity
from skysense_nb.views.furniture import describe


def place_of(row, column) -> tuple[float, float]:
    """Latitude and longitude of the middle of a 20 m cell."""
    x, y = 600_000 + 20 * (column + 0.5), 5_300_000 - 20 * (row + 0.5)
    return Transformer.from_crs(32633, 4326, always_xy=True).transform(x, y)[::-1]


def test_every_cell_is_found_at_its_place(embedding):
    for row in range(6):
        for column in range(8):
            assert cell_at(embedding, *place_of(row, column)) == (row, column)
    for row, column in ((-0.6, 2), (5.6, 2), (2, -0.6), (2, 7.6)):
        with pytest.raises(SceneError, match="^Expected a click inside the outline, got latitude"):
            cell_at(embedding, *place_of(row, column))


def test_click_returns_and_draws_the_likeness(embedding, image):
    explorer = similarity_map(embedding, image("s2"))
    before = explorer.layer.url
    likeness = explorer.on_click(*place_of(4, 6))
    np.testing.assert_array_equal(likeness, similarity(embedding, 4, 6))
    assert explorer.cell == (4, 6) and (explorer.row.value, explorer.column.value) == (4, 6)
    assert explorer.layer.url != before and explorer.layer in explorer.map.layers
    lat, lon = np.mean(explorer.marker.locations, axis=0)
    assert cell_at(embedding, lat, lon) == (4, 6)
    assert explorer.message.value.startswith("Row 4, column 6.")
    assert "50% of the place" in explorer.message.value


def test_the_map_passes_clicks_but_not_movements(embedding):
    explorer = similarity_map(embedding)
    explorer.map._interaction_callbacks(type="mousemove", coordinates=place_of(1, 1))
    assert explorer.cell is None
    explorer.map._interaction_callbacks(type="click", coordinates=place_of(1, 1))
    assert explorer.cell == (1, 1)


def test_keyboard_route_does_the_same(embedding):
    explorer = similarity_map(embedding)
    explorer.row.value, explorer.column.value = 3, 2
    explorer.button.click()
    assert explorer.cell == (3, 2) and explorer.message.value.startswith("Row 3, column 2.")


def test_a_refusal_is_shown_not_swallowed(embedding):
    embedding[:, 0, 0] = np.nan
    explorer = similarity_map(embedding)
    before = explorer.layer.url
    explorer.map._interaction_callbacks(type="click", coordinates=(0.0, 0.0))
    assert explorer.message.value.startswith("<b>Expected a click inside the outline, got latitude 0.0000")
    explorer.button.click()
    assert "Expected a cell with features, got none at row 0, column 0." in explorer.message.value
    assert explorer.layer.url == before and explorer.cell is None


def test_static_picture_follows_the_choice(embedding, image):
    explorer = similarity_map(embedding, image("s2"))
    assert "row 3, column 4" in describe(explorer.figure())
    explorer.choose(1, 2)
    assert "row 1, column 2" in describe(explorer.figure())


def test_refusals_in_words(embedding):
    with pytest.raises(SceneError, match=r"^Expected an embedding as DataArray \(feature, y, x\), got ndarray\."):
        similarity_map(embedding.values)
    with pytest.raises(SceneError, match=r"^Expected like=image with a CRS"):
        similarity_map(embedding.drop_vars("spatial_ref"))
