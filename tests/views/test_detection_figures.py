"""Precision and recall stand where they belong, told apart by form; classes without a share have no dot."""

import numpy as np

from skysense_nb.views import PredictedBoxes, describe, detection_figure

NONE = np.zeros((0, 4, 2))


def test_each_class_has_its_row():
    one = PredictedBoxes(np.ones((8, 8, 3)), NONE, NONE, NONE)
    figure = detection_figure("harbour", one, {"ship": (1.0, 0.5), "dam": (float("nan"), 0.0)})
    chart = figure.axes[1]
    assert [tick.get_text() for tick in chart.get_yticklabels()] == ["ship", "dam"]
    dots = [line for line in chart.lines if line.get_linestyle() == "None"]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in dots[:2]] == [(1.0, 0), (0.5, 0)]
    assert dots[0].get_marker() != dots[1].get_marker()
    assert "harbour: 0 found, 0 missed, 0 made up." in describe(figure)
    assert "ship: precision 1.00, recall 0.50; dam: precision none, recall 0.00" in describe(figure)


def test_without_classes_the_picture_is_drawn():
    assert "no boxes" in describe(detection_figure("a", PredictedBoxes(np.ones((8, 8, 3)), NONE, NONE, NONE), {}))
