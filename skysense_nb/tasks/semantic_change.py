"""The score of DynamicEarthNet for semantic change: which pixels changed, and into what.

Toker et al., "DynamicEarthNet: Daily Multi-Spectral Satellite Dataset for Semantic Change Segmentation", CVPR 2022.
The numbers are those of the scorer its authors published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from skysense_nb.errors import ParameterError, SampleError

Series = Mapping[str, ArrayLike] | Sequence[ArrayLike]
"""Label maps of several cubes, T H W each, by name or in order."""


@dataclass(frozen=True)
class SemanticChange:
    """Scores of land cover and its change, 0–1.

    Attributes:
        scs: Semantic change segmentation, the mean of `bc` and `sc`.
        bc: Binary change: IoU of the pixels that change from one month to the next, all cubes taken together.
        sc: Semantic change: mean IoU of the later month on the pixels that truly changed; NaN where none did.
        miou: Of all months; classes that neither truth nor prediction have do not count.
        iou: Per class, of all months; 0 for a class that neither has.
    """

    scs: float
    bc: float
    sc: float
    miou: float
    iou: tuple[float, ...]

    def __str__(self) -> str:
        return f"SCS {self.scs:.1%} (BC {self.bc:.1%}, SC {self.sc:.1%}), mIoU {self.miou:.1%}"


def semantic_change_scores(truth: Series, prediction: Series, classes: int = 6, ignored: int = 255) -> SemanticChange:
    """Scores monthly land-cover maps by how well their changes are seen.

    Pairs are consecutive maps of one cube, so a month that is left out makes one pair of its neighbours. A pixel that
    becomes `ignored`, or stops to be, has changed, but what it became counts in neither `sc` nor `miou`. `sc` is
    averaged over the classes of the truth, `miou` over those of truth or prediction. The published scorer counts 24
    maps per cube; here each cube may have its own number.

    Args:
        truth: Per cube T H W, ids below `classes`, or `ignored`.
        prediction: The same cubes and sizes, ids below `classes`.
        classes: Number of classes.
        ignored: Id in the truth of what is not known.

    Raises:
        SampleError: Other cubes, sizes or ids in the prediction than in the truth, or a cube of one month.
        ParameterError: The id of a class is to be ignored.

    Example:
        >>> months = [[[0, 1]], [[0, 5]]]
        >>> semantic_change_scores([months], [months]).scs
        1.0
    """
    if 0 <= ignored < classes:
        raise ParameterError.of(f"an ignored id outside of 0 to {classes - 1}", f"{ignored}", "Pass 255.")
    binary, semantic, all_months = np.zeros((2, 2), int), np.zeros((classes, classes), int), 0
    for cube, maps, guesses in paired(truth, prediction):
        check(cube, maps, guesses, classes, ignored)
        for month in range(len(maps)):
            all_months += confusion(maps[month], guesses[month], classes)
            if month == 0:
                continue
            changed, guessed = maps[month - 1] != maps[month], guesses[month - 1] != guesses[month]
            binary += np.bincount(2 * changed.ravel() + guessed.ravel(), minlength=4).reshape(2, 2)
            semantic += confusion(maps[month][changed], guesses[month][changed], classes)
    bc = ious(binary)[1]
    sc = mean(ious(semantic), counted=semantic.sum(1) > 0)
    per_class, seen = ious(all_months), all_months.sum(0) + all_months.sum(1) > 0
    return SemanticChange((bc + sc) / 2, bc, sc, mean(per_class, seen), tuple(per_class))


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Counts of pixels by true class (rows) and predicted class, without those whose truth is no class.

    Example:
        >>> confusion(np.array([0, 1, 255]), np.array([1, 1, 1]), 2).tolist()
        [[0, 1], [0, 1]]
    """
    known = (truth >= 0) & (truth < classes)
    pairs = truth[known].astype(np.int64) * classes + prediction[known]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def ious(counts: np.ndarray) -> list[float]:
    """Intersection over union per class of a confusion; 0 where there is no union."""
    hits = counts.diagonal()
    return (hits / np.maximum(counts.sum(0) + counts.sum(1) - hits, 1)).tolist()


def mean(values: list[float], counted: np.ndarray) -> float:
    """Sum of all values over the number of those that count; NaN where none does."""
    return sum(values) / int(counted.sum()) if counted.any() else float("nan")


def paired(truth: Series, prediction: Series) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, truth and prediction of each cube."""
    sides = [
        dict(side) if isinstance(side, Mapping) else {str(number): maps for number, maps in enumerate(side)}
        for side in (truth, prediction)
    ]
    if sides[0].keys() != sides[1].keys() or not sides[0]:
        got = f"{len(sides[0])} and {len(sides[1])}, or others"
        raise SampleError.of("the same cubes in truth and prediction", got, "Pass both for every cube.")
    return [(cube, as_array(maps), as_array(sides[1][cube])) for cube, maps in sides[0].items()]


def as_array(maps: ArrayLike | torch.Tensor) -> np.ndarray:
    """Maps as an array, from whichever device they are on."""
    return maps.cpu().numpy() if isinstance(maps, torch.Tensor) else np.asarray(maps)


def check(cube: str, truth: np.ndarray, prediction: np.ndarray, classes: int, ignored: int) -> None:
    """Refuses a cube whose maps do not fit together, and ids that are none."""
    if truth.ndim != 3 or truth.shape != prediction.shape or len(truth) < 2:
        got = f"{truth.shape} and {prediction.shape}"
        raise SampleError.of(f"truth and prediction T H W of two or more months for cube {cube}", got, "Stack maps.")
    if not all(np.issubdtype(maps.dtype, np.integer) for maps in (truth, prediction)):
        got = f"{truth.dtype} and {prediction.dtype}"
        raise SampleError.of(f"whole numbers as ids in cube {cube}", got, "Take the argmax over classes first.")
    for maps, name, known in ((truth, "truth", [ignored]), (prediction, "prediction", [])):
        wrong = (maps < 0) | (maps >= classes)
        if (wrong & ~np.isin(maps, known)).any():
            got = f"{sorted(set(np.unique(maps[wrong]).tolist()) - set(known))}"
            raise SampleError.of(f"ids from 0 to {classes - 1} in the {name} of cube {cube}", got, "Map them first.")
