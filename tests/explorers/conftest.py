"""The small scene of all pictures and maps."""

from small_scenes import *  # noqa: F403
