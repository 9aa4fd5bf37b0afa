"""Pre-training: from tiles of the Earth to a model that knows something, on a laptop or on many GPUs.

Start with `Recipe`, which holds everything a run consists of, and `pretrain`, which runs it. `StudentTeacher.losses`
is the step to read: views of a place (`crops`), three levels of contrast (`fine_grained`), alignment of sensors,
queries and text, one file each. torch only, apart from `places` (tiles) and `module` and `run` (Lightning).
"""

from skysense_nb.pretraining.crops import CropPlan, make_views, matching
from skysense_nb.pretraining.recipe import Recipe, Terms, read_recipe
from skysense_nb.pretraining.student_teacher import StudentTeacher

__all__ = ["CropPlan", "Recipe", "StudentTeacher", "Terms", "make_views", "matching", "read_recipe"]
