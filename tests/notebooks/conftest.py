"""Assertions of the shared cases explain themselves, too."""

import pytest

pytest.register_assert_rewrite("notebook_cases")
