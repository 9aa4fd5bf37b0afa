"""The participant's doctor: whether this machine is fit for the notebooks, and what to do where it is not.

Each check is a short function that returns a `Verdict`; what a check compares is among its arguments, so that a test
can show it a bad machine.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from skysense_nb.errors import SkySenseError
from skysense_nb.models.checkpoints import BUNDLED
from skysense_nb.models.weight_files import sha256
from skysense_nb.runs.library import notebooks_folder
from skysense_nb.runs.pins import pinned

INSTALL = "Call `bash env/run.sh shell true`: it installs what is pinned."
MEMORY_GIB, LEAST_MEMORY_GIB = 3.0, 1.5
DISK_GIB, LEAST_DISK_GIB = 3.0, 0.5
BUILT, FAR_FUTURE = 1_767_225_600, 4_102_444_800
"""Seconds since 1970 of the years 2026 and 2100."""


@dataclass(frozen=True)
class Verdict:
    """One check.

    Attributes:
        name: What was looked at.
        level: `problem` means notebooks will fail here.
        found: What is there.
        next_step: What to do about it, empty if it is ok.
    """

    name: str
    level: Literal["ok", "warning", "problem"]
    found: str
    next_step: str = ""

    def __str__(self) -> str:
        return f"{self.level:<8} {self.name}: {self.found}" + (f". {self.next_step}" if self.next_step else "")


def examine_machine(machine: dict[str, Any]) -> list[Verdict]:
    """All checks, on the facts `describe_machine` found and on what is installed.

    Example:
        >>> [one.name for one in examine_machine(describe_machine())][:2]    # doctest: +SKIP
        ['python', 'packages']
    """
    return [
        check_python(machine["python"]),
        check_packages(),
        check_room("memory", machine["memory_free_gib"], MEMORY_GIB, LEAST_MEMORY_GIB, "Close other programs."),
        check_room("disk", machine["disk_free_gib"], DISK_GIB, LEAST_DISK_GIB, "Delete what is not needed."),
        check_cores(machine["cores"]),
        check_device(),
        check_kernel(),
        check_widgets(),
        check_folder(),
        check_weights(),
        check_clock(time.time()),
        Verdict("browser", "ok", "explorers run in the one JupyterLab is opened with; none is needed on this machine"),
    ]


def as_lines(verdicts: Iterable[Verdict]) -> str:
    """Verdicts as lines, the worst last, where a reader looks first."""
    order = ("ok", "warning", "problem")
    return "\n".join(map(str, sorted(verdicts, key=lambda one: order.index(one.level))))


def check_python(version: str) -> Verdict:
    """Python against what the library supports."""
    wanted = importlib.metadata.metadata("skysense-nb")["Requires-Python"]
    if SpecifierSet(wanted).contains(version):
        return Verdict("python", "ok", version)
    return Verdict("python", "problem", f"{version}, not {wanted}", "Name a Python in SKYSENSE_PYTHON and install.")


def check_packages(pins: list[Requirement] | None = None) -> Verdict:
    """Installed packages against the pins of this checkout."""
    if pins is None:
        try:
            pins = pinned(".".join(platform.python_version_tuple()[:2]))
        except SkySenseError as error:
            return Verdict("packages", "warning", "no pins to compare with", str(error))
    installed = {pin.name: installed_version(pin.name) for pin in pins}
    lacking = [pin.name for pin in pins if installed[pin.name] is None]
    others = [f"{pin.name} {installed[pin.name]} instead of {pin.specifier}" for pin in pins if pin.name not in lacking
              and not pin.specifier.contains(installed[pin.name], prereleases=True)]  # fmt: skip
    if lacking:
        return Verdict("packages", "problem", f"{len(lacking)} missing: {', '.join(lacking[:5])}", INSTALL)
    if others:
        return Verdict("packages", "warning", f"{len(others)} not as pinned: {', '.join(others[:3])}", INSTALL)
    return Verdict("packages", "ok", f"all {len(pins)} as pinned")


def installed_version(name: str) -> str | None:
    """Version of an installed package, None if it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_room(name: str, free_gib: float, enough: float, least: float, next_step: str) -> Verdict:
    """Free memory or disk in GiB: a warning below `enough`, a problem below `least`."""
    found = f"{free_gib} GiB free"
    if free_gib >= enough:
        return Verdict(name, "ok", found)
    level = "warning" if free_gib >= least else "problem"
    return Verdict(name, level, f"{found}; the notebooks want {enough:g}", next_step)


def check_cores(cores: int | None) -> Verdict:
    """Processor cores; times in the notebooks are of two."""
    if (cores or 1) >= 2:
        return Verdict("cores", "ok", str(cores))
    return Verdict("cores", "warning", "one", "Everything works; expect twice the minutes that notebooks say.")


def check_device() -> Verdict:
    """Whether the device that notebooks choose multiplies rightly."""
    import torch

    from skysense_nb.runtime import choose_device

    device, square = choose_device(), torch.arange(4096.0).reshape(64, 64) / 4096
    try:
        apart = (square.to(device) @ square.to(device)).cpu() - square @ square
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        return Verdict(
            "device", "problem", f"{device} does not compute: {reason}", "Set device='cpu', or mend its driver."
        )
    if not float(apart.abs().max()) < 1e-2:
        return Verdict("device", "problem", f"{device} computes wrongly", "Set device='cpu'.")
    return Verdict("device", "ok", f"{device} computes")


def check_kernel(name: str = "python3") -> Verdict:
    """Whether the kernel that notebooks ask for is registered and runs in this environment."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        kernel = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        command = f"`{sys.executable} -m ipykernel install --sys-prefix --name {name}`"
        return Verdict("kernel", "problem", f"none called {name}", f"Call {command}.")
    program = Path(kernel.argv[0])
    # A name without a folder is looked up on the PATH, where this environment comes first.
    if len(program.parts) == 1 or program.parent == Path(sys.executable).parent:
        return Verdict("kernel", "ok", f"{name} runs in this environment")
    remove = f"Remove or rename {kernel.resource_dir}."
    return Verdict("kernel", "problem", f"{name} runs another environment, {program}", remove)


def check_widgets(prefix: Path | None = None) -> Verdict:
    """Whether JupyterLab's half of the widgets is here and fits the installed ipywidgets and JupyterLab."""
    folder = (prefix or Path(sys.prefix)) / "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager"
    if installed_version("ipywidgets") is None:
        return Verdict("widgets", "problem", "ipywidgets is missing", INSTALL)
    needs = [Requirement(line) for line in importlib.metadata.requires("ipywidgets") or []]
    manager = next(need for need in needs if need.name == "jupyterlab_widgets")
    version, lab = installed_version(manager.name), installed_version("jupyterlab") or "none"
    if version is None or not (folder / "package.json").is_file():
        return Verdict("widgets", "problem", "JupyterLab's half of ipywidgets is missing", INSTALL)
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"][
        "@jupyterlab/application"
    ]
    if manager.specifier.contains(version) and f"^{lab.split('.')[0]}." in wanted:
        return Verdict("widgets", "ok", f"jupyterlab_widgets {version} fits JupyterLab {lab}")
    return Verdict("widgets", "problem", f"jupyterlab_widgets {version} does not fit JupyterLab {lab}", INSTALL)


def check_folder(folder: Path | None = None) -> Verdict:
    """Whether notebooks can be saved where they are."""
    try:
        folder = folder or notebooks_folder()
        with tempfile.TemporaryFile(dir=folder):
            return Verdict("notebooks", "ok", f"{folder} is writable")
    except SkySenseError:
        return Verdict("notebooks", "warning", f"none at or above {Path.cwd()}", "Call this from the repository.")
    except OSError as error:
        copies = "Make copies of your own: `skysense-nb exercises FOLDER`."
        return Verdict("notebooks", "warning", f"{folder} cannot be written ({error.strerror})", copies)


def check_weights(folder: Path = BUNDLED) -> Verdict:
    """Bundled weights against their checksums."""
    again = "Get the repository again: `git checkout skysense_nb/models/weights`, or a new copy."
    try:
        sums = json.loads((BUNDLED / "checksums.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Verdict("weights", "problem", f"no list of checksums to compare with ({error})", again)
    wrong = [name for name, digest in sums.items() if not (folder / name).is_file() or sha256(folder / name) != digest]
    if wrong:
        return Verdict("weights", "problem", f"missing or damaged: {', '.join(wrong)}", again)
    return Verdict("weights", "ok", f"{len(sums)} bundled files are whole")


def check_clock(now: float) -> Verdict:
    """The clock in seconds since 1970; one that is years off breaks certificates and names of runs."""
    if BUILT < now < FAR_FUTURE:
        return Verdict("clock", "ok", time.strftime("%Y-%m-%d %H:%M", time.localtime(now)))
    return Verdict("clock", "warning", time.strftime("%Y-%m-%d", time.gmtime(now)), "Set the machine's clock.")
