"""Which metric each benchmark of the catalogue is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from skysense_nb.data.catalog import Benchmark
from skysense_nb.errors import ParameterError
from skysense_nb.tasks.metrics.boxes import AveragePrecision
from skysense_nb.tasks.metrics.change import ChangeF1, SemanticChangeMetric
from skysense_nb.tasks.metrics.labels import Accuracy, MeanAveragePrecision, ScoresMetric
from skysense_nb.tasks.metrics.masks import MaskScores

MAKERS: dict[tuple[str, str], Callable[[Sequence[str]], ScoresMetric]] = {
    ("scene classification", "OA"): Accuracy,
    ("scene classification", "top-1 and top-5 accuracy"): partial(Accuracy, top=(1, 5)),
    ("multi-label classification", "mAP"): MeanAveragePrecision,
    ("segmentation", "mIoU"): partial(MaskScores, metric="mIoU"),
    ("segmentation", "mIoU; SCS for change"): partial(MaskScores, metric="mIoU"),
    ("segmentation", "mF1"): partial(MaskScores, metric="mF1"),
    ("time-series segmentation", "OA"): partial(MaskScores, metric="OA"),
    ("change", "F1 of change"): lambda classes: ChangeF1(),
    ("semantic change", "mIoU; SCS for change"): SemanticChangeMetric,
    ("horizontal boxes", "AP50 (COCO)"): partial(AveragePrecision, form="xyxy", points="coco"),
    ("oriented boxes", "mAP at IoU 0.50 (VOC07)"): partial(AveragePrecision, form="corners", points="voc07"),
    ("oriented boxes", "mAP at IoU 0.50 on the server"): partial(AveragePrecision, form="corners", points="voc07"),
}
"""By task and metric of a catalogue entry. How many points FAIR1M's server takes is not known: 11 are our choice."""


def metric_for(entry: Benchmark, classes: Sequence[str] | None = None, task: str | None = None) -> ScoresMetric:
    """The metric that papers report on a benchmark.

    Args:
        entry: Of the catalogue.
        classes: Names in the order of ids; without them those of the entry.
        task: The entry's own, or the one it has beside it (`semantic change` of Dyna.-S2).

    Raises:
        ParameterError: The benchmark is not for this task, or has a metric that is not known here.

    Example:
        >>> from skysense_nb.data.catalog import benchmark
        >>> type(metric_for(benchmark("levir_cd"))).__name__
        'ChangeF1'
    """
    task = task or entry.task
    if task not in (entry.task, entry.also):
        offered = " or ".join(filter(None, (entry.task, entry.also)))
        raise ParameterError.of(f"{offered} as the task of {entry.title}", repr(task), "Choose one of these.")
    if (task, entry.metric) not in MAKERS:
        known = "; ".join(metric for of_task, metric in MAKERS if of_task == task)
        raise ParameterError.of(f"a metric of {task} among {known}", entry.metric, "Correct the catalogue entry.")
    return MAKERS[task, entry.metric](entry.class_names if classes is None else classes)
