"""Training shares of benchmarks that have no official split: drawn once with a seed, written beside the data."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from skysense_nb.data.benchmarks.files import Root, read_json
from skysense_nb.data.benchmarks.reader import NOTES, write_notes
from skysense_nb.errors import DatasetError


def class_share(root: Root, name: str, classes: dict[str, int], share: float, seed: int) -> set[str]:
    """The training part: the same share of every class, rounded half up, at least one of each.

    The draw is written to the root and read from there the next time, so that it can be handed on.

    Args:
        root: Of the benchmark.
        name: Of the benchmark.
        classes: Class id per sample id.
        share: Of each class, 0–1.
        seed: Of the draw.

    Raises:
        DatasetError: The draw on disk is of other files than those found.
    """
    path = root.inside(NOTES, f"{name}-{share:g}-seed{seed}.json")
    if path.exists():
        stored = read_json(path)
        if stored["samples"] != len(classes) or not set(stored["train"]) <= classes.keys():
            got = f"{len(classes)} samples, or others"
            raise DatasetError.of(
                f"the {stored['samples']} samples of {path}", got, "Unpack again, or delete the draw."
            )
        return set(stored["train"])
    by_class = defaultdict(list)
    for sample in sorted(classes):
        by_class[classes[sample]].append(sample)
    dice, drawn = np.random.default_rng(seed), []
    for kind in sorted(by_class):
        count = max(1, int(len(by_class[kind]) * share + 0.5))
        drawn += dice.permutation(by_class[kind])[:count].tolist()
    write_notes(path, {"samples": len(classes), "share": share, "seed": seed, "train": sorted(drawn)})
    return set(drawn)
