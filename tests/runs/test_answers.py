import datetime

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure

from skysense_nb.runs.answers import alike, form


@pytest.mark.parametrize(
    ("expected", "same", "other"),
    [
        (3, 3.0, 4),
        (0.46, 0.4571, 0.466),  # rounded to two digits
        (1234.5678901, 1235.0, 1237.0),
        (2e-7, 4e-7, 3e-5),  # rounding noise of the model
        (float("nan"), float("nan"), 0.0),
        ("0.998 at 10 m", "0.997  AT 10 m", "0.990 at 10 m"),
        ("ships", "Ships", "piers"),
        ({"a": [1, 0.5]}, {"a": (1, 0.5)}, {"b": [1, 0.5]}),
        ([1, 2], [1, 2], [2, 1]),
        ([0.25, 0.5], np.array([0.25, 0.5]), np.array([0.25, 0.6])),
        (torch.ones(2, 2), np.ones((2, 2)), np.ones(4)),
        (xr.DataArray([1.0, 2.0], dims="x"), [1.0, 2.0], [1.0, 2.1]),
        (np.array(["a", "b"]), ["a", "b"], ["b", "a"]),
        (pd.Series({"x": 0.123456}), pd.Series({"x": 0.12345}), pd.Series({"x": 0.2})),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})),
        (Figure(), Figure(figsize=(1, 1)), 1),
        (ValueError("4 more"), "4 more", "6 more"),
        (object(), object(), "an answer"),
        (None, None, 0),
        (np.datetime64("2024-01-02"), np.datetime64("2024-01-02", "ns"), np.datetime64("2024-01-03")),
        (np.datetime64("2024-01-02", "ns"), "2024-01-02", "2024-01-03"),
        (np.array("2024-01-02", "M8[ns]"), pd.Timestamp("2024-01-02"), "soon"),
        (pd.Timestamp("2024-01-02"), np.datetime64("2024-01-02"), np.datetime64("NaT")),
        (np.array(["2024-01-02", "NaT"], "M8[D]"), np.array(["2024-01-02", "NaT"], "M8[ns]"), ["2024-01-03", "NaT"]),
        ([datetime.date(2024, 1, 2)], np.array(["2024-01-02"], "M8[D]"), np.array(["2024-01-03"], "M8[D]")),
        (np.timedelta64(2, "D"), np.timedelta64(48, "h"), np.timedelta64(3, "D")),
        (datetime.date(2024, 1, 2), "2024-01-02", "2024-01-03"),
        (np.array([1000, 5000]), [1000.0, 5000.0], [1001, 5000]),
        ([1000, 5000], np.array([1000, 5000]), np.array([1000, 5001])),
        (torch.tensor([20_000_001]), [20_000_001], [20_000_000]),  # float32 could not tell them apart
        (torch.tensor(5000), 5000, 5001),
        (torch.tensor([0.5], dtype=torch.bfloat16), [0.5], [0.6]),
        ({0, 8}, {8, 0}, {0, 9}),
        ({8, 0}, {0, 8}, {8}),
        ({"a", 1, None}, {None, 1, "a"}, {None, 2, "a"}),
        (frozenset({0.46, 10.0}), {10.001, 0.4571}, {10.0, 0.5}),
        ("1e400", "1E400", "5"),
        ("1e-99999999999999999999", "0", "2"),
        ("2.50e3", "2.51e3", "2.52e3"),
        ("1e-400 m", "0 m", "3 m"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_answers_are_alike_within_rounding(expected, same, other):
    assert alike(expected, expected) and alike(expected, same)
    assert not alike(expected, other)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.5, "a number"),
        (5, "a whole number"),
        (True, "True or False"),
        ("about 12.3 km", "text like 'about # km'"),
        ("forest 3", "text"),  # its words are the answer
        ({"km": 1.0}, "a dict with the keys 'km', each a number"),
        ({"forest": 1.0}, "a dict of 1, each a number"),
        (("forest", 0.4), "2 values, text, then a number"),
        (np.zeros((2, 3)), "an array of shape (2, 3)"),
        (np.datetime64("2024-01-02", "ns"), "a date"),
        (np.timedelta64(2, "D"), "a time span"),
        (torch.tensor(5), "a whole number"),
        ({8, 0}, "2 values, each a whole number"),
        (Figure(), "text"),
    ],
)
def test_the_form_gives_nothing_away(value, words):
    assert form(value, known="about 1 km") == words
