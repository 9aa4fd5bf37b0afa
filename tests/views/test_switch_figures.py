"""Answers side by side: what is drawn is what was given."""

import numpy as np
from matplotlib.colors import to_rgb

from skysense_nb.views import answers_figure, describe


def test_ids_become_colours_shares_stay_grey_and_colours_stay():
    ids, share, colours = np.array([[0, 1], [1, 2]]), np.full((2, 2), 0.5), np.zeros((2, 2, 3))
    pictures = {"all": ids, "sure": share, "image": colours}
    figure = answers_figure(pictures, np.eye(2), names=["a", "b"], colours=["red", "blue"])
    drawn = {ax.get_title(): ax.images[0] for ax in figure.axes if ax.images and ax.get_title()}
    painted = drawn["all"].get_array()
    assert tuple(painted[0, 0]) == to_rgb("red") and tuple(painted[0, 1]) == to_rgb("blue")
    assert np.ptp(painted[1, 1]) == 0  # no class of that id: grey
    assert drawn["sure"].get_clim() == (0, 1) and drawn["image"].get_array().shape == (2, 2, 3)
    assert drawn["how far cells moved"].get_clim() == (0, 1)
    assert [entry.get_text() for entry in figure.legends[0].get_texts()] == ["a", "b"]
    assert describe(figure) == "Side by side: all, sure, image. Cells moved by 0.500 (1 − cosine) on average."


def test_bars_show_the_likeliest_classes_and_differ_in_hatching():
    names = [f"class {number}" for number in range(12)]
    scores = {"all": np.linspace(0, 0.9, 12), "part": np.linspace(0.5, 0, 12)}
    figure = answers_figure({"all": np.zeros((2, 2, 3))}, np.zeros((2, 2)), names=names, bars=scores)
    ax = figure.axes[2]
    shown = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(shown) == 8 and shown[0] == "class 11" and ax.containers[0][0].get_width() == 0.9
    assert ax.containers[0][0].get_hatch() != ax.containers[1][0].get_hatch()
    assert "all: class 11 0.90; part: class 0 0.50." in describe(figure)
