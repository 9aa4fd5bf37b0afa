"""Scenes that several tests look at, made once."""

import pytest

from skysense_nb.data.synthetic import World


@pytest.fixture(scope="session")
def world():
    return World(seed=0)


@pytest.fixture(scope="session")
def village(world):
    return world.scene(*world.find("village"), size_m=320, hr_dates=2, s2_dates=4, s1_dates=2, clouds=False)
