"""A small model for the tests of this folder."""

import pytest
from small_models import shaken


@pytest.fixture(scope="session")
def tiny():
    return shaken("skysense-tiny", seed=3)
