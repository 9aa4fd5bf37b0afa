"""Curves of a run: smoothing by hand, limits where they belong."""

import numpy as np

from skysense_nb.views import Chart, describe, training_figure
from skysense_nb.views.training_figures import smoothed


def test_smoothing_is_the_weighted_mean_of_all_that_came_before():
    values, weight = [5.0, 1.0, np.nan, 4.0, np.inf, 2.0], 0.7
    for number, result in enumerate(smoothed(values, weight)):
        if not np.isfinite(values[number]):
            assert np.isnan(result)
            continue
        past = [value for value in values[: number + 1] if np.isfinite(value)]
        weights = weight ** np.arange(len(past))[::-1]
        assert np.isclose(result, np.average(past, weights=weights))
    assert smoothed([3.0, 1.0], 0).tolist() == [3.0, 1.0]


def test_curves_are_drawn_pale_and_strong_and_differ_in_line():
    charts = {"loss": Chart({"a": ([1, 2], [4.0, 2.0]), "b": ([1, 2], [1.0, 1.0])})}
    lines = training_figure(charts, smoothing=0.5).axes[0].lines
    assert [line.get_ydata().tolist() for line in lines[:2]] == [[4.0, 2.0], smoothed([4.0, 2.0], 0.5).tolist()]
    assert lines[0].get_alpha() < 1 and lines[1].get_linestyle() != lines[3].get_linestyle()


def test_limits_and_dots():
    charts = {
        "rank": Chart({"hr": ([5], [9.0])}, limit=2.0, limit_words="below: collapse"),
        "probe": Chart({"score": ([1, 9], [0.25, 0.5])}, dots=True),
    }
    figure = training_figure(charts, smoothing=0.9)
    rank, probe = figure.axes
    assert rank.lines[-1].get_ydata() == [2.0, 2.0] and rank.texts[0].get_text() == "below: collapse"
    assert rank.get_ylim()[0] == 0
    (line,) = probe.lines
    assert line.get_ydata().tolist() == [0.25, 0.5] and line.get_marker() == "o"
    assert describe(figure) == "Curves of a run. rank, hr: 9 to 9; probe, score: 0.25 to 0.5."


def test_a_schedule_is_drawn_as_it_is():
    lines = training_figure({"rate": Chart({"a": ([1, 2], [4.0, 2.0])}, exact=True)}, smoothing=0.5).axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[4.0, 2.0]]
