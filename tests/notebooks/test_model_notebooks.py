"""The notebooks on scenes, models, pre-training and speed run, with their defaults and with a parameter changed."""

from notebook_cases import *  # noqa: F403
from notebook_cases import each

pytestmark = each(lambda name: not name.startswith("3"))
