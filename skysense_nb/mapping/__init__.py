"""Maps of areas of any size: tiles planned on one ground grid, streamed through a model, put together on disk."""

from skysense_nb.mapping.detections import map_detections
from skysense_nb.mapping.products import (
    Layer,
    Product,
    assignments,
    change,
    class_map,
    embedding,
    similarity,
)
from skysense_nb.mapping.run import Map, map_scene
from skysense_nb.mapping.store import EmbeddingStore
from skysense_nb.mapping.workers import local_cluster
from skysense_nb.mapping.writers import open_map

__all__ = [
    "EmbeddingStore", "Layer", "Map", "Product", "assignments", "change", "class_map", "embedding", "local_cluster",
    "map_detections", "map_scene", "open_map", "similarity",
]  # fmt: skip
