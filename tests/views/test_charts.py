"""Charts show the numbers they were given."""

import numpy as np

from skysense_nb.views import bars_figure, curves_figure, describe, dots_figure, share_figure


def test_shares_are_written_into_their_cells():
    tables = {"block 8": np.array([[0.25, 0.75], [np.nan, np.nan]]), "block 9": np.array([[0.5, 0.5], [1.0, 0.0]])}
    figure = share_figure(tables, ["water", "road"], ["1", "2"], "share of tokens")
    written = [[text.get_text() for text in ax.texts] for ax in figure.axes[:2]]
    assert written == [["25", "75"], ["50", "50", "100", "0"]]
    assert {ax.images[0].get_clim() for ax in figure.axes[:2]} == {(0.0, 1.0)}
    assert describe(figure) == "share of tokens for block 8, block 9; highest 100%."


def test_curves_keep_their_values_and_differ_in_look():
    curves = {f"run {number}": [number, number + 1.0] for number in range(20)}
    ax = curves_figure({"loss": curves}, "step", x=[10, 20]).axes[0]
    assert [line.get_xydata().tolist() for line in ax.lines][3] == [[10.0, 3.0], [20.0, 4.0]]
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 20
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")


def test_bars_have_the_height_of_their_number():
    figure = bars_figure({"stage 3": {"a": 0.25, "b": 0.5}, "stage 4": {"a": 1.0, "b": 2.0}}, "score", limit=0.5)
    ax = figure.axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.25, 1.0, 0.5, 2.0]
    middles = sorted(bar.get_x() + bar.get_width() / 2 for bar in ax.patches)
    assert np.allclose(middles, [-0.2, 0.2, 0.8, 1.2])
    assert describe(figure) == "score. stage 3: a 0.25, b 0.5; stage 4: a 1, b 2."


def test_dots_stand_at_their_values_and_may_be_hollow_or_missing():
    rows = {"iSAID": {"v1": 70.0, "v2": 72.0}, "DIOR": {"v2": 78.0}}
    figure = dots_figure(rows, "score (%)", hollow={("iSAID", "v1")})
    (ax,) = figure.axes
    dots = [one for one in ax.collections if len(one.get_offsets())]
    assert [tuple(one.get_offsets()[0]) for one in dots] == [(70.0, 0.0), (72.0, 0.0), (78.0, 1.0)]
    faces = [one.get_facecolor()[0].tolist() for one in dots]
    assert faces[0] == [1, 1, 1, 1] and faces[1] == faces[2] != faces[0]
    assert "DIOR: v2 78" in describe(figure)
