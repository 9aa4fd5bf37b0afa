"""What all explorers have in common: a box in the page, a line that tells what happened, and an end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from skysense_nb.errors import SkySenseError

STYLE = """<style>
.skysense-explorer .widget-label, .skysense-explorer .widget-html-content { color: var(--jp-ui-font-color1, inherit); }
.skysense-explorer .skysense-failure { color: var(--jp-error-color1, #b00020); font-weight: bold; }
.skysense-explorer :focus-visible { outline: 2px solid var(--jp-brand-color1, #0072b2); outline-offset: 1px; }
.skysense-explorer img { max-width: 100%; height: auto; }
.skysense-explorer .leaflet-container img { max-width: none; }
</style>"""
"""Colours of JupyterLab's theme, light or dark, and a visible focus for readers who use the keyboard."""


class Explorer(ABC):
    """An application in the output of a cell. Every answer is a method that a test can call.

    A subclass builds its widgets, connects them with `when_changed`, `when_pressed` and `when_clicked`, and ends its
    constructor with `lay_out`. Whatever a connected method raises is written into the page: a mistake of the reader
    in one line, anything else with its name, and raised again.

    Attributes:
        box: Everything, in one widget.
        message: One line that says what was chosen, or what went wrong.
    """

    def __init__(self) -> None:
        self.message = widgets.HTML()
        self.busy = widgets.HTML(layout=widgets.Layout(width="6em"))
        self.box, self.deaf = widgets.VBox([]), False
        self.box.add_class("skysense-explorer")
        self.works: list[Any] = []  # every `LongWork` of the explorer, to end it on closing

    @abstractmethod
    def figure(self) -> Figure:
        """What the explorer shows now, as a static picture."""

    def lay_out(self, *rows: widgets.Widget) -> None:
        """Puts rows of widgets below each other, and the message below them."""
        self.box.children = (widgets.HTML(STYLE), *rows, widgets.HBox([self.busy, self.message]))

    def say(self, text: str) -> None:
        """Writes a line below the explorer; HTML is allowed, so escape what comes from a file."""
        self.message.value = f'<span role="status">{text}</span>'

    def answer(self, handler: Callable, *arguments: Any) -> Any:
        """Runs a handler, says "Working …" meanwhile, and shows in the page what it raises.

        Raises:
            Exception: Whatever is not a foreseeable mistake, after it was shown.
        """
        self.busy.value = '<span role="status">Working …</span>'
        try:
            return handler(*arguments)
        except SkySenseError as error:
            self.say(f"<b>{escape(str(error))}</b>")
        except Exception as error:
            self.say(f'<span class="skysense-failure">{escape(f"{type(error).__name__}: {error}")}</span>')
            raise
        finally:
            self.busy.value = ""

    def when_changed(self, widget: widgets.Widget, handler: Callable[[Any], Any]) -> None:
        """Calls `handler(value)` when a reader sets another value."""

        def changed(change: dict[str, Any]) -> None:
            if not self.deaf:
                self.answer(handler, change["new"])

        widget.observe(changed, names="value")

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Inside, a handler can set widgets without their handlers being called."""
        before, self.deaf = self.deaf, True
        try:
            yield
        finally:
            self.deaf = before

    def when_pressed(self, button: widgets.Button, handler: Callable[[], Any]) -> None:
        """Calls `handler()` when a button is pressed."""
        button.on_click(lambda _: self.answer(handler))

    def when_clicked(self, shown: Any, handler: Callable[[float, float], Any]) -> None:
        """Calls `handler(latitude, longitude)` in degrees for clicks on a map, which also reports mere movements."""

        def clicked(**event: Any) -> None:
            if event.get("type") == "click":
                self.answer(handler, *event["coordinates"])

        shown.on_interaction(clicked)

    def close(self) -> None:
        """Takes the explorer out of the page and frees what it holds; work that runs ends after its current step."""
        if not vars(self):
            return
        for work in self.works:
            work.stop()
            work.wait()
        for widget in reversed(list(family(self.box))):
            widget.close()
        vars(self).clear()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.box if vars(self) else "This explorer was closed.")


def family(widget: widgets.Widget) -> Any:
    """A widget, its children, and what its traits hold, each once, parents first."""
    seen, waiting = set(), [widget]
    while waiting:
        one = waiting.pop()
        if one.model_id in seen or one.model_id is None:
            continue
        seen.add(one.model_id)
        yield one
        for name in one.keys:
            held = getattr(one, name, None)
            held = held if isinstance(held, list | tuple) else [held]
            waiting += [each for each in held if isinstance(each, widgets.Widget)]
