"""Work of many short steps that shows how far it is and can be stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Event, Thread
from typing import Any

import ipywidgets as widgets

from skysense_nb.explorers.application import Explorer


class LongWork:
    """A bar and a Stop button for steps that run beside the notebook, one after the other.

    What was done before Stop stays done. Errors of a step end the work and show in the explorer's message.

    Args:
        explorer: That the work belongs to.
        title: Left of the bar.

    Attributes:
        box: Bar and button, one row; hidden while nothing runs.
        running: Whether steps are being done.
    """

    def __init__(self, explorer: Explorer, title: str = "Working") -> None:
        self.explorer = explorer
        self.bar = widgets.IntProgress(description=title, style={"description_width": "initial"})
        self.button = widgets.Button(description="Stop", tooltip="End after the current step and keep what is done")
        self.button.on_click(lambda _: self.stop())
        self.box = widgets.HBox([self.bar, self.button], layout=widgets.Layout(display="none"))
        self.stopping, self.thread = Event(), None
        explorer.works.append(self)

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def start(self, items: Iterable[Any], step: Callable[[Any], Any], done: Callable[[int, bool], Any]) -> None:
        """Begins; returns at once. Work that still runs is stopped first.

        Args:
            items: One per step.
            step: Called with each item.
            done: Called at the end with the number of steps done and whether that is all of them.
        """
        self.stop()
        self.wait()
        items = list(items)
        self.stopping.clear()
        self.bar.max, self.bar.value, self.box.layout.display = max(len(items), 1), 0, ""
        self.thread = Thread(target=self.explorer.answer, args=(self.do, items, step, done), daemon=True)
        self.thread.start()

    def do(self, items: list, step: Callable[[Any], Any], done: Callable[[int, bool], Any]) -> None:
        """The steps, in the thread that called it."""
        try:
            for item in items:
                if self.stopping.is_set():
                    break
                step(item)
                self.bar.value += 1
            done(self.bar.value, self.bar.value == len(items))
        finally:
            self.box.layout.display = "none"

    def stop(self) -> None:
        """Asks the work to end after its current step."""
        self.stopping.set()

    def wait(self, seconds: float | None = None) -> None:
        """Returns when the work has ended, for scripts and tests."""
        if self.thread is not None:
            self.thread.join(seconds)
