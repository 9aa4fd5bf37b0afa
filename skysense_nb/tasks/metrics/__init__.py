"""How well a task was done, as the papers on each benchmark count it.

Every metric is a torchmetrics metric: `update(prediction, truth)` takes the dictionaries of a batch, `compute()` gives
`Scores`. `Accuracy` and `MeanAveragePrecision` score labels of images, `MaskScores` maps of classes, `ChangeF1` and
`SemanticChangeMetric` change, `AveragePrecision` objects. `metric_for` picks the one of a benchmark.
"""

from skysense_nb.tasks.metrics.boxes import AveragePrecision
from skysense_nb.tasks.metrics.change import ChangeF1, SemanticChangeMetric
from skysense_nb.tasks.metrics.labels import Accuracy, MeanAveragePrecision
from skysense_nb.tasks.metrics.masks import MaskScores
from skysense_nb.tasks.metrics.of_benchmarks import metric_for

__all__ = [
    "Accuracy",
    "AveragePrecision",
    "ChangeF1",
    "MaskScores",
    "MeanAveragePrecision",
    "SemanticChangeMetric",
    "metric_for",
]
