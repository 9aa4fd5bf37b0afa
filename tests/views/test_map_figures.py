"""Class maps and embeddings as figures, read back from the figure itself."""

import numpy as np
import pytest
import xarray as xr

from skysense_nb.errors import SceneError
from skysense_nb.views.features import pca_rgb, similarity
from skysense_nb.views.furniture import class_colours, describe
from skysense_nb.views.map_figures import features_figure, label_figure, similarity_figure


@pytest.fixture
def labels(image) -> xr.DataArray:
    grid = image("s2")[0, 0].drop_vars(("band", "time")).astype(int) * 0
    grid[:, 4:] = 1
    grid[0, :] = 255
    return grid


def test_classes_have_their_colour_and_share(labels):
    figure = label_figure(labels, ["water", "forest", "road"], colours=["#0000ff", "#00ff00", "#ff0000"])
    (ax,) = figure.axes
    picture = ax.images[0].get_array()
    assert picture[5, 2].tolist() == [0, 0, 1] and picture[5, 9].tolist() == [0, 1, 0]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["water · 22.9%", "forest · 68.8%", "not labelled · 8.3%"]
    assert "water · 22.9%" in describe(figure)


def test_default_colours_and_image_beside(labels, image):
    figure = label_figure(labels, ["water", "forest"], image=image("s2"))
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array()[5, 9], class_colours(2)[1])
    assert len(figure.axes) == 2
    with pytest.raises(SceneError, match="^Expected 2 colours, one per class, got 1"):
        label_figure(labels, ["water", "forest"], colours=["red"])


def test_features_figure_shows_components(embedding, image):
    embedding[:, 0, 0] = np.nan
    figure = features_figure(embedding, image("s1"))
    shown = figure.axes[1].images[0].get_array()
    expected = pca_rgb(embedding)
    np.testing.assert_array_equal(shown[1:], expected[1:])
    assert np.isfinite(shown).all()
    assert figure.axes[1].get_title() == "Features: 8 numbers per cell, 3 strongest directions"
    assert features_figure(embedding.values).axes[0].images[0].get_extent() == [0, 8, 0, 6]


def test_similarity_figure_marks_the_cell(embedding, image):
    figure = similarity_figure(embedding, 1, 6, image("s2"))
    ax = figure.axes[1]
    np.testing.assert_array_equal(ax.images[0].get_array(), similarity(embedding, 1, 6).values)
    for panel in figure.axes[:2]:
        (star,) = (line for line in panel.lines if line.get_marker() == "*")
        assert star.get_xdata()[0] == pytest.approx(130, rel=1e-3)
        assert star.get_ydata()[0] == pytest.approx(90, rel=1e-3)
    assert figure.axes[2].get_ylabel() == "cosine similarity"
    assert describe(figure).endswith("50% of the cells are above 0.9.")
