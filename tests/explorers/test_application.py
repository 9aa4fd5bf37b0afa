"""The base of all explorers: what a handler raises is seen, and closing leaves nothing behind."""

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.figure import Figure

from skysense_nb.errors import SceneError
from skysense_nb.explorers import Explorer, SimilarityExplorer
from skysense_nb.explorers.application import family


class Plain(Explorer):
    """One slider, one button; `then` is what they do."""

    def __init__(self, then):
        super().__init__()
        self.then = then
        self.slider, self.button = widgets.IntSlider(description="Number"), widgets.Button(description="Go")
        self.when_changed(self.slider, lambda value: self.then(value))
        self.when_pressed(self.button, lambda: self.then("pressed"))
        self.lay_out(widgets.HBox([self.slider, self.button]))
        self.say("Ready.")

    def figure(self):
        return Figure()


def raise_(error):
    raise error


def test_what_a_handler_returns_comes_back_and_the_message_stays():
    explorer = Plain(None)
    assert explorer.answer(lambda one, other: one + other, 2, 3) == 5
    assert explorer.message.value == '<span role="status">Ready.</span>' and explorer.busy.value == ""


def test_working_is_said_while_a_handler_runs():
    explorer, seen = Plain(None), []
    explorer.answer(lambda: seen.append(explorer.busy.value))
    assert seen == ['<span role="status">Working …</span>'] and explorer.busy.value == ""


def test_a_mistake_of_the_reader_is_one_line_and_goes_no_further():
    explorer = Plain(lambda _: raise_(SceneError.of("a <b>map</b>", "none", "Pass one.")))
    explorer.button.click()
    assert "<b>Expected a &lt;b&gt;map&lt;/b&gt;, got none. Pass one.</b>" in explorer.message.value
    assert explorer.busy.value == ""


def test_any_other_error_is_shown_and_raised_again():
    explorer = Plain(None)
    with pytest.raises(ZeroDivisionError):
        explorer.answer(lambda: 1 / 0)
    assert 'class="skysense-failure">ZeroDivisionError: division by zero<' in explorer.message.value
    assert explorer.busy.value == ""


def test_widgets_reach_their_handler_with_the_new_value():
    told = []
    explorer = Plain(told.append)
    explorer.slider.value = 7
    explorer.button.click()
    assert told == [7, "pressed"]


def test_clicks_on_a_map_reach_the_handler_and_movements_do_not():
    class Map:
        def on_interaction(self, callback):
            self.callback = callback

    told, shown = [], Map()
    explorer = Plain(None)
    explorer.when_clicked(shown, lambda lat, lon: told.append((lat, lon)))
    shown.callback(type="mousemove", coordinates=(1.0, 2.0))
    shown.callback(type="click", coordinates=(3.0, 4.0))
    assert told == [(3.0, 4.0)]


def test_family_is_every_widget_once_parents_first():
    leaf = widgets.Label("leaf")
    tree = widgets.VBox([widgets.HBox([leaf]), leaf])
    found = list(family(tree))
    assert found[0] is tree and sum(one is leaf for one in found) == 1
    assert leaf.layout in found and leaf.style in found


def test_closing_closes_every_widget_of_the_tree_and_the_layers_of_the_map(embedding, image):
    explorer = SimilarityExplorer(embedding, image("s2"))
    explorer.choose(1, 2)
    held = list(family(explorer.box))
    layers = [*explorer.ground.layers.values(), explorer.ground.marker, explorer.ground.map]
    assert all(layer in held for layer in layers)
    explorer.close()
    assert all(widget.comm is None for widget in held) and not vars(explorer)
    explorer.close()  # twice does no harm


def test_a_closed_explorer_says_so(capsys):
    explorer = Plain(None)
    explorer.close()
    explorer._ipython_display_()
    assert "This explorer was closed." in capsys.readouterr().out


def test_closing_one_leaves_the_other(embedding):
    one, other = SimilarityExplorer(embedding), SimilarityExplorer(embedding)
    one.close()
    assert np.isfinite(other.choose(0, 0)).all() and other.ground.map.comm is not None
