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
        (Figure(), "text"),
    ],
)
def test_the_form_gives_nothing_away(value, words):
    assert form(value, known="about 1 km") == words
