"""Touching: applications in a notebook that answer clicks.

Each explorer is one object: the value of a cell shows it, `figure()` draws the same as a static picture for readers
without a running kernel, `close()` ends it. Every answer to a click is a plain method, so a script can do what a
reader does: `explorer.choose(3, 4)` and a click on that cell are the same. All work without a network and behind any
proxy, because pictures travel inside the page. Start with `SimilarityExplorer(embedding, image)`.
"""

from skysense_nb.explorers.application import Explorer
from skysense_nb.explorers.change import ChangeExplorer
from skysense_nb.explorers.detections import DetectionExplorer
from skysense_nb.explorers.few_clicks import FewClickMapper
from skysense_nb.explorers.monitor import TrainingMonitor
from skysense_nb.explorers.prototypes import PrototypeExplorer
from skysense_nb.explorers.scenes import SceneExplorer
from skysense_nb.explorers.similarity import SimilarityExplorer
from skysense_nb.explorers.switchboard import ModalitySwitchboard

__all__ = [
    "ChangeExplorer",
    "DetectionExplorer",
    "Explorer",
    "FewClickMapper",
    "ModalitySwitchboard",
    "PrototypeExplorer",
    "SceneExplorer",
    "SimilarityExplorer",
    "TrainingMonitor",
]
