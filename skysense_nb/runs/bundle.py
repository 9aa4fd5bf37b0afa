"""A workshop in a folder: checkout, wheels and miniatures, for rooms without a network.

FOLDER/
  README.md     what this is and how to set it up
  setup.sh      checks the sums, then installs from wheels/ alone
  skysense-nb/  the checkout, with the bundled weights
  wheels/       every pinned package, for one Python on one platform
  miniatures/   the synthetic benchmarks that notebooks would otherwise write first
  SHA256SUMS    of every file; written last, so a bundle without it is unfinished
"""

from __future__ import annotations

import ast
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from skysense_nb.errors import EnvironmentProblem, ParameterError
from skysense_nb.models.weight_files import sha256
from skysense_nb.runs.library import CHECKOUT, read_cells
from skysense_nb.runs.parameters import declared
from skysense_nb.runs.wheels import collect_wheels, remove_leftovers, wanted_wheels

CHECKOUT_NAME, SUMS = "skysense-nb", "SHA256SUMS"
PARTS = {CHECKOUT_NAME, f"{CHECKOUT_NAME}.unfinished", "wheels", "miniatures", "README.md", "setup.sh", SUMS}
NEEDED_GIB = {True: 5.0, False: 0.5}
"""Free disk asked for, with wheels and without."""

NOT_IN_GIT = {".git", ".venv", "runs", "wheels"}
GIB = 2**30


def make_bundle(
    folder: str | Path,
    *,
    wheels: bool = True,
    python: str | None = None,
    checkout: Path = CHECKOUT,
    say: Callable[[str], None] = print,
) -> Path:
    """Gathers a bundle; one that was stopped goes on with the wheels and miniatures it has.

    Args:
        folder: New, empty, or an earlier bundle that nobody installed in.
        wheels: Include the pinned packages.
        python: Version they are for; this Python's by default.
        checkout: Where the library lies.
        say: Takes a line about what is being done.

    Returns:
        `folder`.

    Raises:
        ParameterError: The folder holds something else or cannot be one, or there are no pins for this Python.
        EnvironmentProblem: Too little disk, no checkout, or a wheel that cannot be had; call again to go on.
    """
    folder, python = Path(folder), python or f"{sys.version_info.major}.{sys.version_info.minor}"
    pins = wanted_wheels(python, checkout)
    check_folder(folder, checkout)
    check_disk(folder, NEEDED_GIB[wheels])
    (folder / SUMS).unlink(missing_ok=True)
    say("Checkout ...")
    copy_checkout(checkout, folder / CHECKOUT_NAME)
    if wheels:
        collect_wheels(pins, folder / "wheels", python, say)
    else:
        remove_leftovers(folder / "wheels")
    for name, places, seed in miniatures_used(checkout / "notebooks"):
        say(f"Miniature {name} ...")
        keep_miniature(folder / "miniatures", name, places, seed)
    for name in ("README.md", "setup.sh"):
        text = (checkout / "env/offline" / name).read_text(encoding="utf-8")
        text = text.replace("@PYTHON@", python).replace("@PLATFORM@", f"{platform.system()} {platform.machine()}")
        (folder / name).write_text(text, encoding="utf-8")
    say("Checksums ...")
    write_sums(folder)
    return folder


def check_folder(folder: Path, checkout: Path) -> None:
    """Refuses a folder that holds anything but a bundle nobody works in; stray dot files do not matter.

    Raises:
        ParameterError: It does, or it lies in a file, or around the checkout itself.
    """
    place = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    if not place.is_dir():
        raise ParameterError.of(f"a new folder or a bundle at {folder}", f"a file at {place}", "Choose another folder.")
    there = {path.name for path in folder.iterdir() if not is_stray(path)} if folder.is_dir() else set()
    if others := sorted(there - PARTS):
        raise ParameterError.of(f"a new folder or a bundle at {folder}", others[0], "Choose another folder.")
    if checkout.resolve().is_relative_to(folder.resolve()):  # the copy would take its place
        raise ParameterError.of(f"a new folder or a bundle at {folder}", "the checkout in it", "Choose another folder.")
    if (folder / CHECKOUT_NAME / ".venv").exists():
        raise ParameterError.of(f"a bundle that nobody installed in at {folder}", ".venv", "Choose another folder.")


def is_stray(path: Path) -> bool:
    """Whether this is a dot file: what a file manager or a stopped call leaves beside the parts of a bundle."""
    return path.name.startswith(".") and path.is_file()


def check_disk(folder: Path, needed_gib: float) -> None:
    """Refuses to start where the disk is too small; what the folder holds already counts as free.

    Raises:
        EnvironmentProblem: It is.
    """
    exists = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.is_dir())
    held = sum(path.stat().st_size for path in files_of(folder))
    free_gib = (shutil.disk_usage(exists).free + held) / GIB
    if free_gib < needed_gib:
        raise EnvironmentProblem.of(
            f"{needed_gib} GiB of free disk at {folder}", f"{free_gib:.1f} GiB", "Free some, or choose another disk."
        )


def copy_checkout(checkout: Path, target: Path) -> None:
    """Copies what git tracks; replaces an earlier copy.

    Where there is no git, it is all files but environments, runs and the bundle itself.
    """
    beside = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(beside, ignore_errors=True)
    for name in tracked(checkout, target.parent):
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout / name, beside / name)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(beside, target)


def tracked(checkout: Path, bundle: Path) -> list[Path]:
    """Files of the checkout, relative to it; without a bundle that is made inside it."""
    try:
        command = ["git", "ls-files", "-z", "--cached"]
        listed = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    names = [Path(name) for name in listed if name]
    if not names:  # no repository, or one further up that knows nothing of this folder
        inside = (path for path in files_of(checkout) if not path.resolve().is_relative_to(bundle.resolve()))
        names = [path.relative_to(checkout) for path in inside]
        names = [name for name in names if name.parts[0] not in NOT_IN_GIT and "__pycache__" not in name.parts]
    return [name for name in names if (checkout / name).is_file()]


def miniatures_used(notebooks: Path) -> list[tuple[str, int, int]]:
    """Benchmark, number of places and seed of every `kept_miniature` that notebooks ask for by default."""
    found = set()
    for path in sorted(notebooks.glob("[0-9]*.ipynb")):
        defaults = {name: parameter.default for name, parameter in declared(path).items()}
        for cell in read_cells(path):
            if cell["cell_type"] != "code" or "kept_miniature(" not in cell["source"]:
                continue
            for node in ast.walk(ast.parse(cell["source"])):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "kept_miniature":
                    found.add(tuple(defaults[a.id] if isinstance(a, ast.Name) else a.value for a in node.args))
    return sorted(found)


def keep_miniature(folder: Path, name: str, places: int, seed: int) -> None:
    """Writes a miniature where `setup.sh` takes it from, unless it is there."""
    from skysense_nb.data.miniatures.kept import kept_miniature

    kept = kept_miniature(name, places, seed, folder)
    Path(f"{kept}.lock").unlink(missing_ok=True)


def files_of(folder: Path) -> Iterator[Path]:
    """Every file below a folder, in order; nothing for a folder that is not there."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def write_sums(folder: Path) -> None:
    """Writes SHA256SUMS of all but stray files, in the form that `sha256sum --check` reads."""
    stray = {path for path in folder.iterdir() if is_stray(path)}
    files = [path for path in files_of(folder) if path not in stray]
    lines = [f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    beside = folder / f".{SUMS}"
    beside.write_text("".join(lines), encoding="utf-8")
    os.replace(beside, folder / SUMS)


def verify_bundle(folder: str | Path) -> list[str]:
    """What is wrong with the files of a bundle, a line each; files beyond those listed do not matter.

    Raises:
        ParameterError: No finished bundle there.
    """
    folder = Path(folder)
    if not (folder / SUMS).is_file():
        raise ParameterError.of(
            f"a finished bundle at {folder}", f"no {SUMS}", "Make it, or finish it, with `skysense-nb bundle`."
        )
    wrong = []
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if not (folder / name).is_file():
            wrong.append(f"{name}: missing")
        elif sha256(folder / name) != digest:
            wrong.append(f"{name}: damaged")
    return wrong
