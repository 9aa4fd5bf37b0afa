"""Comparing what a reader gives with what a writer put in."""

import numpy as np
import torch

BOX_TOLERANCE = 1e-3  # pixels


def assert_same(found, wanted):
    """Every entry of two records agrees: pixels, classes, ids and dates exactly, boxes to a thousandth of a pixel."""
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        got = found[key]
        if isinstance(value, torch.Tensor):
            assert got.dtype == value.dtype and got.shape == value.shape, key
            tolerance = BOX_TOLERANCE if key.startswith("bbox") and value.is_floating_point() else 0
            torch.testing.assert_close(
                got, value, rtol=0, atol=tolerance, equal_nan=True, msg=lambda m, k=key: f"{k}: {m}"
            )
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(got, value, err_msg=key)
        else:
            assert got == value, key


def read_all(readers):
    """Records of several splits by id; no id comes twice."""
    found = {}
    for reader in readers:
        for record in reader:
            assert record["id"] not in found
            found[record["id"]] = record
    return found


def assert_round_trip(readers, truth):
    """The readers of all splits give exactly what was written."""
    found = read_all(readers)
    assert found.keys() == truth.keys()
    for name, record in found.items():
        assert_same(record, truth[name])
