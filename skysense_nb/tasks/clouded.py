"""Clouds over optical images, as many as wanted: what happens to a model, and what radar does about it."""

from __future__ import annotations

import numpy as np
import torch

from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.data.synthetic.clouds import CLOUD
from skysense_nb.data.synthetic.hashing import Dice, hashed
from skysense_nb.data.synthetic.noise import fractal_noise
from skysense_nb.errors import ParameterError
from skysense_nb.tasks.reader_layer import ReaderLayer

SPECTRA = {"s2": CLOUD, "hr": CLOUD[[2, 1, 0, 6]]}
"""Reflectance of thick cloud in the bands of Sentinel-2, and in R G B NIR."""

REFLECTANCE = 10_000
"""Stored value of a reflectance of one."""

BANKS = 2
"""Widest cloud banks across an image."""

EDGE = 0.15
"""Width of the soft edge of a cloud, in the unit of the noise its shape comes from."""


class Clouded(ReaderLayer):
    """A reader whose optical images lie under clouds of the synthetic world; radar sees through.

    All sensors and dates of a record have the clouds in the same place. There are no shadows.

    Args:
        reader: Of a benchmark whose optical images are reflectances × 10,000.
        cover: Share of the ground under cloud, 0–1; or None: another one for each record, evenly from 0 to 1.
        seed: Of the clouds.

    Raises:
        ParameterError: No share; or, when read, images of another unit.

    Example:
        >>> Clouded(open_benchmark("dyna_mm", root), cover=0.5)[0]["s2"].shape      # doctest: +SKIP
        torch.Size([1, 10, 1024, 1024])
    """

    def __init__(self, reader: Reader | ReaderLayer, cover: float | None = None, seed: int = 0) -> None:
        super().__init__(reader)
        if cover is not None and not 0 <= cover <= 1:
            raise ParameterError.of("a share from 0 to 1", f"{cover}", "0.5 covers half of the ground.")
        self.cover, self.seed = -1.0 if cover is None else float(cover), seed

    def __getitem__(self, index: int) -> Record:
        record = dict(self.reader[index])
        dice = Dice.of(self.seed, "clouds over", str(record["id"]))
        cover = self.cover if self.cover >= 0 else dice.number("cover")
        for name, spectrum in SPECTRA.items():
            if name in record:
                images = record[name]
                if not images.is_floating_point():
                    expected = f"{name} as reflectance × 10,000, a float"
                    fix = "Clouds can be laid over Sentinel-2 and Planet images."
                    raise ParameterError.of(expected, f"{images.dtype}", fix)
                cloud = torch.from_numpy(opacity(dice, images.shape[-2:], cover)).float()
                thick = REFLECTANCE * torch.from_numpy(spectrum[: images.shape[1]]).float()[:, None, None]
                record[name] = images + cloud * (thick - images)
        return record


def opacity(dice: Dice, size: tuple[int, int], cover: float) -> np.ndarray:
    """Clouds over a share of an image, H W from 0 to 1; whatever the pixel size, in the same place.

    Example:
        >>> (opacity(Dice.of("a sky"), (100, 100), 0.3) > 0).mean().round(2)
        np.float64(0.3)
    """
    height, width = size
    y, x = np.meshgrid(*((np.arange(length) + 0.5) / length for length in size), indexing="ij")
    field = fractal_noise(int(hashed(dice.bits, "shape")[0]), x, y, 1 / BANKS, 5)
    if cover >= 1:
        return np.ones((height, width))
    return np.clip((field - np.quantile(field, 1 - cover)) / EDGE, 0, 1)
