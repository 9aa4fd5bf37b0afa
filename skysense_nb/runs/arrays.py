"""What a record keeps of an array: shape, spread and a fingerprint of its order; and how two of these differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from skysense_nb.errors import ParameterError

KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "float"}
SLOTS = 16
CONSTANT = 1e-12
"""Deviation as a share of the largest value below which an array is constant: what is left is rounding."""


class ArraySummary(BaseModel):
    """A few numbers that stand for an array.

    Attributes:
        shape: As it was.
        kind: `float`, `integer` or `boolean`; how many bits does not matter.
        finite: Share of its values that are finite; the rest of the numbers is about these.
        mean: In its own unit, as the next three.
        std: Standard deviation.
        minimum: Smallest value.
        maximum: Largest value.
        fingerprint: 16 sums of the standardised values, see `fingerprint`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    shape: tuple[int, ...]
    kind: str
    finite: float
    mean: float
    std: float
    minimum: float
    maximum: float
    fingerprint: tuple[float, ...]

    def __str__(self) -> str:
        sizes = " × ".join(map(str, self.shape)) or "one value"
        return f"{self.kind} {sizes}, mean {self.mean:.4g}, std {self.std:.4g}"

    def rounded(self, within: float) -> dict[str, Any]:
        """Its fields with as many digits as a comparison within a share of the deviation can use."""
        seen = within * (self.std or 1.0)
        short = {name: shortened(getattr(self, name), 6, seen) for name in ("mean", "std", "minimum", "maximum")}
        short["finite"] = shortened(self.finite, 6, None)
        return dict(self) | short | {"fingerprint": [round(value, 3) for value in self.fingerprint]}


def shortened(value: float, digits: int, within: float | None) -> float:
    """A number with as few digits as are asked for, or as many as it takes to stay well inside a tolerance.

    Example:
        >>> shortened(17_000_123.4567, 6, None), shortened(17_000_123.4567, 6, 0.5)
        (17000100.0, 17000123.5)
    """
    for count in range(digits, 17):
        short = float(f"{value:.{count}g}")
        if within is None or abs(short - value) <= within / 10:
            return short
    return value


def summarise(name: str, array: Any) -> ArraySummary:
    """Sums up an array of any library.

    Args:
        name: For the message of the error.
        array: Numbers or booleans of any shape, as numpy array, tensor or DataArray.

    Returns:
        Its summary, computed in double precision.

    Raises:
        ParameterError: Something else, no finite value in it, or values too large to be summed.

    Example:
        >>> print(summarise("ramp", np.arange(6.0).reshape(2, 3)))
        float 2 × 3, mean 2.5, std 1.708
    """
    values = to_numpy(array)
    finite = np.isfinite(values) if values.dtype.kind in KINDS else np.zeros(0, bool)
    if not finite.any():
        got = f"{type(array).__name__} of {values.dtype} {values.shape}"
        raise ParameterError.of(f"{name} as an array with finite numbers", got, "Look where it broke.")
    known = values[finite].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = known.mean(), known.std()
    if not np.isfinite([mean, std]).all():
        got = f"values up to {np.abs(known).max():.3g}"
        raise ParameterError.of(f"{name} with values that can be summed", got, "Scale it.")
    std = 0.0 if std < CONSTANT * np.abs(known).max() else std
    standard = np.zeros(values.size)
    standard[finite.ravel()] = (known - mean) / (std or 1.0)
    return ArraySummary(
        shape=values.shape,
        kind=KINDS[values.dtype.kind],
        finite=finite.mean(),
        mean=mean,
        std=std,
        minimum=known.min(),
        maximum=known.max(),
        fingerprint=fingerprint(standard),
    )


def to_numpy(array: Any) -> np.ndarray:
    """The values on the CPU; numpy has no bfloat16, so floating tensors are widened."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        array = array.double() if array.is_floating_point() else array
    return np.asarray(array)


def fingerprint(values: np.ndarray) -> list[float]:
    """A random projection of standardised values: 16 sums, in which every value has its fixed slot and sign.

    The root mean square of what two fingerprints differ by is, on average over such projections, that of what the
    values differ by. So permuted bands or dates show, and rounding does not.

    Args:
        values: Of mean 0 and standard deviation 1, flat.
    """
    draw = np.random.RandomState(0).randint(2 * SLOTS, size=values.size, dtype=np.uint8)  # numpy keeps this stream
    signed = np.where(draw < SLOTS, values, -values)
    return list(np.bincount(draw % SLOTS, weights=signed, minlength=SLOTS) * math.sqrt(SLOTS / values.size))


def differences(expected: ArraySummary, got: ArraySummary, within: float) -> Iterator[tuple[str, str]]:
    """What of an array is not as expected, in pairs of words: what was expected, what came instead.

    Args:
        expected: Summary of the array as it should be.
        got: Summary of the array as it is.
        within: Tolerance as a share of the expected standard deviation, for the extremes as one of their range.
    """
    for what in ("shape", "kind"):
        if getattr(expected, what) != getattr(got, what):
            yield f"{what} {getattr(expected, what)}", f"{getattr(got, what)}"
    if abs(expected.finite - got.finite) > 1e-4:
        yield f"{expected.finite:.2%} finite", f"{got.finite:.2%}"
    spread, span = expected.std or 1.0, expected.maximum - expected.minimum or 1.0
    for what, scale in {"mean": spread, "std": spread, "minimum": span, "maximum": span}.items():
        old, new, allowed = getattr(expected, what), getattr(got, what), within * scale
        if abs(new - old) > allowed:
            yield f"{what} {old:.4g} ± {allowed:.2g}", f"{new:.4g}"
    apart = math.dist(expected.fingerprint, got.fingerprint) / math.sqrt(SLOTS)
    if expected.shape == got.shape and apart > within:
        yield f"order of values ± {within:.2g}", f"{apart:.2g} off"
