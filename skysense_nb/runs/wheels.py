"""Wheels of the pinned packages in one folder, for machines that see no package index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from skysense_nb.errors import EnvironmentProblem
from skysense_nb.runs.library import CHECKOUT
from skysense_nb.runs.pins import pinned

BATCH = 16
"""Packages per call of pip; what a call has finished is kept if a later one stops."""


def wanted_wheels(python: str, checkout: Path = CHECKOUT) -> list[Requirement]:
    """Everything `env/run.sh` installs: the pins and uv.

    Raises:
        ParameterError, EnvironmentProblem: See `pins.lock_file`.
    """
    pins = pinned(python, checkout)
    script = (checkout / "env/run.sh").read_text(encoding="utf-8")
    return [*pins, *(Requirement(f"uv=={version}") for version in re.findall(r"^UV_VERSION=(.+)$", script, re.M))]


def collect_wheels(
    pins: Iterable[Requirement], folder: Path, python: str, say: Callable[[str], None] = print
) -> list[Path]:
    """Downloads the wheels that `folder` does not hold yet, for this platform, as pip is set up here.

    Args:
        pins: What is wanted, as `name==version`.
        folder: Made if missing.
        python: Version the wheels are for.
        say: Takes a line about every batch.

    Returns:
        The new wheels.

    Raises:
        EnvironmentProblem: pip could not get one; the wheels finished before stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    lacking, found = missing(pins, folder, python), []
    for start in range(0, len(lacking), BATCH):
        batch = lacking[start : start + BATCH]
        say(f"Wheels {start + 1} to {start + len(batch)} of {len(lacking)} ...")
        with TemporaryDirectory(dir=folder, prefix=".") as beside:
            download([str(pin) for pin in batch], Path(beside), python)
            for path in sorted(Path(beside).glob("*.whl")):
                os.replace(path, folder / path.name)
                found.append(folder / path.name)
    return found


def remove_leftovers(folder: Path) -> None:
    """Removes what a call that was killed left of the batch it downloaded."""
    for left in [path for path in folder.glob(".*") if path.is_dir()]:
        shutil.rmtree(left)


def missing(pins: Iterable[Requirement], folder: Path, python: str) -> list[Requirement]:
    """The pins without a fitting wheel in `folder`."""
    version = tuple(map(int, python.split(".")))
    fitting = {*cpython_tags(version), *compatible_tags(version, f"cp{version[0]}{version[1]}")}
    there = [wheel for path in folder.glob("*.whl") if (wheel := parse(path)) and not fitting.isdisjoint(wheel[2])]
    return [pin for pin in pins if not any(is_of(pin, name, number) for name, number, _ in there)]


def parse(path: Path) -> tuple[str, str, frozenset[Tag]] | None:
    """Name, version and tags of a wheel, None for a file that is not named like one."""
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
    except InvalidWheelFilename:
        return None
    return name, str(version), tags


def is_of(pin: Requirement, name: str, version: str) -> bool:
    """Whether a wheel is the one a pin asks for."""
    return canonicalize_name(pin.name) == name and pin.specifier.contains(version, prereleases=True)


def download(pins: list[str], folder: Path, python: str) -> None:
    """Lets pip download one batch.

    Raises:
        EnvironmentProblem: It could not.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", python, "--dest", str(folder), *pins]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise EnvironmentProblem.of(
            f"wheels of {', '.join(pins)}",
            (errors or ["an error of pip"])[-1].removeprefix("ERROR: "),
            "Check network and index, then call this again: finished wheels are kept.",
        )
