"""A number over earlier runs as a line of a word's height (Tufte's sparkline), drawn as SVG inside a page."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 72, 24, 3
"""In pixels; the edge leaves room for the last dot."""


def sparkline(values: Sequence[float]) -> str:
    """A line from the oldest value to the newest, which is a dot; nothing where there is only one.

    Args:
        values: Oldest first, finite.

    Example:
        >>> "2 runs, from 0.5 to 0.75" in sparkline([0.5, 0.75])
        True
    """
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    steps = [index / (len(values) - 1) for index in range(len(values))]
    levels = [(value - low) / (high - low) if high > low else 0.5 for value in values]
    points = [
        (round(EDGE + x * (WIDTH - 2 * EDGE), 1), round(HEIGHT - EDGE - y * (HEIGHT - 2 * EDGE), 1))
        for x, y in zip(steps, levels, strict=True)
    ]
    words = f"{len(values)} runs, from {values[0]:.4g} to {values[-1]:.4g}; lowest {low:.4g}, highest {high:.4g}"
    path = " ".join(f"{x},{y}" for x, y in points)
    return (
        f'<svg class="spark" role="img" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<title>{words}</title><polyline points="{path}"/>'
        f'<circle cx="{points[-1][0]}" cy="{points[-1][1]}" r="{EDGE}"/></svg>'
    )
