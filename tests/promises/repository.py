"""The files that belong to the repository, for the tests of this folder."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "skysense_nb"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@cache
def files() -> tuple[Path, ...]:
    """Every file git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def texts() -> list[Path]:
    """The files among them that people read and write."""
    endings = {".py", ".md", ".ipynb", ".sh", ".toml", ".yml", ".yaml", ".json", ".in", ".txt", ".cfg", ""}
    return [path for path in files() if path.suffix in endings]
