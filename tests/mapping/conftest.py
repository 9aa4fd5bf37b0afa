"""Small scenes, and a small embedding store."""

import pytest
from small_scenes import *  # noqa: F403
from small_stores import features, make_store


@pytest.fixture
def values():
    return features()


@pytest.fixture
def kept(tmp_path, values):
    return make_store(tmp_path / "kept", values)
