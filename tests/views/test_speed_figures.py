"""A roofline shows limits and points where they are."""

import numpy as np
import pandas as pd

from skysense_nb.views import describe
from skysense_nb.views.speed_figures import roofline_figure

COLUMNS = ["part", "form", "precision", "flop_per_byte", "gflop_per_s"]
POINTS = pd.DataFrame(
    [
        ("head", "plain form", "fp32", 20.0, 15.0),
        ("fusion", "plain form", "fp32", 100.0, 80.0),
        ("head", "inference form", "fp32", 20.0, 300.0),
        ("fusion", "inference form", "bf16", 200.0, 350.0),
    ],
    columns=COLUMNS,
)
ROOFS = {"fp32": 200.0, "bf16": 400.0}


def test_levels_begin_where_memory_no_longer_limits():
    ax = roofline_figure(POINTS, ROOFS, memory_gb_per_s=10.0).axes[0]
    slope, fp32, bf16 = (line.get_xydata() for line in ax.lines[:3])
    assert np.allclose(slope[:, 1], 10 * slope[:, 0]) and slope[-1].tolist() == [40.0, 400.0]
    assert fp32[0].tolist() == [20.0, 200.0] and bf16[0].tolist() == [40.0, 400.0]
    assert fp32[1, 1] == 200 and bf16[1, 1] == 400
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_every_point_is_drawn_and_forms_and_parts_are_told_apart():
    ax = roofline_figure(POINTS, ROOFS, 10.0).axes[0]
    drawn = {tuple(dot.get_offsets()[0]): dot for dot in ax.collections}
    places = list(zip(POINTS["flop_per_byte"], POINTS["gflop_per_s"], strict=True))
    assert set(drawn) == set(places)
    colours = [tuple(drawn[place].get_facecolor()[0]) for place in places]
    assert colours[0] == colours[1] and len(set(colours)) == 3
    shapes = [drawn[place].get_paths()[0] for place in places]
    assert len(shapes[0]) == len(shapes[2]) and shapes[0].vertices.shape != shapes[1].vertices.shape
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["plain form, fp32", "inference form, fp32", "inference form, bf16", "head", "fusion"]


def test_the_description_has_limits_and_rates():
    text = describe(roofline_figure(POINTS, ROOFS, 10.0))
    assert "fp32 200 GFLOP/s" in text and "memory 10 GB/s" in text
    assert "fusion, plain form, fp32: 80" in text and "fusion, inference form, bf16: 350" in text
