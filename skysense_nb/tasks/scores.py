"""How well a task was done: one number that papers report, and what is behind it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scores:
    """Result of a metric.

    Attributes:
        metric: Its name in the field, such as "mIoU".
        value: 0–1; NaN where it is not defined.
        per_class: By class name, of classes that the truth has.
        others: Further figures of the same predictions, by name.

    Example:
        >>> print(Scores("mIoU", 0.5, {"water": 0.75, "road": 0.25}))
        mIoU 50.0 %: road 25.0, water 75.0
    """

    metric: str
    value: float
    per_class: dict[str, float] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        ranked = sorted(self.per_class.items(), key=lambda pair: pair[1])
        listed = ", ".join(f"{name} {100 * value:.1f}" for name, value in ranked)
        return f"{self.metric} {100 * self.value:.1f} %" + (f": {listed}" if listed else "")
