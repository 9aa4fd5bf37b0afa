"""A summary sees what silent faults do to an array, and does not see rounding."""

import numpy as np
import pytest
import torch
import xarray as xr

from skysense_nb.errors import ParameterError
from skysense_nb.runs.arrays import ArraySummary, differences, summarise

RAMP = np.linspace(-3, 5, 720).reshape(6, 4, 30)  # dates, bands, pixels
LIKE = summarise("ramp", RAMP)


def changed(array, within=0.02) -> list[str]:
    return [old.split(" ±")[0].split()[0] for old, _ in differences(LIKE, summarise("ramp", array), within)]


def test_its_numbers_are_those_of_numpy():
    values = np.array([[1.0, 2.0], [np.nan, 6.0]])
    summary = summarise("x", values)
    assert (summary.shape, summary.kind, summary.finite) == ((2, 2), "float", 0.75)
    assert (summary.mean, summary.minimum, summary.maximum) == (3.0, 1.0, 6.0)
    assert summary.std == pytest.approx(np.nanstd(values))


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (torch.tensor(RAMP, dtype=torch.bfloat16, requires_grad=True), "float"),
        (xr.DataArray(RAMP.astype("float32")), "float"),
        (torch.tensor([1, 2, 3]), "integer"),
        (np.array([1, 2, 3], np.uint8), "integer"),
        (torch.tensor([True, False]), "boolean"),
        ([0.5, 1.5], "float"),
        (np.float32(2), "float"),
    ],
)
def test_every_library_and_kind_is_read(array, kind):
    summary = summarise("x", array)
    assert summary.kind == kind
    assert summary.shape == np.shape(array)


@pytest.mark.parametrize(
    "array", [np.zeros(0), np.full(3, np.nan), np.array(["a"]), np.array([object()]), np.array([1j]), None]
)
def test_what_has_no_finite_number_is_refused(array):
    with pytest.raises(ParameterError, match="^Expected x as an array with finite numbers, got "):
        summarise("x", array)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RAMP[:, [1, 0, 2, 3]], ["order"]),
        (RAMP[[0, 2, 1, 3, 4, 5]], ["order"]),
        (np.roll(RAMP, 1, axis=0), ["order"]),
        (RAMP.swapaxes(0, 1), ["shape"]),
        (-RAMP, ["mean", "minimum", "maximum", "order"]),
        (RAMP + 0.5, ["mean", "minimum", "maximum"]),
        (RAMP / 10_000, ["mean", "std", "minimum", "maximum"]),
        ((10 * RAMP).astype(int), ["kind", "mean", "std", "minimum", "maximum"]),
    ],
)
def test_faults_are_named(fault, told):
    assert changed(fault) == told


def test_gaps_are_named():
    holed = RAMP.copy()
    holed[3] = np.nan
    assert next(differences(LIKE, summarise("ramp", holed), 10.0)) == ("100.00% finite", "83.33%")


@pytest.mark.parametrize("seed", range(5))
def test_noise_shows_at_its_own_size(seed):
    """The fingerprint measures the noise itself, to about a factor of two."""
    noise = 0.01 * RAMP.std() * np.random.default_rng(seed).standard_normal(RAMP.shape)
    assert "order" not in changed(RAMP + noise, within=0.02)
    assert "order" in changed(RAMP + noise, within=0.005)


def test_a_file_has_enough_digits_and_reads_back():
    big = RAMP + 10_000  # digital numbers: the mean is far larger than the spread
    summary = summarise("big", big)
    again = ArraySummary(**summary.rounded(0.02))
    assert again != summary
    assert list(differences(again, summary, 0.02)) == []
    assert len(str(again.rounded(0.02))) < 400


def test_values_that_cannot_be_summed_are_refused():
    with pytest.raises(ParameterError, match="x with values that can be summed, got values up to 1e\\+308"):
        summarise("x", np.array([1e308, 1e308, -1e308]))


def test_rounding_is_no_deviation():
    assert summarise("x", np.full(1000, 0.1)).std == 0


def test_constant_arrays_compare():
    ones, twos = summarise("x", np.ones(4)), summarise("x", np.full(4, 2))
    assert list(differences(ones, ones, 0.02)) == []
    assert ("mean 1 ± 0.02", "2") in list(differences(ones, twos, 0.02))
