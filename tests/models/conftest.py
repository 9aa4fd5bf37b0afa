"""One small model of each kind for the tests of this folder."""

import pytest
from small_models import KINDS, shaken


@pytest.fixture(scope="session", params=KINDS)
def config(request):
    return KINDS[request.param]


@pytest.fixture(scope="session")
def model(config):
    return shaken(config, seed=3)
