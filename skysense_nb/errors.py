"""The errors a user can cause. Each message says what was expected, what came, and what to do next."""

from __future__ import annotations


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
