"""Acquisition dates: from counts to days on which the satellites pass, or the user's own list."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from skysense_nb.data.synthetic.clouds import REGION_M, SEEN_BELOW, cloudiness, density
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.data.synthetic.sheet import EVENTS
from skysense_nb.data.synthetic.window import Window
from skysense_nb.errors import SceneError

Dates = int | Sequence[object]

REVISIT_DAYS = {"s2": 5, "s1": 6}
TOO_CLOUDY = 0.35
FLIGHT_GAP_YEARS = 2


def resolve(name: str, dates: Dates, year: int, seed: int, window: Window) -> np.ndarray:
    """Dates of one sensor, ascending.

    Counts spread over a growing year like a catalogue search: January to December, south of the equator July to June.
    Those of Sentinel-2 fall, where possible, on days with less than 35 % cloud over the 20 km square around the middle
    of the window. Aerial images are two years apart, the last one in the summer of `year`.

    Args:
        name: `hr`, `s2` or `s1`.
        dates: How many, or the dates themselves.
        year: Calendar year for counts.
        seed: Seed of the world.
        window: The window.

    Raises:
        SceneError: No dates, dates that are none, or a year the world does not cover.
    """
    if not isinstance(dates, int | np.integer):
        return listed(name, dates)
    if not 0 < dates <= 365 // REVISIT_DAYS.get(name, 60):
        raise SceneError.of(f"1 to {365 // REVISIT_DAYS.get(name, 60)} dates of {name}", str(dates), "Ask for fewer.")
    first, last = (int(str(np.datetime64(int(day), "D"))[:4]) for day in EVENTS)
    if not first <= year < last:
        raise SceneError.of(f"a year in {first}–{last - 1}", str(year), "The world changes only in these years.")
    if name == "hr":
        return flights(int(dates), year, window)
    return passes(name, int(dates), year, seed, window)


def listed(name: str, dates: Sequence[object]) -> np.ndarray:
    """The user's own dates, sorted; several passes on one day are one."""
    try:
        found = np.unique(pd.DatetimeIndex(pd.to_datetime(list(dates))).to_numpy("datetime64[ns]"))
    except (ValueError, TypeError) as error:
        raise SceneError.of(
            f"dates of {name} such as '2023-06-01'", repr(dates), "Pass a count or a list of dates."
        ) from error
    if found.size == 0 or np.isnat(found).any():
        raise SceneError.of(
            f"at least one date of {name}", repr(list(dates)), "Leave the sensor out of modalities instead."
        )
    return found


def flights(count: int, year: int, window: Window) -> np.ndarray:
    """Summer days, one every second year up to `year`."""
    day = "01-12" if window.south else "06-20"
    years = year - FLIGHT_GAP_YEARS * np.arange(count)[::-1]
    return np.array([f"{one}-{day}T10:00:00" for one in years], "datetime64[ns]")


def passes(name: str, count: int, year: int, seed: int, window: Window) -> np.ndarray:
    """Satellite passes spread over a growing year."""
    step = REVISIT_DAYS[name]
    first = int(Dice.of(seed, name, window.zone).number("first pass", 0, step))
    start = np.datetime64(f"{year - 1}-07-01" if window.south else f"{year}-01-01").astype(int)
    days = start + first + step * np.arange((364 - first) // step + 1)
    chosen = []
    for index, group in enumerate(np.array_split(days, count)):
        group = np.roll(group, int(Dice.of(seed, name, window.zone, year, index).number("pick", 0, len(group))))
        chosen.append(fair(group, seed, window) if name == "s2" else group[0])
    clock = "10:30:00" if name == "s2" else "05:40:00"
    return np.array([f"{np.datetime64(int(day), 'D')}T{clock}" for day in sorted(chosen)], "datetime64[ns]")


def fair(days: np.ndarray, seed: int, window: Window) -> int:
    """The first of some days on which little of the region is under cloud, or the clearest of them."""
    corner = [np.floor(one / REGION_M) * REGION_M for one in window.center]
    steps = REGION_M * (np.arange(8) + 0.5) / 8
    x, y = np.meshgrid(corner[0] + steps, corner[1] + steps)
    climate = cloudiness(seed, window.zone, float(x[0, 0]), float(y[0, 0]))
    covered = []
    for day in days:
        covered.append(float((density(seed, window.zone, int(day), x, y, climate) > SEEN_BELOW).mean()))
        if covered[-1] < TOO_CLOUDY:
            return int(day)
    return int(days[int(np.argmin(covered))])
