"""Token grids and expert maps show what they were given."""

import numpy as np

from skysense_nb.views import choices_figure, describe, token_grids_figure


def test_lines_stand_between_tokens():
    pictures = {"hr": np.ones((16, 16, 3)), "s1": np.ones((4, 4, 3))}
    figure = token_grids_figure(pictures, {"hr": [(4, 4, 8), (2, 2, 16)], "s1": [(1, 1, 8), (1, 1, 16)]}, 80.0)
    lines = [len(ax.lines) for ax in figure.axes]
    assert lines == [6, 2, 0, 0]
    assert sorted({line.get_ydata()[0] for line in figure.axes[0].lines[:3]}) == [20, 40, 60]
    assert figure.axes[1].get_title() == "hr, stage 2: 2 × 2 tokens\nof 40 m, 16 wide"
    assert describe(figure).endswith("hr 4 × 4, 2 × 2; s1 1 × 1, 1 × 1.")


def test_each_expert_has_its_colour_and_invalid_dates_are_grey():
    figure = choices_figure({"a": np.array([[0, 1], [-1, 1]])}, count=2)
    image = figure.axes[0].images[0]
    colours = image.cmap(image.norm(np.array([-1, 0, 1])))
    assert len({tuple(colour) for colour in colours}) == 3
    assert np.allclose(colours[0][:3], 0xDD / 255)
    assert describe(figure) == "Chosen experts. a: expert 2 has 67%."
    objects = choices_figure({"a": np.array([[0]])}, count=1, word="object")
    assert [text.get_text() for text in objects.axes[0].get_legend().get_texts()] == ["object 1"]
