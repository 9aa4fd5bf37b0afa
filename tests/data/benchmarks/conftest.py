"""Miniatures, written once per run of the tests."""

import shutil
from functools import cache

import pytest

from skysense_nb.data.miniatures import write_miniature


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    """`miniature("dior")` gives the folder, not to be changed, and what a reader must find in it."""

    @cache
    def write(name, seed=0):
        folder = tmp_path_factory.mktemp("miniatures") / name
        return folder, write_miniature(name, folder, seed)

    return write


@pytest.fixture
def own_copy(miniature, tmp_path):
    """`own_copy("dior")` gives a folder that a test may damage."""

    def copy(name):
        return shutil.copytree(miniature(name)[0], tmp_path / name)

    return copy
