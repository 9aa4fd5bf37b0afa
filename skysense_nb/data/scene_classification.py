"""The classes that come with Sentinel-2 L2A (SCL), and the mask `clear` made of them."""

from __future__ import annotations

import xarray as xr

CLEAR_CLASSES = (4, 5, 6, 7, 11)
"""Vegetation, bare ground, water, unclassified, snow. Which classes count as clear is our choice."""

CLOUD = 9
"""High probability of cloud."""


def clear_of(classes: xr.DataArray) -> xr.DataArray:
    """True where the ground is seen: `CLEAR_CLASSES`, so neither cloud, shadow, defect nor gap.

    Args:
        classes: Class per pixel, 0–11, in any shape.

    Example:
        >>> clear_of(xr.DataArray([4, 3, 9, 0, 11])).values.tolist()
        [True, False, False, False, True]
    """
    return classes.isin(CLEAR_CLASSES)
