"""Reflectances of high-resolution images as display values, which is what HR encoders were trained on."""

from __future__ import annotations

from skysense_nb.data.benchmarks.reader import Reader, Record
from skysense_nb.data.synthetic.light import GAMMA, WHITE_REFLECTANCE
from skysense_nb.errors import ParameterError
from skysense_nb.tasks.reader_layer import ReaderLayer

WHITE = 10_000 * WHITE_REFLECTANCE
"""Stored reflectance that is shown as white by default."""


class Displayed(ReaderLayer):
    """A reader whose HR images are R G B from 0 to 255; records without HR stay as they are.

    Planet images are reflectances × 10,000 with a fourth, near infrared band, which is left out.

    Args:
        reader: Of a benchmark such as DynamicEarthNet.
        white: Reflectance × 10,000 that becomes 255; what is brighter, too.
        gamma: Exponent of the tone curve; below one it lifts the dark parts.

    Raises:
        ParameterError: No positive number; or, when read, HR images that are no reflectances.

    Example:
        >>> Displayed(open_benchmark("dyna_mm", root))[0]["hr"].shape      # doctest: +SKIP
        torch.Size([1, 3, 1024, 1024])
    """

    def __init__(self, reader: Reader | ReaderLayer, white: float = WHITE, gamma: float = GAMMA) -> None:
        super().__init__(reader)
        if min(white, gamma) <= 0:
            raise ParameterError.of("white and gamma above 0", f"{white}, {gamma}", "3300 and 0.6 suit Planet images.")
        self.white, self.gamma = float(white), float(gamma)

    def __getitem__(self, index: int) -> Record:
        record = self.reader[index]
        if "hr" not in record:
            return record
        images = record["hr"]
        if not images.is_floating_point():
            fix = "Pass the reader itself: these are display values."
            raise ParameterError.of("hr as reflectance × 10,000, a float", f"{images.dtype}", fix)
        return record | {"hr": 255 * (images[:, :3] / self.white).clamp(0, 1) ** self.gamma}
