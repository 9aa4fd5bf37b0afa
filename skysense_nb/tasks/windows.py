"""Large images, or images that differ in size, as windows of one size: what batches and memory need."""

from __future__ import annotations

from skysense_nb.data.benchmarks.reader import IGNORED, Reader, Record
from skysense_nb.errors import ParameterError
from skysense_nb.sensors import SENSORS
from skysense_nb.tasks.reader_layer import ReaderLayer


class Windows(ReaderLayer):
    """A reader whose records are cut into windows side by side.

    Where windows do not fit, the last ones of a row or column begin earlier; what another window already has is
    ignored in their masks (255), so that every pixel is learned and counted once.

    Args:
        reader: Of a benchmark with masks and images on one grid. All masks are read once, to know their sizes.
        side: Of a window, pixels.

    Raises:
        ParameterError: An image is smaller than a window.

    Example:
        >>> Windows(open_benchmark("levir_cd", root), side=256)[0]["hr"].shape      # doctest: +SKIP
        torch.Size([2, 3, 256, 256])
    """

    def __init__(self, reader: Reader | ReaderLayer, side: int) -> None:
        super().__init__(reader)
        self.side = side
        self.places = [
            (number, top, left)
            for number in range(len(reader))
            for top, left in grid(tuple(reader[number]["mask"].shape[-2:]), side)
        ]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Record:
        number, top, left = self.places[index]
        record = self.reader[number]
        cut = {name: value for name, value in record.items() if name not in ("crs", "transform")}
        for name in ("mask", *SENSORS):
            if name in record:
                cut[name] = record[name][..., top : top + self.side, left : left + self.side].clone()
        cut["mask"][..., : -top % self.side, :] = IGNORED
        cut["mask"][..., :, : -left % self.side] = IGNORED
        return cut | {"id": f"{record['id']} at {top}, {left}"}


def grid(size: tuple[int, int], side: int) -> list[tuple[int, int]]:
    """Top and left of the windows of an image of (height, width).

    Raises:
        ParameterError: It is smaller than a window.

    Example:
        >>> grid((4, 5), 4)
        [(0, 0), (0, 1)]
    """
    if side < 1 or min(size) < side:
        expected = f"windows of 1 to {min(size)} pixels"
        raise ParameterError.of(expected, f"{side}", "Choose a side that fits into every image.")
    rows, columns = (sorted({min(start, length - side) for start in range(0, length, side)}) for length in size)
    return [(top, left) for top in rows for left in columns]
