"""Downstream tasks: what the benchmarks ask of a model, and how its answers are scored.

`semantic_change_scores` says how well a model saw land cover change from month to month.
"""

from skysense_nb.tasks.semantic_change import SemanticChange, semantic_change_scores

__all__ = ["SemanticChange", "semantic_change_scores"]
