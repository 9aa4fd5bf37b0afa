"""One place read with some of its sensors and dates: encoded once, then only fused, so a switch answers at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from skysense_nb.errors import SampleError
from skysense_nb.models.features import Features
from skysense_nb.models.multimodal import MultiModalModel, kept_form
from skysense_nb.models.samples import validity
from skysense_nb.runtime import evaluation_mode, explain_out_of_memory
from skysense_nb.sensors import SENSORS
from skysense_nb.tasks.evaluation import device_of, to_device
from skysense_nb.tasks.heads.head import Head
from skysense_nb.tasks.samples import sensor_of

Switches = Mapping[str, Collection[int]]
"""Per sensor that is on, the numbers of its dates that are on."""


@dataclass(frozen=True)
class Answer:
    """What a model, and perhaps a head, make of the sensors and dates that are on.

    Attributes:
        on: Per sensor the numbers of its dates.
        pooled: One vector of the place, D.
        cells: One vector per ground cell, D h w.
        prediction: Of the head, without the batch axis: `mask` and `mask_score` (y, x), or `label` and `label_score`
            (see `heads.head.Prediction`); empty without a head.
    """

    on: dict[str, tuple[int, ...]]
    pooled: np.ndarray
    cells: np.ndarray
    prediction: dict[str, np.ndarray]


class Switched:
    """Answers of one model for one place with any of its sensors and dates.

    Encoders read each date alone, so all are encoded once and switching only fuses anew. A model without fusion is
    run again. Modes of model and head stay as they are, nothing is recorded for gradients, and threads may ask at the
    same time.

    Args:
        model: Of this library.
        sample: One place (batch of one), as `scene.sky.to_sample` gives it; with `mask` the predicted classes lie on
            its grid, else on that of the finest sensor.
        head: `CellHead`, `UPerHead`, `LabelHead` or another that predicts `mask` or `label`.

    Raises:
        SampleError: More than one place, or what the model refuses.
        EnvironmentProblem: Not enough memory.

    Example:
        >>> from skysense_nb import load
        >>> model, _ = load("skysense-tiny", weights=None)
        >>> sample = {"s1": torch.rand(1, 2, 2, 8, 8), "s1_day": torch.tensor([[10, 100]])}
        >>> Switched(model, sample).answer({"s1": [1]}).cells.shape
        (128, 8, 8)
    """

    def __init__(self, model: MultiModalModel, sample: dict[str, Tensor], head: Head | None = None) -> None:
        self.model, self.head, self.lock = model, head, Lock()
        self.sample = {key: value for key, value in sample.items() if sensor_of(key) in (None, *model.modalities)}
        names = [name for name in SENSORS if name in self.sample]
        counts = {name: len(self.sample[name]) for name in names}
        if any(count != 1 for count in counts.values()):
            raise SampleError.of("one place, a batch of one", f"{counts}", "Cut one out: value[number : number + 1].")
        fix = "Cut the scene in half or more."
        with explain_out_of_memory(fix), evaluation_mode(model), torch.inference_mode():
            self.features = model.features(self.sample)
        self.usable = {name: np.flatnonzero(validity(self.sample, name)[0].cpu()).tolist() for name in names}
        self.whole = self.answer(self.usable)

    def answer(self, on: Switches) -> Answer:
        """What is made of the sensors and dates that are on.

        Raises:
            SampleError: Nothing that could be read is on.
        """
        used = {name: tuple(sorted(set(on.get(name, ())) & set(usable))) for name, usable in self.usable.items()}
        used = {name: dates for name, dates in used.items() if dates}
        if not used:
            raise SampleError.of("at least one date of one sensor", "all off", "Switch one on.")
        with self.lock, evaluation_mode(self.model, self.head), torch.inference_mode():
            features = self.part(used)
            prediction = {} if self.head is None else self.predicted(features, used)
            cells = features.richest[0].float().cpu().numpy()
            return Answer(used, features.pooled[0].float().cpu().numpy(), cells, prediction)

    def part(self, used: dict[str, tuple[int, ...]]) -> Features:
        """Features as if only these dates had come."""
        whole, model = self.features, self.model
        if used == {name: tuple(dates) for name, dates in self.usable.items() if dates}:
            return whole
        if whole.tokens is None:
            return kept_form(model).features(self.only(used))
        seen = [date in used.get(name, ()) for name, date in whole.token_dates]
        rows = whole.tokens[0][:, torch.tensor(seen)]  # N T D, what is off is not there
        fused = kept_form(model).fusion(rows).T.unflatten(1, whole.fused.shape[-2:])[None]  # 1 D h w
        place = self.sample["lonlat"].to(model.device) if model.context is not None else None
        context = None if place is None else model.context(fused, place)
        there = [number for number, (name, _) in enumerate(whole.token_dates) if name in used]
        return Features(
            maps={name: [alone(level, used[name]) for level in whole.maps[name]] for name in used},
            tokens=whole.tokens[:, :, there],
            token_dates=[whole.token_dates[number] for number in there],
            valid=torch.tensor([[seen[number] for number in there]], device=whole.valid.device),
            fused=fused,
            context=context,
            pooled=(fused if context is None else context).mean((-2, -1)),
        )

    def only(self, used: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The sample without sensors that are off; dates that are off are marked invalid."""
        part = {key: value for key, value in self.sample.items() if sensor_of(key) in (None, *used)}
        for name, dates in used.items():
            valid = torch.zeros(self.sample[name].shape[:2], dtype=torch.bool)
            valid[0, list(dates)] = True
            part[f"{name}_valid"] = valid
        return part

    def predicted(self, features: Features, used: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """What the head says, without the batch axis."""
        finest = next(self.sample[name] for name in SENSORS if name in self.sample)
        batch = {"size": tuple(finest.shape[-2:])} | self.only(used)
        batch, features = (to_device(one, device_of(self.head)) for one in (batch, features))
        told = self.head.predict(self.head(features, batch), batch)
        if not {"mask", "label"} & told.keys():
            got = f"{type(self.head).__name__} with {', '.join(told)}"
            raise SampleError.of("a head that predicts a mask or a label", got, "Use CellHead, UPerHead or LabelHead.")
        return {name: value[0].cpu().numpy() for name, value in told.items()}


def alone(level: Tensor, dates: tuple[int, ...]) -> Tensor:
    """A map 1 T C h w with zeros where a date is off."""
    kept = torch.zeros_like(level)
    kept[:, list(dates)] = level[:, list(dates)]
    return kept


def turned(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One minus the cosine of vectors along the first axis: 0 for the same direction, 1 for a right angle.

    Example:
        >>> turned(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
        array(1.)
    """
    one, other = np.asarray(one, "float64"), np.asarray(other, "float64")
    lengths = np.linalg.norm(one, axis=0) * np.linalg.norm(other, axis=0)
    return np.asarray(np.clip(1 - (one * other).sum(0) / np.maximum(lengths, 1e-30), 0, 2))
