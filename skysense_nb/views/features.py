"""Embeddings made visible: the strongest three directions as colours, and likeness to a chosen cell."""

from __future__ import annotations

import numpy as np
import xarray as xr
from sklearn.decomposition import PCA

from skysense_nb.errors import SceneError
from skysense_nb.views.cells import check_cell
from skysense_nb.views.furniture import PERCENTILES

Embedding = xr.DataArray | np.ndarray
"""Features per cell (D, h, w); as a `DataArray` (feature, y, x) it knows where it lies."""


def pca_rgb(embedding: Embedding, fit_on: Embedding | None = None) -> np.ndarray:
    """Colours cells by their first three principal components: like colours, like features.

    Signs are fixed (the largest loading of each component is positive) and channels are scaled between the
    2nd and 98th percentile, so the picture repeats and one odd cell does not darken the rest.

    Args:
        embedding: Features (D, h, w).
        fit_on: Features that set directions and scale; give the same ones to compare several pictures.

    Returns:
        (h, w, 3) floats 0–1; cells with a missing value are NaN.

    Example:
        >>> pca_rgb(np.random.default_rng(0).random((16, 8, 8))).shape
        (8, 8, 3)
    """
    values, reference = as_cells(embedding), as_cells(embedding if fit_on is None else fit_on)
    if values.shape[1] != reference.shape[1]:
        raise SceneError.of(
            f"features of one width ({values.shape[1]})",
            f"{reference.shape[1]} to fit on",
            "Use the same model for both.",
        )
    complete = reference[np.isfinite(reference).all(axis=1)]
    if len(complete) < 2:
        raise SceneError.of("at least two cells with features", f"{len(complete)}", "Embed a larger place.")
    count = min(3, *complete.shape)
    pca = PCA(count, svd_solver="full").fit(complete)
    strongest = np.abs(pca.components_).argmax(axis=1)
    signs = np.sign(pca.components_[np.arange(count), strongest])  # 3
    low, high = np.percentile(pca.transform(complete) * signs, PERCENTILES, axis=0)
    known = np.isfinite(values).all(axis=1)
    colours = np.full((len(values), 3), np.nan)
    colours[known] = 0.5
    scaled = (pca.transform(values[known]) * signs - low) / np.maximum(high - low, 1e-12)
    colours[known, :count] = np.clip(scaled, 0, 1)
    return colours.reshape(*embedding.shape[1:], 3)


def similarity(embedding: Embedding, row: int, column: int) -> xr.DataArray:
    """Cosine similarity of every cell to the chosen one: 1 is the same direction, 0 unrelated, −1 opposite.

    Args:
        embedding: Features (D, h, w).
        row: Cell counted from the top.
        column: Cell counted from the left.

    Returns:
        (y, x) in −1…1, NaN where features are missing; keeps coordinates and CRS.

    Raises:
        SceneError: A cell outside the embedding, or one without features.

    Example:
        >>> float(similarity(np.ones((4, 2, 2)), 0, 0)[1, 1])
        1.0
    """
    _, rows, columns = as_grid(embedding).shape
    check_cell(embedding, row, column)
    cells = as_cells(embedding)
    length = np.linalg.norm(cells, axis=1, keepdims=True)
    directions = np.divide(cells, length, out=np.full_like(cells, np.nan), where=length > 0)
    chosen = directions[row * columns + column]
    if not np.isfinite(chosen).all():
        raise SceneError.of("a cell with features", f"none at row {row}, column {column}", "Choose another cell.")
    likeness = np.clip(directions @ chosen, -1, 1).reshape(rows, columns)
    if isinstance(embedding, xr.DataArray):
        return (
            embedding.isel({embedding.dims[0]: 0}, drop=True)
            .copy(data=likeness)
            .rename("similarity")
            .drop_attrs(deep=False)
        )
    return xr.DataArray(likeness, dims=("y", "x"), name="similarity")


def as_grid(embedding: Embedding) -> np.ndarray:
    """Float64 array (D, h, w)."""
    values = np.asarray(embedding, dtype="float64")
    if values.ndim != 3:
        raise SceneError.of("features (D, h, w)", f"shape {values.shape}", "Take one sample of the batch.")
    return values


def as_cells(embedding: Embedding) -> np.ndarray:
    """Cells in rows: (h·w, D)."""
    values = as_grid(embedding)
    return values.reshape(values.shape[0], -1).T
