"""Miniatures that are written once and found again, so that notebooks which use the same one do not wait twice."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from skysense_nb.data.miniatures import write_miniature


def kept_miniature(name: str, places: int | None = None, seed: int = 0, folder: str | Path | None = None) -> Path:
    """The root of a miniature, written at the first call.

    Args:
        name: As in the catalogue.
        places: As in `write_miniature`.
        seed: As in `write_miniature`.
        folder: Where miniatures are kept; the user's cache folder by default (`XDG_CACHE_HOME` moves it).

    Raises:
        ParameterError: See `write_miniature`.

    Example:
        >>> kept_miniature("aid", folder="kept").is_dir()
        True
    """
    home = Path(folder) if folder else user_cache_path("skysense-nb") / "miniatures"
    root = home / f"{name}-{'quirks' if places is None else places}-seed{seed}-{fingerprint()}"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if not root.exists():
            write_miniature(name, root, seed, places)
    return root


@lru_cache
def fingerprint() -> str:
    """Changes with the code of the synthetic world and of the writers, whose files must not outlive it."""
    digest, data = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted([*(data / "synthetic").glob("*.py"), *(data / "miniatures").glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
