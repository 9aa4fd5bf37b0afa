"""What is known of the three sensors: the only place in the library that knows it.

Band order, normalisation and the 32-to-1 alignment are those of the published SkySense encoders
(Guo et al., CVPR 2024; constants from the released code of SkySense++).
"""

from __future__ import annotations

from dataclasses import dataclass

HR_PIXELS_PER_CELL = 32
"""One Sentinel pixel covers 32 × 32 high-resolution pixels: the stride of the last HR stage."""

DAYS_IN_TABLE = 365
"""Entries of the calendar table; the last day of a leap year shares the entry of 31 December."""


@dataclass(frozen=True)
class Sensor:
    """One modality as the encoders were trained on it.

    Attributes:
        name: Key of the modality in scenes and samples (`hr`, `s2`, `s1`).
        title: Name for figures.
        bands: Band names in model order.
        wavelengths_nm: Centre wavelength per band in nanometres, empty for radar.
        pixel_size_m: Nominal ground size of a pixel in metres.
        unit: Unit of the stored values, in words.
        divisor: Stored values are divided by this before `mean` and `std` apply.
        mean: Mean per band after division.
        std: Standard deviation per band after division.
        dates_per_sample: Dates drawn per sample at pre-training (1, 20, 10 in the paper).
    """

    name: str
    title: str
    bands: tuple[str, ...]
    wavelengths_nm: tuple[float, ...]
    pixel_size_m: float
    unit: str
    divisor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dates_per_sample: int


HR = Sensor(
    name="hr",
    title="High-resolution optical",
    bands=("R", "G", "B"),
    wavelengths_nm=(660.0, 545.0, 480.0),
    pixel_size_m=0.3,
    unit="display value 0–255",
    divisor=255.0,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    dates_per_sample=1,
)

S2 = Sensor(
    name="s2",
    title="Sentinel-2 L2A",
    bands=("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"),
    wavelengths_nm=(492.0, 560.0, 665.0, 704.0, 740.0, 783.0, 833.0, 865.0, 1610.0, 2190.0),
    pixel_size_m=10.0,
    unit="surface reflectance × 10,000",
    divisor=1.0,
    mean=(884.297, 1144.162, 1297.473, 1624.910, 2194.642, 2422.212, 2517.761, 2581.647, 2368.512, 1805.068),
    std=(1155.152, 1183.629, 1368.114, 1370.265, 1355.554, 1416.515, 1474.789, 1439.309, 1455.521, 1343.484),
    dates_per_sample=20,
)

S1 = Sensor(
    name="s1",
    title="Sentinel-1 GRD",
    bands=("VV", "VH"),
    wavelengths_nm=(),
    pixel_size_m=10.0,
    unit="backscatter in dB",
    divisor=1.0,
    mean=(-12.548, -20.192),
    std=(5.257, 5.912),
    dates_per_sample=10,
)

SENSORS: dict[str, Sensor] = {"hr": HR, "s2": S2, "s1": S1}
"""The three modalities in the order in which the fusion transformer reads them."""

S2_OFFSET = -1000
"""To add to L2A digital numbers of processing baseline 04.00 and later, which are stored 1000 too high."""

S2_OFFSET_SINCE = "2022-01-25"
"""First acquisition date whose operational products carry `S2_OFFSET`."""
