from small_scenes import *  # noqa: F403
