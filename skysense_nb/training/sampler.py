"""The order of tiles: endless, shared among ranks, and resumable."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from skysense_nb.errors import ParameterError


class EndlessSampler(Sampler[int]):
    """Which tile comes next, without end; no two ranks and no two workers get the same one.

    Ranks take turns, and the workers of a rank are fed from its one sampler. With `count`, tiles of a folder are
    shuffled anew for each time through. Lightning must not replace it: `use_distributed_sampler=False`.

    Args:
        start: First position of all ranks together: 0, or what `after` gave.
        rank: Number of this process.
        ranks: How many there are.
        count: Number of tiles; without it positions are the indices, as `SyntheticPlaces` wants them.
        seed: Of the shuffling.

    Example:
        >>> from itertools import islice
        >>> list(islice(EndlessSampler(start=100, rank=1, ranks=4), 3))
        [101, 105, 109]
    """

    def __init__(self, start: int = 0, rank: int = 0, ranks: int = 1, count: int | None = None, seed: int = 0) -> None:
        if not 0 <= rank < ranks or (count is not None and count < 1):
            got = f"rank {rank} of {ranks}, {count} tiles"
            raise ParameterError.of("a rank below the number of ranks, and tiles", got, "Check the launcher.")
        self.start, self.rank, self.ranks, self.count, self.seed = start, rank, ranks, count, seed

    def __iter__(self) -> Iterator[int]:
        position = self.start + self.rank
        epoch, order = -1, []
        while True:
            if self.count is None:
                yield position
            else:
                if position // self.count != epoch:
                    epoch = position // self.count
                    generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                    order = torch.randperm(self.count, generator=generator).tolist()
                yield order[position % self.count]
            position += self.ranks

    def after(self, samples: int) -> int:
        """Where to start again once each rank has trained on `samples` tiles.

        Counted from what was trained on: workers ask for tiles long before these are used.
        """
        return self.start + samples * self.ranks
