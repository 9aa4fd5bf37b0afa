"""Downstream tasks: what the benchmarks ask of a model, and how its answers are scored.

`samples` prepares a split of a benchmark, `frozen` keeps the features of a frozen model, `probes` ask what these are
worth, `heads` go on top, `fine_tuning` trains them and as much of the model as a `Plan` says, `evaluation` compares
predictions with the truth by `metrics`, `saving` writes them to disk.
"""

from skysense_nb.tasks.plan import DIOR, ISAID, Plan
from skysense_nb.tasks.scores import Scores
from skysense_nb.tasks.semantic_change import SemanticChange, semantic_change_scores

__all__ = ["DIOR", "ISAID", "Plan", "Scores", "SemanticChange", "semantic_change_scores"]
