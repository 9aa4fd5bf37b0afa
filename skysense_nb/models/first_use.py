"""What is left to do when a large weights file was opened without being read: on first use, look at every value."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from torch import nn

from skysense_nb.errors import CheckpointError
from skysense_nb.models.weight_files import NEXT_STEP, sound
from skysense_nb.runtime import MIB

LARGE = 256 * MIB
"""Files from here on are opened at once and read when they are first used; smaller ones are read when opened."""


@dataclass
class FirstUse:
    """Reads the mapped tensors of a model in, with a line of progress, and refuses a damaged file.

    Attributes:
        names: Keys of the model's tensors that come from files, as these spell them.
    """

    names: dict[str, str] = field(default_factory=dict)

    def look(self, model: nn.Module) -> None:
        """Looks at every tensor once.

        Raises:
            CheckpointError: Values that are not finite; asked again, it raises again.
        """
        tensors = {name: tensor for key, tensor in model.state_dict().items() if (name := self.names.get(key))}
        total, seen = sum(tensor.nbytes for tensor in tensors.values()), 0
        for name, tensor in tensors.items():
            if not sound(tensor):
                raise CheckpointError.of("dense, finite numbers", name, NEXT_STEP)
            seen += tensor.nbytes
            progress(seen, total)


def progress(seen: int, total: int) -> None:
    """One line that overwrites itself, where somebody may look."""
    if sys.stderr.isatty():
        end = "\n" if seen == total else ""
        print(f"\rReading weights: {seen / MIB:.0f} of {total / MIB:.0f} MiB", end=end, file=sys.stderr, flush=True)
