"""SkySense in Jupyter: open, understand, use.

The public face, in the order of a first notebook:

    session      pick device and precision, seed everything, print one line
    World        the synthetic planet: scenes of any place, offline
    build        arrays of one place to a scene;   open_scene   a saved one
    diagnose     compare a scene with what the encoders were trained on
    load         a model with a receipt for its weights;   save   write them
    collate      samples of several scenes to one batch
    report       numbers of a notebook into the record of its run;   report_array   what sums up an array

A scene itself offers `scene.sky` (samples, maps, saving), a model `features`, `pooled` and `embed`.
Everything loads when first used, so importing this package costs little more than importing torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skysense_nb.data import build, collate, open_scene
    from skysense_nb.data.doctor import diagnose
    from skysense_nb.data.synthetic import World
    from skysense_nb.models import load, save
    from skysense_nb.runs import report, report_array
    from skysense_nb.runtime import session

HOMES = {
    "session": "runtime",
    "World": "data.synthetic",
    "build": "data",
    "open_scene": "data",
    "collate": "data",
    "diagnose": "data.doctor",
    "load": "models",
    "save": "models",
    "report": "runs",
    "report_array": "runs",
}

__all__ = ["World", "build", "collate", "diagnose", "load", "open_scene", "report", "report_array", "save", "session"]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
