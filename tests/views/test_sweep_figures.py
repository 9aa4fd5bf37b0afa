"""Runs of a sweep: every one a dot, means by hand."""

import numpy as np
import pandas as pd

from skysense_nb.views import describe
from skysense_nb.views.sweep_figures import sweep_figure

RUNS = pd.DataFrame(
    {
        "preset": ["small", "large"] * 4,
        "steps": [1, 1, 2, 2] * 2,
        "miou": [0.1, 0.2, 0.3, 0.4, 0.3, 0.4, 0.5, np.nan],
    }
)


def test_means_of_numbers_are_joined_and_groups_are_apart():
    ax = sweep_figure(RUNS, "steps", {"miou": "mIoU"}, ["preset"]).axes[0]
    small, large = ax.lines
    assert small.get_xdata().tolist() == [1, 2]
    assert np.allclose(small.get_ydata(), [0.2, 0.4]) and np.allclose(large.get_ydata(), [0.3, 0.4])
    assert small.get_color() != large.get_color() and small.get_linestyle() != large.get_linestyle()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["preset small", "preset large"]
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == len(RUNS)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("steps", "mIoU")


def test_names_lie_side_by_side_unjoined():
    figure = sweep_figure(RUNS, "preset", {"miou": "mIoU", "steps": "steps"})
    ax, (means,) = figure.axes[0], figure.axes[0].lines
    assert [label.get_text() for label in ax.get_xticklabels()] == ["small", "large"]
    assert means.get_xdata().tolist() == [0, 1] and means.get_linestyle() == "None"
    assert np.allclose(means.get_ydata(), [0.3, 1 / 3])
    assert "mIoU, mean: 0.3, 0.333" in describe(figure)


def test_none_is_a_place_and_a_group_like_others():
    runs = pd.DataFrame(
        {"limit": [None, 2.0, None, 2.0], "flag": [True, True, None, None], "miou": [0.1, 0.2, 0.3, 0.4]}
    )
    ax = sweep_figure(runs, "limit", {"miou": "mIoU"}, ["flag"]).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["None", "2.0"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["flag True", "flag None"]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0.1, 0.2], [0.3, 0.4]]
    assert sum(len(dots.get_offsets()) for dots in ax.collections) == len(runs)
