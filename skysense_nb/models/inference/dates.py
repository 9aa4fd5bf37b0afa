"""Dates that are the same are computed once: padding, repeated images, and what they count in the fusion."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor


def distinct(images: Tensor) -> tuple[Tensor, list[int]]:
    """The images (n …) without repetitions, and for each of the n its place among them.

    Example:
        >>> once, places = distinct(torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        >>> len(once), places
        (2, [0, 1, 0])
    """
    first: list[int] = []
    alike, places = defaultdict(list), []
    for number, total in enumerate(images.flatten(1).sum(1).tolist()):
        same = next((place for place in alike[total] if torch.equal(images[first[place]], images[number])), None)
        if same is None:
            same = len(first)
            first.append(number)
            alike[total].append(same)
        places.append(same)
    return (images if len(first) == len(images) else images[first]), places


@dataclass(frozen=True)
class Group:
    """Samples that have equally many different dates of each sensor, each counting the same.

    Attributes:
        samples: Their numbers.
        rows: Per sensor which encoded image each date shows, G T.
        days: Per sensor the day of each date, G T.
        counts: Of each of the T dates of all sensors.
    """

    samples: list[int]
    rows: dict[str, Tensor]
    days: dict[str, Tensor]
    counts: tuple[int, ...]

    def bias(self, dtype: torch.dtype, device: torch.device) -> Tensor | None:
        """What is added to every query's logits, 1 1 1 1+T: a date that is there c times weighs c times as much."""
        if max(self.counts) == 1:
            return None
        return torch.tensor((1, *self.counts), device=device).log().to(dtype)[None, None, None]


def grouped(
    places: dict[str, list[int]], valid: dict[str, Tensor], days: dict[str, Tensor], device: torch.device
) -> list[Group]:
    """Samples by what they have.

    Args:
        places: Per sensor the encoded image of each valid date of all samples in turn.
        valid: Per sensor, B T.
        days: Per sensor whose dates are told, B T.
        device: Where the result is needed.
    """
    alike: dict[tuple, list[tuple[int, dict[str, dict]]]] = defaultdict(list)
    rest = {name: iter(own) for name, own in places.items()}
    seen = {name: own.tolist() for name, own in valid.items()}
    told = {name: days[name].tolist() if name in days else None for name in valid}
    for sample in range(len(next(iter(seen.values())))):
        dates: dict[str, dict[tuple[int, int], int]] = {}
        for name, own in seen.items():
            dates[name] = defaultdict(int)
            for date in (date for date, there in enumerate(own[sample]) if there):
                dates[name][next(rest[name]), told[name][sample][date] if told[name] else 0] += 1
        alike[tuple((name, *own.values()) for name, own in dates.items() if own)].append((sample, dates))
    groups = []
    for key, members in alike.items():
        names = [name for name, *_ in key]
        table = {name: torch.tensor([list(dates[name]) for _, dates in members], device=device) for name in names}
        groups.append(
            Group(
                [sample for sample, _ in members],
                {name: own[..., 0] for name, own in table.items()},
                {name: own[..., 1] for name, own in table.items() if name in days},
                tuple(count for _, *counts in key for count in counts),
            )
        )
    return groups
