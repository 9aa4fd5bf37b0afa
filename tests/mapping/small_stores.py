"""Embedding stores of random features, written as a map is."""

import json

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from small_scenes import CORNER, CRS

from skysense_nb.mapping import embedding
from skysense_nb.mapping.products import quantum
from skysense_nb.mapping.store import EmbeddingStore
from skysense_nb.mapping.writers import ZarrWriter

SIDE = 16
"""Cells along a chunk."""


def features(width=6, rows=40, columns=53, seed=0) -> np.ndarray:
    """Smooth random features (D, h, w) of different sizes, with a hole."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(width, rows // 4 + 1, columns // 4 + 1)).repeat(4, 1).repeat(4, 2)[:, :rows, :columns]
    values = values + rng.normal(0, 0.3, values.shape)
    values *= np.geomspace(0.1, 10, width)[:, None, None]
    values[:, 14:20, 30:36] = np.nan
    return values.astype("float32")


def grid_of(values, crs=CRS, corner=CORNER, step=10.0) -> GeoBox:
    return GeoBox(values.shape[1:], Affine(step, 0, corner[0], 0, -step, corner[1]), crs)


def make_store(folder, values, dtype="float32", weights="ab12", grid=None) -> EmbeddingStore:
    """A store of D h w values, NaN for gaps."""
    product = embedding(len(values), dtype)
    layer, largest = product.layers[0], np.nanmax(np.abs(values), (1, 2))
    attrs = {"model": "toy, weights none", "weights": weights, "product": "embedding", "dates": "s2 1: 2021-04-01"}
    if dtype == "int8":
        attrs["scale"] = json.dumps(quantum(largest).tolist())
    folder.mkdir(exist_ok=True)
    writer = ZarrWriter(folder, layer, grid or grid_of(values), attrs, SIDE)
    (stored,) = product.finish(np.nan_to_num(values), largest)
    writer.write(slice(None), slice(None), np.where(np.isnan(values), np.array(layer.nodata, dtype), stored))
    writer.close()
    return EmbeddingStore(writer.path)
