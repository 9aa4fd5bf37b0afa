"""Self-checks of exercises: red until the answer says what the solution says.

A copy that `exercises.py` writes carries its solutions packed into one folded cell, as programs that leave their
result in `answer_1`, `answer_2` … A check runs such a program on the names of the notebook, which are as before
afterwards, and compares the two results (`answers.py`): numbers and arrays with tolerance, figures by type. An exercise
whose solution trains for long, draws at random or changes what it reads is not solved again: its answer must have the
keys the solution names, and finite numbers; the rest is for the reader to compare.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from skysense_nb.errors import ParameterError
from skysense_nb.runs.answers import alike, form, plain


class NotRightYet(AssertionError):
    """What a red check raises; notebooks show its sentence without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass(frozen=True)
class Solution:
    """How one exercise is checked.

    Attributes:
        program: Source that leaves the result in `answer_N`; empty if it is not to be run again.
        keys: Without a program: keys that the answer must have, if any.
    """

    program: str = ""
    keys: tuple[str, ...] = ()


def pack(solutions: dict[int, Solution]) -> str:
    """Solutions as one line that nobody reads by accident."""
    content = json.dumps({number: asdict(solution) for number, solution in solutions.items()})
    return base64.b64encode(zlib.compress(content.encode(), 9)).decode()


def unpack(packed: str) -> dict[int, Solution]:
    """The solutions in a line that `pack` made.

    Raises:
        ParameterError: The line was changed.
    """
    try:
        content = json.loads(zlib.decompress(base64.b64decode(packed, validate=True)))
    except (ValueError, zlib.error) as error:
        raise ParameterError.of(
            "the solutions as `skysense-nb exercises` packed them", str(error), "Make this copy again."
        ) from error
    return {int(number): Solution(one["program"], tuple(one["keys"])) for number, one in content.items()}


def self_checks(packed: str) -> Callable[[int], None]:
    """What a notebook calls as `check_exercise(2)`: prints that the answer is right, or raises `NotRightYet`.

    Raises:
        ParameterError: `packed` was changed.
    """
    return partial(check, unpack(packed))


def check(solutions: dict[int, Solution], number: int, namespace: dict[str, Any] | None = None) -> None:
    """Compares `answer_N` with the solution.

    Args:
        solutions: Of a notebook, by number.
        number: Of the exercise.
        namespace: Where the answer is; by default the names of the notebook this is called from.

    Raises:
        NotRightYet: There is no answer yet, or another one than the solution's.
        ParameterError: No exercise of this number can be checked.
    """
    if number not in solutions:
        checked = ", ".join(map(str, solutions))
        raise ParameterError.of(f"an exercise among {checked}", str(number), "The others are answered in words.")
    namespace = vars(sys.modules["__main__"]) if namespace is None else namespace
    name, solution = f"answer_{number}", solutions[number]
    got = namespace.get(name, ...)
    if got is ...:
        raise NotRightYet(f"Exercise {number}: expected `{name}`, got nothing yet. Set it in the cell above.")
    if not solution.program:
        check_form(solution.keys, got, number)
        return
    expected = solve(solution.program, number, namespace)
    if expected is ...:
        raise NotRightYet(f"Exercise {number}: expected default parameters, got others that leave nothing to solve.")
    if not alike(expected, got):
        wanted, given = form(expected, solution.program), form(got, solution.program)
        given = "another value of this form" if given == wanted else given
        raise NotRightYet(f"Exercise {number}: expected `{name}` as {wanted}; got {given}.")
    print(f"Exercise {number}: right")


def check_form(keys: tuple[str, ...], got: Any, number: int) -> None:
    """The check of an exercise that is not solved again: the keys of the answer, and finite numbers."""
    given = plain(got)
    if keys and not (isinstance(given, dict) and set(keys) == set(map(str, given))):
        wanted = f"a dict with the keys {', '.join(map(repr, keys))}"
        raise NotRightYet(f"Exercise {number}: expected `answer_{number}` as {wanted}; got {form(got)}.")
    if not finite(given):
        raise NotRightYet(f"Exercise {number}: expected finite numbers in `answer_{number}`; got others.")
    print(f"Exercise {number}: right in form; compare its numbers with the solution, which is not run again here")


def finite(value: Any) -> bool:
    """Whether every number in a plain value is finite."""
    if isinstance(value, dict | list):
        return all(map(finite, value.values() if isinstance(value, dict) else value))
    numbers = np.asarray(value)
    return numbers.dtype.kind not in "fc" or bool(np.isfinite(numbers).all())


def solve(program: str, number: int, namespace: dict[str, Any]) -> Any:
    """Result of a solution (`...` for none), run on the names of the notebook, which are as before afterwards.

    Raises:
        NotRightYet: A name is missing because cells above did not run.
    """
    before = dict(namespace)
    del namespace[f"answer_{number}"]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(program, f"<solution {number}>", "exec"), namespace)
        return namespace.get(f"answer_{number}", ...)
    except NameError as error:
        raise NotRightYet(
            f"Exercise {number}: expected the cells above to have run, got no `{error.name}`. Run them first."
        ) from error
    finally:
        for name in namespace.keys() - before.keys():
            del namespace[name]
        namespace.update(before)
