"""What this machine offers: the first thing to look at when something does not work."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import psutil

from skysense_nb.runs.record import package_versions

GIB = 2**30
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def describe_machine(folder: Path | None = None) -> dict[str, Any]:
    """Python, processor, memory, free disk at `folder` (default here), device, browser and package versions.

    Example:
        >>> sorted(describe_machine())[:3]
        ['chromium', 'cores', 'device']
    """
    import torch

    from skysense_nb.runtime import choose_device

    device = choose_device()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "memory_free_gib": round(psutil.virtual_memory().available / GIB, 1),
        "disk_free_gib": round(shutil.disk_usage(folder or Path.cwd()).free / GIB, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "chromium": next(filter(None, map(shutil.which, BROWSERS)), None),
        "packages": package_versions(),
    }


def as_text(machine: dict[str, Any]) -> str:
    """The same as aligned lines."""
    lines = {name.replace("_", " "): value for name, value in machine.items() if name != "packages"}
    lines["chromium"] = machine["chromium"] or "none (only the browser tests need it)"
    rows = [*lines.items(), *machine["packages"].items()]
    return "\n".join(f"{name:<18} {value}" for name, value in rows)
