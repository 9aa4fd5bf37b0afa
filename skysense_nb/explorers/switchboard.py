"""Switch sensors and dates off and on: what a model says then, and how far its features move."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from torch import Tensor

from skysense_nb.data.sample import to_sample
from skysense_nb.errors import SampleError
from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.long_work import LongWork
from skysense_nb.explorers.picture import Picture
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.sensors import SENSORS
from skysense_nb.tasks.heads.head import Head
from skysense_nb.tasks.switched import Answer, Switched, turned
from skysense_nb.views import answers_figure, dots_figure, pca_rgb
from skysense_nb.views.map_figures import as_colours, fill_gaps

EVERYTHING, NOW, PLACE = "everything on", "as switched", "features of the place"


class ModalitySwitchboard(Explorer):
    """One place, one model, a switch for every sensor and every date; the answer beside that of everything on.

    The place is encoded once, when the explorer is made (seconds for large scenes); a switch then only fuses anew.

    Args:
        model: Of `load`.
        place: A scene, or a sample of one place with `hr`, `s2`, `s1` such as `TaskSamples(...)[0]`.
        head: Predicts classes of pixels (`CellHead`, `UPerHead`) or of the place (`LabelHead`); without one the
            features are shown as colours, in the directions of everything.
        classes: Name to colour, or names alone, in the order of ids; by default the head's, and a palette.
        image: Colours (y, x, 3) or an image with bands, shown beside the answers.

    Attributes:
        whole: The answer with everything on.
        now: The answer last shown.
        subsets: Per combination of sensors how far it is from everything, after `compare`.

    Raises:
        SampleError: No scene or sample, several places, other names than the head has, or what the model refuses.

    Example:
        >>> ModalitySwitchboard(model, scene)         # doctest: +SKIP
    """

    def __init__(
        self,
        model: MultiModalModel,
        place: xr.DataTree | Mapping[str, Any],
        head: Head | None = None,
        *,
        classes: Mapping[str, Any] | Sequence[str] | None = None,
        image: np.ndarray | xr.DataArray | None = None,
    ) -> None:
        super().__init__()
        self.image, self.names, self.colours = image, *names_of(head, classes)
        self.switched = Switched(model, sample_of(model, place), head)
        self.whole = self.now = self.switched.whole
        self.subsets: dict[str, dict[str, float]] = {}

        self.sensors, self.dates, rows = {}, {}, []
        for name, usable in self.switched.usable.items():
            texts = dates_of(name, place)
            self.sensors[name] = switch(SENSORS[name].title, bool(usable), layout={"width": "190px"})
            self.dates[name] = [
                switch(text if number in usable else f"{text}, not read", number in usable)
                for number, text in enumerate(texts)
            ]
            days = widgets.Box(self.dates[name], layout=widgets.Layout(flex_flow="row wrap"))
            rows.append(widgets.HBox([self.sensors[name], days]))
            for one in (self.sensors[name], *self.dates[name]):
                self.when_changed(one, lambda _: self.show())
        self.all_button = widgets.Button(description="Everything on", tooltip="Switch on all that can be read")
        self.compare_button = widgets.Button(
            description="All combinations", tooltip="How far each combination of sensors, with all its dates, is away"
        )
        self.work, self.picture, self.chart = LongWork(self, "Combinations"), Picture(), Picture()
        self.when_pressed(self.all_button, self.switch)
        self.when_pressed(self.compare_button, self.compare)
        buttons = widgets.HBox([self.all_button, self.compare_button, self.work.box])
        self.lay_out(*rows, buttons, self.picture, self.chart)
        self.show()

    def state(self) -> dict[str, tuple[int, ...]]:
        """What the switches say: per sensor that is on, the numbers of its dates that are on."""
        return {
            name: tuple(number for number, one in enumerate(self.dates[name]) if one.value)
            for name, sensor in self.sensors.items()
            if sensor.value
        }

    def switch(
        self, sensors: Collection[str] | None = None, dates: Mapping[str, Collection[int]] | None = None
    ) -> Answer:
        """Sets switches as a reader would, and answers.

        Args:
            sensors: That are on; all without it.
            dates: Per sensor the numbers of its dates that are on, from 0; all of those sensors that are not named.

        Raises:
            SampleError: A sensor that is not there, or nothing that could be read is on.
        """
        dates = dict(dates or {})
        asked = {*(self.sensors if sensors is None else sensors), *dates}
        if unknown := sorted(asked - set(self.sensors)):
            raise SampleError.of(f"sensors among {', '.join(self.sensors)}", ", ".join(unknown), "Name those.")
        with self.unheard():
            for name, usable in self.switched.usable.items():
                self.sensors[name].value = bool(usable) and (sensors is None or name in sensors)
                for number, one in enumerate(self.dates[name]):
                    one.value = number in usable and number in dates.get(name, usable)
        return self.show()

    def show(self) -> Answer:
        """Answers what the switches say, beside the answer with everything on.

        Raises:
            SampleError: All is off; what was shown last stays.
        """
        for name, sensor in self.sensors.items():
            usable = self.switched.usable[name]
            sensor.disabled = not usable
            for number, one in enumerate(self.dates[name]):
                one.disabled = number not in usable or not sensor.value
        self.now = self.switched.answer(self.state())
        self.picture.draw(self.figure())
        read = [f"{name} ({len(dates)} of {len(self.dates[name])} dates)" for name, dates in self.now.on.items()]
        words = [f"Read: {', '.join(read)}.", f"The place moved by {turned(self.now.pooled, self.whole.pooled):.3f}"]
        cells = turned(self.now.cells, self.whole.cells)
        words += [f"(1 − cosine), its cells by {cells.min():.3f} to {cells.max():.3f}.", *self.said()]
        self.say(" ".join(words))
        return self.now

    def said(self) -> list[str]:
        """What the head says, in words."""
        one, all_on = self.now.prediction, self.whole.prediction
        if "mask" in one:
            same, sure = (one["mask"] == all_on["mask"]).mean(), (one["mask_score"].mean(), all_on["mask_score"].mean())
            words = [
                f"{same:.0%} of the map has the class of everything; mean confidence {sure[0]:.2f} ({sure[1]:.2f})."
            ]
            truth = np.asarray(self.switched.sample.get("mask", np.full(one["mask"].shape, 255)))
            if (known := truth.reshape(one["mask"].shape) < len(self.names)).any():
                right = [(said["mask"] == truth.reshape(known.shape))[known].mean() for said in (one, all_on)]
                words.append(f"Right: {right[0]:.0%} ({right[1]:.0%}).")
            return words
        if "label" in one:
            best = [int(np.argmax(said["label_score"])) for said in (one, all_on)]
            scores = one["label_score"][best[0]], all_on["label_score"][best[1]]
            return [f"Likeliest: {self.names[best[0]]} {scores[0]:.2f} ({self.names[best[1]]} {scores[1]:.2f})."]
        return []

    def compare(self) -> LongWork:
        """Begins to answer every combination of sensors with all its dates; can be stopped."""
        there = [name for name, usable in self.switched.usable.items() if usable]
        parts = [part for count in range(1, len(there) + 1) for part in combinations(there, count)]

        def step(part: tuple[str, ...]) -> None:
            answer = self.switched.answer({name: self.switched.usable[name] for name in part})
            told = {PLACE: float(turned(answer.pooled, self.whole.pooled))}
            told["features of a cell, mean"] = float(turned(answer.cells, self.whole.cells).mean())
            if "mask" in answer.prediction:
                told["share of other classes"] = float(
                    (answer.prediction["mask"] != self.whole.prediction["mask"]).mean()
                )
            self.subsets[" + ".join(part)] = told

        def done(count: int, complete: bool) -> None:
            if self.subsets:
                self.chart.draw(dots_figure(self.subsets, "distance to everything on: 1 − cosine, or share"))
            stopped = "" if complete else ", stopped"
            near = min(list(self.subsets)[: len(parts) - 1], key=lambda part: self.subsets[part][PLACE], default="none")
            self.say(f"{count} of {len(parts)} combinations{stopped}; nearest to everything: {near}.")

        self.subsets = {}
        self.work.start(parts, step, done)
        return self.work

    def figure(self) -> Figure:
        """The answer last shown beside that of everything, as a static picture."""
        answers, bars = {EVERYTHING: self.whole, NOW: self.now}, None
        pictures = {} if self.image is None else {"image": fill_gaps(as_colours(self.image))}
        if "mask" in self.now.prediction:
            pictures |= {title: one.prediction["mask"] for title, one in answers.items()}
            pictures["confidence as switched"] = self.now.prediction["mask_score"]
        else:
            pictures |= {title: pca_rgb(one.cells, fit_on=self.whole.cells) for title, one in answers.items()}
        if "label" in self.now.prediction:
            bars = {title: one.prediction["label_score"] for title, one in answers.items()}
        moved = turned(self.now.cells, self.whole.cells)
        figure = answers_figure(pictures, moved, names=self.names, colours=self.colours, bars=bars)
        read = ", ".join(f"{name} with dates {list(dates)}" for name, dates in self.now.on.items())
        figure.set_label(f"{figure.get_label()} As switched: {read}.")
        return figure


def switch(text: str, on: bool, **options: Any) -> widgets.Checkbox:
    """A box to tick."""
    layout = {"width": "auto", "margin": "2px 12px 2px 0", **options.pop("layout", {})}
    return widgets.Checkbox(value=on, description=text, indent=False, tooltip=text, layout=layout, **options)


def names_of(head: Head | None, classes: Mapping[str, Any] | Sequence[str] | None) -> tuple[list[str], list | None]:
    """Names and, where they are given, colours of the head's classes."""
    names = [] if head is None else list(head.classes)
    if classes is not None and len(classes) != len(names):
        fix = "Pass one per class of the head, or none."
        raise SampleError.of(f"{len(names)} classes, as the head has", f"{len(classes)}", fix)
    return list(classes or names), list(classes.values()) if isinstance(classes, Mapping) else None


def sample_of(model: MultiModalModel, place: xr.DataTree | Mapping[str, Any]) -> dict[str, Tensor]:
    """What the model reads of a scene; a sample as it is."""
    if isinstance(place, xr.DataTree):
        return to_sample(place.sky.only(model.modalities), hr_bands=model.channels("hr"))
    if not isinstance(place, Mapping):
        raise SampleError.of(
            "a scene, or a sample with hr, s2 or s1", type(place).__name__, "Take scene.sky.to_sample."
        )
    return dict(place)


def dates_of(name: str, place: xr.DataTree | Mapping[str, Any]) -> list[str]:
    """Words for each date of a sensor: when, and how cloudy it is where that is known."""
    if not isinstance(place, xr.DataTree):
        if f"{name}_day" not in place:
            return [f"date {number}" for number in range(1, place[name].shape[1] + 1)]
        days = np.asarray(place[f"{name}_day"]).ravel().tolist()
        return [f"{date(2021, 1, 1) + timedelta(days=day):%d %B}" for day in days]
    times = [f"{time:%Y-%m-%d}" for time in pd.DatetimeIndex(place[name]["time"].values)]
    if "clear" not in place[name]:
        return times
    cloudy = 1 - place[name]["clear"].mean(("y", "x")).values
    return [f"{time}, {share:.0%} cloudy" for time, share in zip(times, cloudy, strict=True)]
