"""Watches a run for collapse: a loss can fall because student and teacher agree to say nothing."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from skysense_nb.pretraining.contrast import Contrast

ROWS = 512
"""Rows of features that are looked at: bounds the time of the singular values."""


class Collapse:
    """Running measures of what a source's targets and features still tell apart.

    The entropy of the mean target minus the mean entropy of a target is what a prototype tells of its place. It is
    zero in both deaths of a DINO-like contrast: everything gets the same prototypes, or nothing gets any. The mean
    target runs over batches, since a single one may show a single kind of place. Measures are of this rank.
    Thresholds are our choice. An untrained network says the same of everything: ask for `words` after the warm-up.

    Args:
        information_below: Warn when targets tell less, in fractions of log K.
        rank_below: Warn when features are spread over fewer directions.
        momentum: Of the running means.

    Example:
        >>> watch = Collapse()
        >>> watch.observe_features("fused", torch.ones(50, 24))
        >>> print(watch.words())
        The features of fused lie in 1.0 directions: places are no longer told apart. Lower the learning rate.
    """

    def __init__(self, information_below: float = 0.05, rank_below: float = 2.0, momentum: float = 0.9) -> None:
        self.information_below, self.rank_below, self.momentum = information_below, rank_below, momentum
        self.targets: dict[str, Tensor] = {}
        self.entropies: dict[str, float] = {}
        self.ranks: dict[str, float] = {}

    def observe(self, source: str, contrast: Contrast) -> None:
        """Takes in the last targets of each level of a source (hr, s2, s1 or fused)."""
        for level, last in contrast.last.items():
            if last.rows:
                entropy = float(last.entropy) / math.log(len(last.mean))
                self.follow(self.targets, f"{source}/{level}", last.mean)
                self.follow(self.entropies, f"{source}/{level}", entropy)

    def observe_features(self, source: str, features: Tensor) -> None:
        """Takes in features of a source, n D, of the teacher or the student."""
        self.follow(self.ranks, source, effective_rank(features))

    def follow(self, running: dict[str, Any], name: str, now: float | Tensor) -> None:
        """Moves one running mean to what is seen now; the first value starts it."""
        running[name] = self.momentum * running.get(name, now) + (1 - self.momentum) * now

    def state(self) -> dict[str, float]:
        """All measures, for the log.

        Per source and level, in fractions of log K: `entropy` of a target (1: says nothing; 0: names one prototype),
        `entropy_of_mean` target (0: always the same one), `information`, their difference. Per source:
        `effective_rank` of the features.
        """
        measures = {}
        for name, target in self.targets.items():
            spread = float(torch.special.entr(target).sum()) / math.log(len(target))
            measures[f"{name}/entropy"] = self.entropies[name]
            measures[f"{name}/entropy_of_mean"] = spread
            measures[f"{name}/information"] = spread - self.entropies[name]
        return measures | {f"{source}/effective_rank": rank for source, rank in self.ranks.items()}

    def words(self) -> str | None:
        """One sentence of warning and one of advice for the first sign of collapse, or None."""
        measures = self.state()
        for name, entropy in self.entropies.items():
            if measures[f"{name}/information"] < self.information_below:
                where = " of ".join(reversed(name.split("/")))
                if entropy > 1 - self.information_below:
                    return f"The {where} targets name no prototype: they say nothing. Lower the teacher's temperature."
                return (
                    f"All places get the same prototypes ({where}). Lower the learning rate or the centre's momentum."
                )
        for source, rank in self.ranks.items():
            if rank < self.rank_below:
                told = f"The features of {source} lie in {rank:.1f} directions: places are no longer told apart."
                return f"{told} Lower the learning rate."
        return None


def effective_rank(features: Tensor) -> float:
    """Over how many directions features are spread: exp(entropy) of the singular values of centred rows.

    Roy and Vetterli 2007. Looks at evenly strided rows where there are more than 512.

    Args:
        features: n D.

    Returns:
        1, for rows that are equal or on a line, to min(n − 1, D).

    Example:
        >>> round(effective_rank(torch.cat((torch.eye(4), -torch.eye(4)))), 3)
        4.0
    """
    rows = features.detach().float()
    rows = rows[:: max(1, math.ceil(len(rows) / ROWS))]
    values = torch.linalg.svdvals(rows - rows.mean(0))
    values = values * (values > 1e-6 * rows.norm())  # what rounding leaves of equal rows
    return float(torch.special.entr(values / values.sum().clamp(min=1e-12)).sum().exp())
