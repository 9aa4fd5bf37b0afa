"""Principal components and cosines against other formulas."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from skysense_nb.errors import SceneError
from skysense_nb.views.features import pca_rgb, similarity


def test_components_agree_with_the_eigenvectors_of_the_covariance():
    values = np.random.default_rng(0).normal(size=(5, 9, 7)) * np.array([9, 5, 3, 1, 0.5])[:, None, None]
    colours = pca_rgb(values).reshape(-1, 3)
    cells = values.reshape(5, -1).T
    _, vectors = np.linalg.eigh(np.cov(cells.T))
    scores = (cells - cells.mean(0)) @ vectors[:, ::-1][:, :3]
    for channel in range(3):
        inside = (colours[:, channel] > 0) & (colours[:, channel] < 1)
        relation = np.corrcoef(colours[inside, channel], scores[inside, channel])[0, 1]
        assert abs(relation) == pytest.approx(1, abs=1e-9)


def test_sign_and_order_are_fixed(embedding):
    first = pca_rgb(embedding)
    np.testing.assert_array_equal(first, pca_rgb(embedding.copy()))
    shuffled = np.random.default_rng(1).permutation(embedding.shape[2])
    np.testing.assert_allclose(pca_rgb(embedding.values[:, :, shuffled]), first[:, shuffled], atol=1e-9)


def test_two_kinds_of_ground_get_two_colours(embedding):
    colours = pca_rgb(embedding)
    left, right = colours[:, :4, 0], colours[:, 4:, 0]
    assert min(left.min(), right.min()) < 0.1 and abs(left.mean() - right.mean()) > 0.8


def test_fit_on_makes_pictures_comparable(embedding):
    """The same cell has the same colour in a cut of the place, if both are fitted on the whole."""
    whole = pca_rgb(embedding)
    np.testing.assert_allclose(pca_rgb(embedding[:, :3, 2:5], fit_on=embedding), whole[:3, 2:5], atol=1e-12)


def test_missing_cells_stay_missing(embedding):
    embedding[3, 1, 2] = np.nan
    colours, likeness = pca_rgb(embedding), similarity(embedding, 0, 0)
    assert np.isnan(colours[1, 2]).all() and np.isnan(colours).sum() == 3
    assert np.isnan(likeness[1, 2]) and int(np.isnan(likeness).sum()) == 1


def test_few_features_still_make_a_picture():
    colours = pca_rgb(np.random.default_rng(0).normal(size=(2, 4, 4)))
    assert (colours[..., 2] == 0.5).all() and np.ptp(colours[..., 0]) == 1


def test_similarity_agrees_with_scikit_learn(embedding):
    likeness = similarity(embedding, 2, 5)
    cells = embedding.values.reshape(8, -1).T
    expected = cosine_similarity(cells[2 * 8 + 5][None], cells).reshape(6, 8)
    np.testing.assert_allclose(likeness.values, expected, atol=1e-12)
    assert float(likeness[2, 5]) == pytest.approx(1) and likeness.rio.crs == embedding.rio.crs
    np.testing.assert_array_equal(likeness.x, embedding.x)


def test_similarity_ignores_length(embedding):
    scaled = embedding * np.linspace(0.1, 9, 8)
    np.testing.assert_allclose(similarity(scaled, 0, 0), similarity(embedding, 0, 0), atol=1e-12)


def test_refusals_in_words(embedding):
    with pytest.raises(SceneError, match=r"^Expected a cell in rows 0–5, columns 0–7, got row 6, column 0\."):
        similarity(embedding, 6, 0)
    embedding[:, 0, 0] = 0
    with pytest.raises(SceneError, match=r"^Expected a cell with features, got none at row 0, column 0\."):
        similarity(embedding, 0, 0)
    with pytest.raises(SceneError, match=r"^Expected features \(D, h, w\), got shape \(1, 8, 6, 8\)\."):
        similarity(embedding.values[None], 0, 0)
    with pytest.raises(SceneError, match=r"^Expected features of one width \(8\), got 4 to fit on\."):
        pca_rgb(embedding, fit_on=embedding[:4])
    with pytest.raises(SceneError, match=r"^Expected at least two cells with features, got 0\."):
        pca_rgb(embedding * np.nan)
