"""A head learned from few labelled cells: right, honest, and the same whatever the order."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skysense_nb.errors import SampleError
from skysense_nb.tasks.few_clicks import Click, FewClickHead, HeldOut, suggest

ROWS, COLUMNS, DEPTH = 16, 24, 10


@pytest.fixture
def stripes():
    """Three vertical stripes of eight columns, each with a direction of its own and some noise."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 8)[None].repeat(ROWS, 0)
    directions = rng.normal(size=(3, DEPTH))
    return truth, directions[truth].transpose(2, 0, 1) + rng.normal(0, 0.1, (DEPTH, ROWS, COLUMNS))


def drawn(truth, count, seed=0) -> list[Click]:
    """So many clicks of each class at random cells, rightly labelled."""
    rng = np.random.default_rng(seed)
    cells = [rng.permutation(np.argwhere(truth == label))[:count] for label in np.unique(truth)]
    return [Click(int(row), int(column), label) for label, some in enumerate(cells) for row, column in some]


def test_two_clicks_a_class_name_every_cell_of_separable_features(stripes):
    truth, features = stripes
    belief = FewClickHead(features, 3).probabilities(drawn(truth, 2))
    assert (belief.argmax(0) == truth).all()
    np.testing.assert_allclose(belief.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_span_of_the_clicks_loses_nothing_against_all_features(stripes, classes):
    truth, features = stripes
    features = features + np.random.default_rng(1).normal(0, 2, features.shape)
    clicks = [click for click in drawn(truth, 3) if click.label < classes]
    cells = features.reshape(DEPTH, -1).T
    cells = (cells - cells.mean(0)) / cells.std(0) / DEPTH**0.5
    chosen = cells[[click.row * COLUMNS + click.column for click in clicks]]
    whole = LogisticRegression(C=10.0, class_weight="balanced", tol=1e-8, max_iter=5000)
    wanted = whole.fit(chosen, [click.label for click in clicks]).predict_proba(cells)
    found = FewClickHead(features, classes).probabilities(clicks).reshape(classes, -1).T
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_order_and_scale_do_not_matter(stripes):
    truth, features = stripes
    clicks = drawn(truth, 4)
    first = FewClickHead(features, 3).probabilities(clicks)
    np.testing.assert_array_equal(FewClickHead(features, 3).probabilities(clicks[::-1]), first)
    scale = np.arange(1, DEPTH + 1)[:, None, None]
    np.testing.assert_allclose(FewClickHead(5 - 100 * features * scale, 3).probabilities(clicks), first, atol=1e-3)


def test_repeating_features_changes_nothing(stripes):
    """The regularisation suits any width."""
    truth, features = stripes
    clicks = drawn(truth, 2)
    wide = FewClickHead(np.concatenate([features] * 5), 3).probabilities(clicks)
    np.testing.assert_allclose(wide, FewClickHead(features, 3).probabilities(clicks), atol=1e-3)


def test_a_class_clicked_often_does_not_drown_the_other():
    """Features that tell nothing: with classes that weigh alike both stay about as likely."""
    features = np.zeros((1, 20, 20))
    features[0, 0, 0] = 1.0  # one odd cell; all others are the same to the head
    clicks = [Click(5, column, 0) for column in range(15)] + [Click(9, 9, 1)]
    belief = FewClickHead(features, 2).probabilities(clicks)
    assert 0.4 < belief[1, 10, 10] < 0.6


def test_held_out_clicks_teach_nothing_and_are_scored(stripes):
    truth, features = stripes
    head, clicks = FewClickHead(features, 3), drawn(truth, 3)
    kept = [Click(0, 0, 2, True), Click(15, 1, 0, True), Click(3, 20, 2, True)]  # the first has a wrong label
    np.testing.assert_array_equal(head.probabilities([*kept, *clicks]), head.probabilities(clicks))
    assert head.held_out([*kept, *clicks]) == HeldOut(2, 3)
    assert head.held_out([*kept, *clicks]).accuracy == pytest.approx(2 / 3)
    assert head.held_out(clicks) is None and head.held_out(kept) is None


def test_cross_validation_is_right_for_separable_features_and_by_chance_for_random_labels(stripes):
    truth, features = stripes
    head = FewClickHead(features, 3)
    assert head.cross_validated(drawn(truth, 10)) == HeldOut(30, 30)
    rng = np.random.default_rng(3)
    cells = rng.permutation(ROWS * COLUMNS)[:240]
    noise = FewClickHead(rng.normal(size=(DEPTH, ROWS, COLUMNS)), 3)
    found = noise.cross_validated([Click(int(n) // COLUMNS, int(n) % COLUMNS, int(rng.integers(3))) for n in cells])
    assert found.count == 240 and abs(found.accuracy - 1 / 3) < 0.1


def test_cross_validation_never_scores_a_cell_whose_neighbour_was_trained_on():
    """Random features, alike in pairs of cells: who trains on a neighbour is always right, who does not guesses."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 32, 32)).repeat(2, 1).repeat(2, 2)  # pairs of alike cells, 64 × 64
    pairs = rng.permutation(32 * 32)[:60]
    clicks = []
    for label, pair in zip(rng.integers(0, 2, 60).tolist(), pairs.tolist(), strict=True):
        row, column = 2 * (pair // 32), 2 * (pair % 32)
        clicks += [Click(row, column, label), Click(row + 1, column + 1, label)]
    head = FewClickHead(features, 2)
    assert (head.probabilities(clicks).argmax(0)[[c.row for c in clicks], [c.column for c in clicks]]
            == [c.label for c in clicks]).all()  # fmt: skip
    assert head.cross_validated(clicks).accuracy < 0.7


def test_no_score_where_there_is_nothing_to_score(stripes):
    truth, features = stripes
    head = FewClickHead(features, 3)
    assert head.cross_validated([]) is None
    assert head.cross_validated([Click(0, 0, 0), Click(0, 8, 0)]) is None
    assert head.cross_validated(drawn(truth, 1)) is None
    one_twice = [Click(0, 0, 0), Click(15, 7, 0), Click(8, 12, 1)]
    assert head.cross_validated(one_twice) is None
    in_one_block = [Click(0, 0, 0), Click(15, 7, 0), Click(8, 12, 1), Click(9, 13, 1)]
    assert head.cross_validated(in_one_block) is None


def test_cells_without_features_stay_empty(stripes):
    truth, features = stripes
    features[:, 3, 4] = np.nan
    head = FewClickHead(features, 4)
    belief = head.probabilities([Click(0, 0, 0), Click(0, 20, 2)])
    assert np.isnan(belief[:, 3, 4]).all() and np.isfinite(belief).all(0).sum() == truth.size - 1
    assert (belief[[1, 3]][:, 0] == 0).all()  # classes without a click
    with pytest.raises(SampleError, match="got none at row 3, column 4"):
        head.probabilities([Click(3, 4, 0), Click(0, 20, 2)])


def test_a_feature_that_is_constant_is_passed_over(stripes):
    truth, features = stripes
    clicks = drawn(truth, 2)
    constant = np.concatenate([features, np.full((1, ROWS, COLUMNS), 7.0)])
    assert np.isfinite(FewClickHead(constant, 3).probabilities(clicks)).all()


@pytest.mark.parametrize(
    ("clicks", "words"),
    [
        ([Click(0, 0, 0), Click(1, 1, 0)], "two classes or more, got of 1"),
        ([Click(0, 0, 0), Click(16, 1, 1)], "rows 0–15, columns 0–23, classes 0–2, got row 16"),
        ([Click(0, 0, 0), Click(1, 1, 3)], "class 3"),
    ],
)
def test_refusals_in_words(stripes, clicks, words):
    with pytest.raises(SampleError, match=words):
        FewClickHead(stripes[1], 3).probabilities(clicks)


def test_features_of_one_cell_are_refused():
    with pytest.raises(SampleError, match=r"features \(D, h, w\), got shape \(3, 4\)"):
        FewClickHead(np.zeros((3, 4)), 2)
    with pytest.raises(SampleError, match="two cells with features, got 0"):
        FewClickHead(np.full((3, 4, 4), np.nan), 2)


def test_the_suggestion_lies_on_the_border():
    """One feature grows from left to right; its middle is where two classes meet."""
    features = np.linspace(-1, 1, 21)[None, None].repeat(15, 1)
    clicks = [Click(7, 0, 0), Click(7, 20, 1)]
    belief = FewClickHead(features, 2).probabilities(clicks)
    assert suggest(belief, clicks)[1] == 10
    row, column = suggest(belief, [*clicks, Click(0, 10, 1), Click(14, 10, 1)], away=2)
    assert column == 10 and 3 <= row <= 11


def test_the_suggestion_keeps_its_distance_and_knows_when_nothing_is_left():
    belief = np.full((2, 5, 9), 0.5)
    belief[:, :, 8] = [[0.9], [0.1]]
    belief[:, 0, 0] = np.nan
    assert suggest(belief) == (0, 1)
    assert suggest(belief, [Click(2, 3, 0)], away=4) == (0, 8)
    with pytest.raises(SampleError, match="a cell away from all clicks"):
        suggest(belief, [Click(2, 4, 0)], away=4)


def test_the_margin_is_that_of_the_two_best_of_many():
    belief = np.array([[0.5, 0.4], [0.48, 0.2], [0.02, 0.4]])[:, None]  # entropy would choose the second cell too
    assert suggest(belief) == (0, 1)
    assert suggest(np.array([[0.5, 0.45], [0.49, 0.3], [0.01, 0.25]])[:, None]) == (0, 0)  # entropy would not
