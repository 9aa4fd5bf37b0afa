"""Figures of what happens inside a model."""

import numpy as np

from skysense_nb.views import attention_figure, describe, spread_figure, stages_figure


def test_stages_name_their_sizes():
    rng = np.random.default_rng(0)
    figure = stages_figure([rng.normal(size=(8, 16, 16)), rng.normal(size=(16, 8, 4))], ["fine", "coarse"])
    assert [ax.get_title() for ax in figure.axes] == ["fine\n8 numbers × 16 × 16", "coarse\n16 numbers × 8 × 4"]
    assert "fine, coarse" in describe(figure)


def test_attention_is_drawn_at_its_day_and_names_the_most_read():
    read = np.array([[0.1, 0.2, 0.5, 0.0], [0.1, 0.4, 0.3, 0.0]])
    figure = attention_figure(read, [("hr", 0), ("s2", 0), ("s2", 1), ("s1", 0)], [10, 50, 180, 300])
    calendar = figure.axes[1]
    points = {line.get_label(): line.get_xydata().tolist() for line in calendar.lines}
    assert np.allclose(points["Sentinel-2 L2A"], [[50, 0.3], [180, 0.4]])
    dotted = next(line for line in calendar.lines if line.get_linestyle() == ":")
    assert np.isclose(dotted.get_ydata()[0], 0.8 / 3)  # even over the three dates that are read
    assert describe(figure).endswith("the most read is s2 on day 180 with 40.0%.")


def test_spread_shows_one_box_and_one_map_per_case():
    cases = {"no HR": np.full((4, 4), 0.5), "no S1": np.linspace(0, 1, 16).reshape(4, 4)}
    figure = spread_figure(cases, "shift")
    assert [ax.get_title() for ax in figure.axes[:2]] == list(cases)
    assert [label.get_text() for label in figure.axes[2].get_yticklabels()] == list(cases)
    assert describe(figure) == "shift; means: no HR 0.5, no S1 0.5."
    assert len(spread_figure(cases, "shift", maps=False).axes) == 1
