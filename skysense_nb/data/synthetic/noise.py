"""Smooth noise at absolute coordinates: what two windows share, they compute alike to the last bit."""

from __future__ import annotations

import numpy as np

from skysense_nb.data.synthetic.hashing import Key, hashed, unit


def fade(t: np.ndarray) -> np.ndarray:
    """Quintic ramp from 0 to 1 with flat ends, so that lattice lines do not show."""
    return t * t * t * (t * (t * 6 - 15) + 10)


def gradient_noise(key: Key, x: np.ndarray, y: np.ndarray, wavelength: float) -> np.ndarray:
    """Perlin's gradient noise at any points.

    Args:
        key: Which field.
        x: Easting in metres, any shape.
        y: Northing in metres, the same shape.
        wavelength: Distance between lattice points in metres.

    Returns:
        Values around 0, nearly all within ±0.7, in the shape of `x`.
    """
    x, y = np.asarray(x) / wavelength, np.asarray(y) / wavelength
    x, y = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y  # turned, so that no lattice line runs north
    column, row = np.floor(x), np.floor(y)
    x, y = x - column, y - row
    column, row = column.astype(np.int64), row.astype(np.int64)
    across, up = fade(x), fade(y)

    corners = tuple(np.array(steps).reshape(4, *[1] * x.ndim) for steps in ((0, 1, 0, 1), (0, 0, 1, 1)))
    angle = 2 * np.pi * unit(hashed(key, column + corners[0], row + corners[1]))
    slopes = np.cos(angle) * (x - corners[0]) + np.sin(angle) * (y - corners[1])
    low = slopes[0] * (1 - across) + slopes[1] * across
    high = slopes[2] * (1 - across) + slopes[3] * across
    return low * (1 - up) + high * up


def fractal_noise(key: int, x: np.ndarray, y: np.ndarray, wavelength: float, octaves: int) -> np.ndarray:
    """Sum of gradient noises, each with half the wavelength and half the height of the one before."""
    total = np.zeros(np.shape(x))
    for octave in range(octaves):
        name = hashed(key, octave)
        total += 0.5**octave * gradient_noise(name, x, y, wavelength * 0.5**octave)
    return total


def between(lattice: np.ndarray, column: np.ndarray, row: np.ndarray, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Interpolates a lattice onto a grid, axis by axis.

    Args:
        lattice: Values h w at whole positions.
        column: Left lattice index per grid column.
        row: Lower lattice index per grid row.
        across: Weight of the right neighbour per grid column.
        up: Weight of the upper neighbour per grid row.

    Returns:
        Values H W, float32.
    """
    lattice, across, up = lattice.astype(np.float32), across.astype(np.float32), up.astype(np.float32)[:, None]
    lines = lattice[:, column] * (1 - across) + lattice[:, column + 1] * across
    grid = lines[row]
    grid *= 1 - up
    upper = lines[row + 1]
    upper *= up
    grid += upper
    return grid


def lattice_noise(key: Key, xs: np.ndarray, ys: np.ndarray, wavelength: float) -> np.ndarray:
    """Value noise on a grid, cheap enough for millions of pixels.

    Args:
        key: Which field.
        xs: Easting of the grid columns in metres.
        ys: Northing of the grid rows in metres.
        wavelength: Distance between lattice points in metres.

    Returns:
        Values H W in [-1, 1], float32.
    """
    x, y = xs / wavelength, ys / wavelength
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    columns, rows = np.arange(column.min(), column.max() + 2), np.arange(row.min(), row.max() + 2)
    lattice = 2 * unit(hashed(key, rows[:, None], columns[None, :])) - 1
    return between(lattice, column - columns[0], row - rows[0], smooth(x - column), smooth(y - row))


def smooth(t: np.ndarray) -> np.ndarray:
    """Cubic ramp from 0 to 1 with flat ends."""
    return t * t * (3 - 2 * t)


def white_bits(key: Key, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """One hashed word H W per pixel of absolute column and row number."""
    return hashed(key, rows[:, None], columns[None, :])
