"""The pinned packages: which versions this checkout wants for a version of Python."""

from __future__ import annotations

from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

from skysense_nb.errors import EnvironmentProblem, ParameterError
from skysense_nb.runs.library import CHECKOUT

PYTHONS = ("3.11", "3.12", "3.13")


def lock_file(python: str, checkout: Path = CHECKOUT) -> Path:
    """The file of pins for a version of Python; that for 3.12 also serves 3.13.

    Raises:
        ParameterError: A Python without pins.
        EnvironmentProblem: The library does not run from a checkout.
    """
    if python not in PYTHONS:
        raise ParameterError.of(f"a Python among {', '.join(PYTHONS)}", repr(python), "Choose one of these.")
    path = checkout / "env" / f"requirements-py{'311' if python == '3.11' else '312'}.txt"
    if not path.is_file():
        raise EnvironmentProblem.of(f"the pins at {path}", "no such file", "Run this from the repository.")
    return path


def pinned(python: str, checkout: Path = CHECKOUT) -> list[Requirement]:
    """The pins that hold on this platform for a version of Python, as `name==version`.

    Raises:
        ParameterError, EnvironmentProblem: See `lock_file`.

    Example:
        >>> [str(pin) for pin in pinned("3.12") if pin.name == "torch"]    # doctest: +SKIP
        ['torch==2.14.1']
    """
    there = default_environment() | {"python_version": python, "python_full_version": f"{python}.0"}
    lines = map(Requirement, lock_file(python, checkout).read_text(encoding="utf-8").split("\n")[:-1])
    pins = [line for line in lines if line.marker is None or line.marker.evaluate(there)]
    return [Requirement(f"{pin.name}{pin.specifier}") for pin in pins]
