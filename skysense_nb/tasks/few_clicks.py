"""A map from a few labelled cells: a linear head on frozen features, its honest score, and where to click next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skysense_nb.errors import SampleError

STRENGTH = 10.0
"""Inverse of the regularisation, scikit-learn's C, on features of mean length one; our choice."""

BLOCKS = 8
"""Cross-validation cuts the shorter side of a place into this many blocks; our choice."""

FOLDS = 10
"""Most parts that cross-validation leaves out in turn."""


class Click(NamedTuple):
    """A labelled cell.

    Attributes:
        row, column: From the top and from the left.
        label: Number of its class, from 0.
        held_out: Kept for the score: nothing is trained on it.
    """

    row: int
    column: int
    label: int
    held_out: bool = False


class HeldOut(NamedTuple):
    """How many cells that the head was not trained on it names right.

    Attributes:
        right: Of these.
        count: That were scored.
    """

    right: int
    count: int

    @property
    def accuracy(self) -> float:
        """Share that is right, 0–1."""
        return self.right / self.count


class FewClickHead:
    """Logistic regression from the features of clicked cells to a class for every cell.

    Features are standardised over the place and divided by the square root of their number, once, so that cells have
    a mean length of one and the same regularisation suits 15 bands and 2,816 features. Classes weigh alike however
    often each was clicked. The regularised optimum lies in the span of the clicked cells' features: it is found there,
    in as many numbers as there are clicks, exactly and fast however wide the features are.

    Args:
        features: D h w; cells with a missing value get no class.
        classes: How many there are.
        strength: Inverse of the regularisation, scikit-learn's C.

    Raises:
        SampleError: Not D h w, or fewer than two cells with features.

    Example:
        >>> head = FewClickHead(np.tile([[[0.0, 0.0, 1.0, 1.0]]], (3, 4, 1)), classes=2)
        >>> head.probabilities([Click(0, 0, 0), Click(0, 3, 1)]).argmax(0)[2].tolist()
        [0, 0, 1, 1]
    """

    def __init__(self, features: np.ndarray, classes: int, strength: float = STRENGTH) -> None:
        values = np.asarray(features, dtype="float32")
        if values.ndim != 3:
            raise SampleError.of("features (D, h, w)", f"shape {values.shape}", "Take one place.")
        self.shape, self.classes, self.strength = values.shape[1:], classes, strength
        cells = values.reshape(len(values), -1).T
        self.known = np.isfinite(cells).all(1)
        if self.known.sum() < 2:
            raise SampleError.of("at least two cells with features", f"{self.known.sum()}", "Embed a larger place.")
        mean, spread = cells[self.known].mean(0), cells[self.known].std(0)
        still = spread <= 1e-6 * np.abs(mean)  # a feature that says the same everywhere
        self.cells = (cells - mean) / np.where(still, np.inf, spread) / np.sqrt(np.float32(len(values)))  # N D

    def probabilities(self, clicks: Sequence[Click]) -> np.ndarray:
        """Trains on the clicks that are not held out and asks for every cell.

        Args:
            clicks: In any order.

        Returns:
            K h w fp32, sums to one over classes; 0 for classes without a click, NaN for cells without features.

        Raises:
            SampleError: Clicks of fewer than two classes, outside the place, of unknown classes or on empty cells.
        """
        trained = [click for click in clicks if not click.held_out]
        self.check(trained)
        found = np.full((len(self.cells), self.classes), np.nan, "float32")
        found[self.known] = self.predict(trained, self.cells[self.known])
        return found.T.reshape(self.classes, *self.shape)

    def held_out(self, clicks: Sequence[Click]) -> HeldOut | None:
        """Scores the held-out clicks with a head trained on the others; None without any.

        A head never sees the label of a held-out click. It may see its neighbour: hold out clicks that lie apart.
        """
        kept = [click for click in clicks if click.held_out]
        trained = [click for click in clicks if not click.held_out]
        if not kept or len({click.label for click in trained}) < 2:
            return None
        self.check(trained)
        self.check_inside(kept)
        said = self.predict(trained, self.cells[self.numbers(kept)]).argmax(1)
        return HeldOut(int((said == [click.label for click in kept]).sum()), len(kept))

    def cross_validated(self, clicks: Sequence[Click]) -> HeldOut | None:
        """Scores the clicks that are not held out, each by a head trained without any click of its spatial block.

        Blocks are an eighth of the place's shorter side, so no neighbour tells the answer except across their borders.
        A click whose class was clicked in no other block cannot be named and is not counted.

        Returns:
            None where fewer than two classes have two clicks, or fewer than two can be counted.
        """
        trained = sorted(click for click in clicks if not click.held_out)
        if len({click.label for click in trained}) < 2:
            return None
        self.check(trained)
        side = max(1, min(self.shape) // BLOCKS)
        blocks = sorted({(click.row // side, click.column // side) for click in trained})
        part = [blocks.index((click.row // side, click.column // side)) % FOLDS for click in trained]
        right, counted = 0, []
        for one in sorted(set(part)):
            rest = [click for click, its in zip(trained, part, strict=True) if its != one]
            known = {click.label for click in rest}
            asked = [click for click, its in zip(trained, part, strict=True) if its == one and click.label in known]
            if asked and len(known) > 1:
                said = self.predict(rest, self.cells[self.numbers(asked)]).argmax(1)
                right += int((said == [click.label for click in asked]).sum())
                counted += [click.label for click in asked]
        return HeldOut(right, len(counted)) if len(set(counted)) > 1 else None

    def predict(self, trained: Sequence[Click], asked: np.ndarray) -> np.ndarray:
        """Probabilities m K for the standardised features m D, after training on the clicks."""
        from sklearn.linear_model import LogisticRegression

        trained = sorted(trained)  # the same clicks in another order give the same numbers
        seen = self.cells[self.numbers(trained)].astype("float64")  # n D
        _, _, span = np.linalg.svd(seen, full_matrices=False)  # rank D
        model = LogisticRegression(C=self.strength, class_weight="balanced", max_iter=1000)
        model.fit(seen @ span.T, [click.label for click in trained])
        towards = (model.coef_ @ span).astype("float32")  # K D, or 1 D for two classes
        logits = asked @ towards.T + model.intercept_.astype("float32")
        logits = np.concatenate([np.zeros_like(logits), logits], 1) if len(model.classes_) == 2 else logits
        belief = np.exp(logits - logits.max(1, keepdims=True))
        found = np.zeros((len(asked), self.classes), "float32")
        found[:, model.classes_] = belief / belief.sum(1, keepdims=True)
        return found

    def numbers(self, clicks: Sequence[Click]) -> list[int]:
        """Where the clicked cells stand among all."""
        return [click.row * self.shape[1] + click.column for click in clicks]

    def check_inside(self, clicks: Sequence[Click]) -> None:
        """Refuses clicks outside the place, of unknown classes, or on cells without features."""
        rows, columns = self.shape
        for row, column, label, _ in clicks:
            if not (0 <= row < rows and 0 <= column < columns and 0 <= label < self.classes):
                expected = f"rows 0–{rows - 1}, columns 0–{columns - 1}, classes 0–{self.classes - 1}"
                raise SampleError.of(expected, f"row {row}, column {column}, class {label}", "Click inside.")
            if not self.known[row * columns + column]:
                raise SampleError.of("a cell with features", f"none at row {row}, column {column}", "Choose another.")

    def check(self, clicks: Sequence[Click]) -> None:
        """Refuses clicks that nothing can be learned from."""
        self.check_inside(clicks)
        if (count := len({click.label for click in clicks})) < 2:
            raise SampleError.of("clicks of two classes or more", f"of {count}", "Click another class.")


def suggest(probabilities: np.ndarray, clicks: Sequence[Click] = (), away: int = 3) -> tuple[int, int]:
    """The cell to click next: where the two best classes are closest, away from earlier clicks.

    This is margin sampling (Scheffer et al., 2001), with a distance added so that suggestions do not crowd.

    Args:
        probabilities: K h w.
        clicks: Cells up to `away` cells from these, along rows and columns, are not suggested.
        away: In cells.

    Returns:
        Row and column; the first in reading order among equals.

    Raises:
        SampleError: Every cell lies near a click, or none has a class.

    Example:
        >>> suggest(np.array([[[0.9, 0.6, 0.2]], [[0.1, 0.4, 0.8]]]))
        (0, 1)
    """
    best = np.sort(np.asarray(probabilities), axis=0)[-2:]  # NaN sorts last and stays NaN below
    margin = best[1] - best[0]
    for click in clicks:
        margin[
            max(click.row - away, 0) : click.row + away + 1, max(click.column - away, 0) : click.column + away + 1
        ] = np.nan
    if np.isnan(margin).all():
        raise SampleError.of("a cell away from all clicks", "none", "Take a smaller distance, or stop clicking.")
    row, column = np.unravel_index(int(np.nanargmin(margin)), margin.shape)
    return int(row), int(column)
