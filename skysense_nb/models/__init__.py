"""SkySense as published, and the way to load it. torch only: importable on a bare GPU machine.

Start with `load`: it builds a preset, fills it with weights, and returns the model with a receipt.
"""

from skysense_nb.models.checkpoints import load, save
from skysense_nb.models.features import Features
from skysense_nb.models.matching import Receipt
from skysense_nb.models.presets import PRESETS, preset
from skysense_nb.models.skysense import SkySense, SkySenseConfig
from skysense_nb.models.skysense_v2 import SkySenseV2, SkySenseV2Config
from skysense_nb.models.upcycling import with_experts

__all__ = [
    "PRESETS",
    "Features",
    "Receipt",
    "SkySense",
    "SkySenseConfig",
    "SkySenseV2",
    "SkySenseV2Config",
    "load",
    "preset",
    "save",
    "with_experts",
]
