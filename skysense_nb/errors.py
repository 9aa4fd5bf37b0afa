"""The errors a user can cause. Each message says what was expected, what came, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SkySenseError(Exception):
    """Base of the family: catch this to catch every foreseeable mistake."""

    @classmethod
    def of(cls, expected: str, got: str, next_step: str) -> SkySenseError:
        """Builds the one-sentence message every error of the family carries.

        Example:
            >>> str(SceneError.of("3 bands R G B", "4 bands", "Pass bands=('R', 'G', 'B')."))
            "Expected 3 bands R G B, got 4 bands. Pass bands=('R', 'G', 'B')."
        """
        return cls(f"Expected {expected}, got {got}. {next_step}")


class SceneError(SkySenseError):
    """A scene or raster that cannot be what it is said to be."""


class DatasetError(SkySenseError):
    """A benchmark's folder that is not laid out or filled as its publishers did."""


class SampleError(SkySenseError):
    """Tensors that do not fit together or do not fit the model."""


class PresetError(SkySenseError):
    """An unknown preset, or a preset asked for something it does not have."""


class CheckpointError(SkySenseError):
    """A weights file that is damaged, unsafe, or not the model's."""


class ParameterError(SkySenseError):
    """A parameter of a notebook or command that does not exist or has the wrong type."""


class RunError(SkySenseError):
    """A run that could not start, or stopped before its end."""


class EnvironmentProblem(SkySenseError):
    """The machine lacks something: a device, memory, a package, a writable folder."""


@contextmanager
def writable(folder: Path, family: type[SkySenseError]) -> Iterator[None]:
    """Makes a folder for what the block writes there.

    Raises:
        SkySenseError: Of the family that is named: the folder cannot be made or written.

    Example:
        >>> with writable(Path("answers"), RunError):
        ...     _ = Path("answers/one.txt").write_text("1")
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        problem = "a file" if folder.is_file() else error.strerror or str(error)
        raise family.of(f"a writable folder at {folder}", problem, "Choose another one, or make room.") from error


def make_folder(folder: Path, family: type[SkySenseError]) -> None:
    """Makes a folder if it is not there, for what is written later.

    Raises:
        SkySenseError: As `writable`.
    """
    with writable(folder, family):
        pass
