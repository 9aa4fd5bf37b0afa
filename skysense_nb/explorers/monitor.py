"""The curves of a run while it trains, or after: losses, signs of collapse, probes, speed."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from threading import Lock

import ipywidgets as widgets
import numpy as np
import yaml
from matplotlib.figure import Figure

from skysense_nb.errors import ParameterError, RunError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.long_work import LongWork
from skysense_nb.explorers.picture import Picture
from skysense_nb.pretraining.collapse import Collapse
from skysense_nb.training.history import RunHistory
from skysense_nb.views import Chart, training_figure

COLLAPSE = Collapse()
INFORMATION, RANK = COLLAPSE.information_below, COLLAPSE.rank_below
WATCHED = ("entropy", "entropy_of_mean", "information", "effective_rank")
"""Last parts of the names of the collapse monitor."""

READS = 100_000
"""Following ends after so many: days."""


class TrainingMonitor(Explorer):
    """Reads the history of a run of `pretrain` or `fine_tune`, also while another process writes it.

    Args:
        folder: Of the run.
        steps: Of the whole run, to know its end; by default what `recipe.yaml` says, which `pretrain` leaves there.
        every: Seconds between two looks while following.

    Attributes:
        history: What was read, see `RunHistory`.

    Raises:
        ParameterError: Not a positive number of steps or seconds.

    Example:
        >>> TrainingMonitor("runs/first")         # doctest: +SKIP
    """

    def __init__(self, folder: str | Path, *, steps: int | None = None, every: float = 5.0) -> None:
        super().__init__()
        if every <= 0 or (steps is not None and steps < 1):
            got = f"steps={steps}, every={every}"
            raise ParameterError.of("steps and seconds above 0", got, "Leave them out for the usual ones.")
        self.folder, self.given_steps, self.every = Path(folder), steps, every
        self.history, self.lock, self.drawn = RunHistory(folder), Lock(), None
        self.recipe: dict = {}
        self.terms = widgets.SelectMultiple(description="Loss terms", rows=6, layout=widgets.Layout(width="340px"))
        self.smoothing = widgets.FloatSlider(
            0.6, min=0, max=0.99, step=0.01, description="Smoothing", continuous_update=False
        )
        self.refresh_button = widgets.Button(description="Refresh", tooltip="Read what was written since")
        self.follow_button = widgets.Button(description="Follow", tooltip=f"Read every {every:g} seconds until Stop")
        self.work, self.picture = LongWork(self, "Following"), Picture()
        self.when_changed(self.terms, lambda _: self.draw())
        self.when_changed(self.smoothing, lambda _: self.draw())
        self.when_pressed(self.refresh_button, self.refresh)
        self.when_pressed(self.follow_button, self.follow)
        buttons = widgets.HBox([self.refresh_button, self.follow_button, self.work.box])
        self.lay_out(widgets.HBox([self.terms, widgets.VBox([self.smoothing, buttons])]), self.picture)
        self.answer(self.refresh)  # a run that has not begun is told in the page, and may be followed

    def refresh(self) -> str:
        """Reads what was written since and draws it; what it says.

        Raises:
            RunError: No history in the folder, or nothing in it yet.
        """
        with self.lock:
            rows = self.history.refresh()
            path = self.folder / "recipe.yaml"
            self.recipe = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
            self.offer(sorted((name for name in self.history.names() if kind_of(name) == "loss"), key="loss".__ne__))
            state, words = (len(rows), self.history.read_to), self.words()
            if self.drawn != state:
                self.draw()
                self.drawn = state
        self.say(words)
        return words

    def offer(self, names: list[str]) -> None:
        """Puts the terms of the run up for choice; keeps what was chosen."""
        if tuple(self.terms.options) == tuple(names):
            return
        chosen = [name for name in self.terms.value if name in names] or names[:1]
        with self.unheard():
            self.terms.options = names
            self.terms.value = chosen

    def draw(self) -> None:
        """Draws the curves as the slider and the choice of terms want them."""
        self.picture.draw(self.figure())

    def follow(self) -> LongWork:
        """Begins to read every few seconds, until Stop or the end of the run; a run may begin meanwhile."""

        def step(_: int) -> None:
            try:
                self.refresh()
            except RunError as error:
                self.say(f"Waiting. {escape(str(error))}")
            if self.steps:  # the bar shows how far the run is, not how often it was looked at
                self.work.bar.max, self.work.bar.value = self.steps, max(self.last_step - 1, 0)
            if self.ended:
                self.work.stop()
            self.work.stopping.wait(self.every)

        def done(count: int, complete: bool) -> None:
            told = "the run has ended" if self.ended else "stopped"
            self.say(f"Followed, {told}. {'' if self.history.table.empty else self.words()}")

        self.work.start(range(READS), step, done)
        return self.work

    @property
    def steps(self) -> int | None:
        """Of the whole run, where it is known."""
        return self.given_steps or self.recipe.get("steps")

    @property
    def last_step(self) -> int:
        """Last step that was read."""
        return int(self.history.table["step"].max()) if len(self.history.table) else 0

    @property
    def ended(self) -> bool:
        """Whether all steps are done, as far as is known."""
        return self.steps is not None and self.last_step >= self.steps

    def words(self) -> str:
        """Where the run stands, in a few sentences."""
        known, pace = self.steps, self.history.seconds_per_step().iloc[-20:].median()
        words = [f"Step {self.last_step}{f' of {known}' if known else ''}."]
        loss = self.history.curve("loss")
        if len(loss) and not np.isfinite(loss).all():
            first = loss.index[~np.isfinite(loss)][0]
            words.append(f"<b>The loss is no number since step {first}: lower the learning rate.</b>")
        elif len(loss):
            words.append(f"Loss {loss.iloc[-1]:.4g}, lowest {loss.min():.4g} in step {loss.idxmin()}.")
        if np.isfinite(pace):
            words.append(f"{pace:.2g} s per step.")
        idle = time.time() - self.history.path.stat().st_mtime
        if not self.ended and idle > max(60, 10 * np.nan_to_num(pace)):
            words.append(f"Nothing was written for {duration(idle)}.")
        elif known and not self.ended and np.isfinite(pace):
            words.append(f"About {duration((known - self.last_step) * pace)} to go.")
        return " ".join([*words, *self.collapse()])

    def collapse(self) -> list[str]:
        """Whether features or targets have collapsed, in words; nothing for runs that do not watch it."""
        last = {name: self.history.curve(name).iloc[-1] for name in self.history.names() if kind_of(name) == "collapse"}
        told = {name: value for name, value in last.items() if name.endswith("/information")}
        ranks = {name: value for name, value in last.items() if name.endswith("/effective_rank")}
        warm = 2 * self.recipe.get("warmup", 0)
        if not (told or ranks):
            return []
        if self.last_step <= warm:
            return [f"Collapse is judged after step {warm}: untrained features are all alike."]
        words = []
        for name, value in told.items():
            if not value >= INFORMATION:
                same = last.get(name.replace("information", "entropy"), 0) <= 1 - INFORMATION
                what = "all places get the same prototypes" if same else "targets name no prototype"
                words.append(f"<b>Collapse ({escape(name.removesuffix('/information'))}): {what}.</b>")
        for name, value in ranks.items():
            if not value >= RANK:
                words.append(f"<b>Collapse ({escape(name.split('/')[0])}): features lie in {value:.1f} directions.</b>")
        return words[:3] or ["No sign of collapse."]

    def charts(self) -> dict[str, Chart]:
        """What the panels show now; those without values are left out."""
        series = {name: self.history.curve(name) for name in self.history.names()}
        curves = {name: (one.index.to_numpy(), one.to_numpy()) for name, one in series.items()}
        lowest: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for source in dict.fromkeys(name.split("/")[0] for name in series if name.endswith("/information")):
            levels = [
                curves[name] for name in curves if name.startswith(f"{source}/") and name.endswith("/information")
            ]
            steps = np.unique(np.concatenate([steps for steps, _ in levels]))
            stacked = [np.interp(steps, *level) for level in levels]
            lowest[source] = steps, np.min(stacked, axis=0)
        ranks = {name.split("/")[0]: one for name, one in curves.items() if name.endswith("/effective_rank")}
        probes = {name.removeprefix("probe/"): one for name, one in curves.items() if kind_of(name) == "probe"}
        pace = self.history.seconds_per_step()
        charts = {
            "loss": Chart({name: curves[name] for name in self.terms.value if name in curves}),
            "information of targets (lowest level)": Chart(lowest, INFORMATION, "below: collapse"),
            "effective rank of features": Chart(ranks, RANK, "below: collapse"),
            "probes and scores, 0–1": Chart(probes, dots=True),
            "seconds per step": Chart({"pace": (pace.index.to_numpy(), pace.to_numpy())} if len(pace) else {}),
            "learning rate": Chart({name: curves[name] for name in ("learning_rate",) if name in curves}, exact=True),
        }
        return {quantity: chart for quantity, chart in charts.items() if chart.curves}

    def figure(self) -> Figure:
        """The curves as a static picture.

        Raises:
            RunError: Nothing was read yet.
        """
        if self.history.table.empty:
            raise RunError.of(f"rows in {self.history.path}", "none", "Call refresh() when the run has begun.")
        return training_figure(self.charts(), self.smoothing.value)


def kind_of(name: str) -> str:
    """What a quantity of a history is: loss, collapse, probe or other.

    Example:
        >>> kind_of("fused/pixel"), kind_of("fused/pixel/information"), kind_of("score")
        ('loss', 'collapse', 'probe')
    """
    first, last = name.split("/")[0], name.split("/")[-1]
    if first in ("probe", "score"):
        return "probe" if first == "probe" or name == "score" else "other"
    if first in ("prototypes", "learning_rate"):
        return "other"
    return "collapse" if last in WATCHED else "loss"


def duration(seconds: float) -> str:
    """Words for a time.

    Example:
        >>> duration(42), duration(600), duration(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
