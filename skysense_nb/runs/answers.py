"""Whether two answers to an exercise say the same, and what form an answer has."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
WORD = re.compile(r"[^\W\d_]+")
RELATIVE, ABSOLUTE = 1e-3, 1e-5
SHOWN_KEYS = 8


def plain(value: Any) -> Any:
    """A value as number, text, NumPy date, list, dict or NumPy array; other objects as the text they print as."""
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()  # whole numbers stay whole
    if hasattr(value, "to_dict") and hasattr(value, "index"):  # a table or a column of one
        value = value.to_dict()
    if hasattr(value, "values") and hasattr(value, "dims"):  # a DataArray
        value = value.values
    match value:
        case np.ndarray() | np.generic():
            return value if value.ndim else value[()] if is_time(value) else value.item()
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case set() | frozenset():
            return in_order([plain(each) for each in value])
        case bool() | int() | float() | str() | None:
            return value
    speaks = type(value).__str__ is not object.__str__ or type(value).__repr__ is not object.__repr__
    return str(value) if speaks and not hasattr(value, "savefig") else f"a {type(value).__name__}"


def in_order(values: list[Any]) -> list[Any]:
    """Elements of a set in an order that does not change with how it was filled."""
    try:
        return sorted(values)
    except (TypeError, ValueError):  # of several kinds
        return sorted(values, key=repr)


def is_time(value: Any) -> bool:
    """Whether a value is a date or time span of NumPy, or an array of them."""
    return isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "mM"


def alike(expected: Any, got: Any) -> bool:
    """Whether `got` says what `expected` says.

    Numbers may differ by a thousandth, by 0.00001 or by half a unit of the last digit where `expected` is rounded;
    whole numbers and dates may not. Texts may differ in spaces, capitals and one unit of the last digit of their
    numbers. The order of a set does not matter. Figures are compared by type.

    Example:
        >>> alike({"F1": 0.46}, {"F1": 0.4571}), alike([1, 2], (1, 3))
        (True, False)
    """
    expected, got = plain(expected), plain(got)
    if isinstance(expected, dict):
        paired = isinstance(got, dict) and expected.keys() == got.keys()
        return paired and all(alike(value, got[key]) for key, value in expected.items())
    if is_time(expected) or is_time(got):
        return same_times(expected, got)
    if isinstance(expected, str):
        return same_text(expected, str(got))
    if isinstance(expected, np.ndarray) or isinstance(got, np.ndarray):
        return same_array(expected, got)
    if isinstance(expected, list):
        return isinstance(got, list) and len(expected) == len(got) and all(map(alike, expected, got))
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return close(expected, got)
    return expected is got


def close(expected: float, got: float) -> bool:
    """Whether two numbers are one, see `alike`."""
    if expected == got or (math.isnan(expected) and math.isnan(got)):
        return True
    if isinstance(expected, int) or not (math.isfinite(expected) and math.isfinite(got)):
        return False
    return abs(expected - got) <= max(RELATIVE * abs(expected), ABSOLUTE, last_digit(repr(expected)) / 2)


def last_digit(number: str) -> float:
    """What one unit of the last digit of a written number is worth."""
    digits, _, power = number.lower().partition("e")
    return float(f"1e{int(power or 0) - len(digits.partition('.')[2])}")


def same_times(expected: Any, got: Any) -> bool:
    """Whether two are the same dates or time spans of NumPy, or one of them says so as text."""
    kind = (expected if is_time(expected) else got).dtype.kind
    try:
        pair = [np.asarray(each, dtype=f"{kind}8") for each in (expected, got)]
    except (TypeError, ValueError):  # one of them is something else
        return False
    return np.array_equal(*pair, equal_nan=True)


def same_array(expected: Any, got: Any) -> bool:
    """Whether two arrays, or an array and a list, have the same shape and numbers."""
    try:
        if np.asarray(expected).dtype.kind in "iub":
            return np.array_equal(expected, got)
        pair = [np.asarray(each, dtype=float) for each in (expected, got)]
    except (TypeError, ValueError):
        return np.array_equal(expected, got)
    return pair[0].shape == pair[1].shape and np.allclose(*pair[::-1], RELATIVE, ABSOLUTE, equal_nan=True)


def same_text(expected: str, got: str) -> bool:
    """Whether two texts have the same words and dates, and numbers that differ at most by rounding."""
    if outline(expected).casefold() != outline(got).casefold() or DATE.findall(expected) != DATE.findall(got):
        return False
    return all(map(same_number, NUMBER.findall(expected), NUMBER.findall(got)))


def same_number(expected: str, got: str) -> bool:
    """Whether two written numbers differ at most by rounding; ones too large to reckon with must be the same."""
    apart = abs(float(expected) - float(got))
    if not math.isfinite(apart):
        return expected.casefold() == got.casefold()
    return apart <= 1.01 * max(last_digit(expected), last_digit(got))


def outline(text: str) -> str:
    """A text with `#` for its numbers and single spaces."""
    return " ".join(NUMBER.sub("#", text).split())


def form(value: Any, known: str = "") -> str:
    """What kind of value this is, in words that give nothing away.

    Args:
        value: The answer.
        known: Text whose words may be repeated; others could be the answer itself.

    Example:
        >>> form({"F1": 0.46}, known="the F1"), form([3, 4])
        ("a dict with the keys 'F1', each a number", '2 values, each a whole number')
    """
    match plain(value):
        case str(text):
            shown = outline(text)
            return f"text like {shown!r}" if "#" in shown and len(shown) < 80 and told(shown, known) else "text"
        case dict(pairs):
            named = len(pairs) <= SHOWN_KEYS and all(told(str(key), known) for key in pairs)
            what = f"with the keys {', '.join(map(repr, pairs))}" if named else f"of {len(pairs)}"
            return f"a dict {what}, {forms(list(pairs.values()), known)}"
        case list(values):
            return f"{len(values)} value{'s' * (len(values) != 1)}, {forms(values, known)}"
        case np.ndarray() as array:
            return f"an array of shape {array.shape}"
        case np.datetime64() | np.timedelta64() as time:
            return "a date" if isinstance(time, np.datetime64) else "a time span"
        case bool() | None as literal:
            return "True or False" if literal is not None else "None"
        case int():
            return "a whole number"
    return "a number"


def forms(values: list[Any], known: str) -> str:
    """The forms of several values: one if they share it."""
    found = list(dict.fromkeys(form(value, known) for value in values))
    return f"each {found[0]}" if len(found) == 1 else ", then ".join(found[:4]) or "nothing in it"


def told(text: str, known: str) -> bool:
    """Whether every word of `text` occurs in `known`."""
    return set(WORD.findall(text)) <= set(WORD.findall(known))
