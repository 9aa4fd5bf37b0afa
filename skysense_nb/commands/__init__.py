"""Commands of `skysense-nb`, a file per subject.

A mistake of the user prints one sentence and exits 2; a notebook that failed exits 1. Heavy imports wait inside the
commands that need them, so that `list` and `--help` answer at once.
"""

from skysense_nb.commands import expectations, models, notebooks, reports, scenes, speed, workshop
from skysense_nb.commands.application import app

__all__ = ["app", "expectations", "models", "notebooks", "reports", "scenes", "speed", "workshop"]
