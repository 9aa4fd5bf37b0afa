"""Light on the aerial image: cast shadows, slopes turned to the sun, and the tone curve of a camera."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic.clouds import Sun
from skysense_nb.data.synthetic.window import HR_PIXEL_M

SHADOW_LEVELS = 6
"""Shadows reach 2 ** levels − 1 pixels, 20 m."""

SKYLIGHT = np.array([0.33, 0.37, 0.43], np.float32)
"""Share of red, green and blue light that reaches a shaded spot from the blue sky."""

WHITE_REFLECTANCE = 0.33
GAMMA = 1 / 1.8


def shifted(plane: np.ndarray, right: int, down: int) -> np.ndarray:
    """A plane moved by whole pixels; what comes in from outside is very low."""
    moved = np.full_like(plane, -1e3)
    height, width = plane.shape
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = plane[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved


def shaded(height: np.ndarray, sun: Sun) -> np.ndarray:
    """True where something between the spot and the sun is too high, (H, W).

    The shadow of a surface is a surface too, lower the farther it falls; doubling the distance each time reaches
    64 pixels in six steps.
    """
    direction = sun.shadow / np.hypot(*sun.shadow)
    drop_m = HR_PIXEL_M / np.hypot(*sun.shadow)
    veil = height.copy()
    for level in range(SHADOW_LEVELS):
        step = 2**level
        right, up = np.round(step * direction).astype(int)
        fallen = shifted(veil, right, -up)
        fallen -= np.float32(step * drop_m)
        np.maximum(veil, fallen, out=veil)
    veil -= np.float32(0.35)
    return veil > height


def slope_light(height: np.ndarray, sun: Sun) -> np.ndarray:
    """Factor (H, W) around 1: slopes that face the sun are bright, others dark; walls count as steep slopes."""
    direction = -sun.shadow / np.hypot(*sun.shadow)
    right, up = np.sign(np.round(2 * direction)).astype(int)
    rise = shifted(height, right, -up)
    rise -= shifted(height, -right, up)
    rise[np.abs(rise) > 100] = 0
    np.clip(rise, -1.5, 1.5, out=rise)
    rise *= np.float32(0.42 / np.tan(np.deg2rad(sun.elevation_deg)))
    rise += np.float32(1)
    return rise


def soften(plane: np.ndarray) -> np.ndarray:
    """The blur of the lens: weights 1 4 1 along both axes."""
    inner = plane[1:-1] * np.float32(4)
    inner += plane[:-2]
    inner += plane[2:]
    result = inner[:, 1:-1] * np.float32(4)
    result += inner[:, :-2]
    result += inner[:, 2:]
    result *= np.float32(1 / 36)
    return result


def develop(reflectance: np.ndarray) -> np.ndarray:
    """From reflectance to display values 0–255, brightening the dark as cameras do."""
    curve = 255 * (np.linspace(0, 1, 4096) ** GAMMA)
    index = reflectance * np.float32(4095 / WHITE_REFLECTANCE)
    return curve.round().astype(np.uint8)[index.clip(0, 4095).astype(np.int16)]
