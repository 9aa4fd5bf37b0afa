"""Before anything imports torch or matplotlib: one thread per process, no window."""

import os
import shutil

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")


class ByFile(LoadScopeScheduling):
    """With several processes, one takes all tests of a file, or of a notebook, because they share what is costly."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return test.partition("[")[2] if file.endswith("test_notebooks.py") else file


def pytest_xdist_make_scheduler(config, log) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; tests that need one are skipped without it."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found
