"""The notebooks on benchmarks and tasks run, with their defaults and with a parameter changed."""

from notebook_cases import *  # noqa: F403
from notebook_cases import each

pytestmark = each(lambda name: name.startswith("3"))
