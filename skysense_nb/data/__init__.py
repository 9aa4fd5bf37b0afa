"""Scenes and samples: images of one place, checked, stored, and turned into what a model reads.

Start with `build` (arrays to scene), `open_scene` (disk to scene) and `scene.sky` (what a scene can do).
"""

from skysense_nb.data.accessor import Sky
from skysense_nb.data.sample import Sample, collate, to_map, to_sample
from skysense_nb.data.scene import build
from skysense_nb.data.storage import open_scene, save

__all__ = ["Sample", "Sky", "build", "collate", "open_scene", "save", "to_map", "to_sample"]
