"""How a report looks: cards and totals laid out by templates/gallery.html.j2, in the colours of templates/gallery.css.

Everything is escaped by the template, because titles, errors and names of numbers come from notebooks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from skysense_nb.runs.environments import compare_environments
from skysense_nb.runs.sparkline import sparkline

if TYPE_CHECKING:
    from jinja2 import Template

    from skysense_nb.runs.gallery import Card, RunSet

LONGEST = 600
"""Letters of a text from a notebook that are shown; the run's own page has all of them."""


@dataclass(frozen=True)
class Measure:
    """One number of a run.

    Attributes:
        name: Of the number.
        text: Its value with unit.
        line: Over earlier runs, as SVG; empty without any.
    """

    name: str
    text: str
    line: str


@dataclass(frozen=True)
class Setting:
    """One parameter of a run; `default` is None where it has its default value."""

    name: str
    value: str
    default: str | None


def page(name: str, cards: Sequence[Card], found: RunSet) -> str:
    """The whole report as HTML.

    Args:
        name: Of the run set.
        cards: In the order they are shown.
        found: What could not become a card.
    """
    records = {card.folder.name: card.record for card in cards}
    same, different = compare_environments(records)
    return template().render(
        name=name,
        cards=cards,
        tally=Counter(card.verdict for card in cards),
        when=between([card.record.started for card in cards]),
        wall_s=sum(card.record.wall_s for card in cards),
        longest_s=max((card.record.wall_s for card in cards), default=0.0),
        unfinished=[path.name for path in found.unfinished],
        unreadable={path.name: problem for path, problem in found.unreadable.items()},
        same=same,
        different=different,
    )


@cache
def template() -> Template:
    """The page to fill in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("skysense_nb.runs", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for shown in (duration, measures, settings, brief, quote):
        environment.filters[shown.__name__] = shown
    return environment.get_template("gallery.html.j2")


def measures(card: Card) -> list[Measure]:
    """Every number the run reported, its time and its memory, each beside those of earlier runs."""
    runs = [*card.earlier, card.record]
    found = [trace(name, [run.metrics.get(name) for run in runs], "{:.4g}") for name in card.record.metrics]
    found.append(trace("time, s", [run.wall_s for run in runs], "{:.1f}"))
    for where in card.record.peak_memory_mib:
        found.append(trace(f"memory of the {where}, MiB", [run.peak_memory_mib.get(where) for run in runs], "{:,.0f}"))
    return found


def trace(name: str, values: Sequence[float | None], form: str) -> Measure:
    """A number and its way there; runs that did not report it are left out."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return Measure(name, "–" if values[-1] is None else form.format(values[-1]), sparkline(known))


def settings(card: Card) -> list[Setting]:
    """Parameters of a run, those that differ from the default first."""
    found = []
    for name, value in card.record.parameters.items():
        default = card.defaults.get(name, value)
        found.append(Setting(name, repr(value), None if value == default else repr(default)))
    return sorted(found, key=lambda one: one.default is None)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(4.26), duration(187), duration(7300)
        ('4.3 s', '3 min 07 s', '2 h 01 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def brief(text: Any, longest: int = LONGEST) -> str:
    """A text that is cut where it gets long."""
    text = str(text)
    return text if len(text) <= longest else f"{text[:longest]} …"


def between(moments: Sequence[datetime]) -> str:
    """First to last day of some moments, empty for none."""
    days = [f"{moment.day} {moment:%B %Y}" for moment in sorted(moments, key=datetime.timestamp)]
    return " to ".join(dict.fromkeys([*days[:1], *days[-1:]]))
