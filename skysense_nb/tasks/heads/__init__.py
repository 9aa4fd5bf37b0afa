"""Heads: what each task puts on top of a model's features.

`LabelHead` and `MultiLabelHead` name a place, `UPerHead` and `CellHead` its pixels, `ChangeHead` what changed between
two dates, `BoxHead` and `OrientedBoxHead` find objects. `widths_of` tells a head what maps a model gives,
`measured_scaling` brings them to one scale.
"""

from skysense_nb.tasks.heads.detection import BoxHead
from skysense_nb.tasks.heads.head import Head
from skysense_nb.tasks.heads.labels import LabelHead, MultiLabelHead
from skysense_nb.tasks.heads.levels import widths_of
from skysense_nb.tasks.heads.masks import CellHead, ChangeHead, UPerHead
from skysense_nb.tasks.heads.oriented_detection import OrientedBoxHead
from skysense_nb.tasks.heads.scaling import Scaling, measured_scaling

__all__ = [
    "BoxHead",
    "CellHead",
    "ChangeHead",
    "Head",
    "LabelHead",
    "MultiLabelHead",
    "OrientedBoxHead",
    "Scaling",
    "UPerHead",
    "measured_scaling",
    "widths_of",
]
