"""What a map shows: from a model and a sample to values on the ground, and from blended values to what is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from skysense_nb.errors import ParameterError
from skysense_nb.models.inference import InferenceModel
from skysense_nb.sensors import SENSORS

Sample = dict[str, Tensor]


@dataclass(frozen=True)
class Layer:
    """One raster that is written.

    Attributes:
        name: Of its file.
        bands: Names of its bands.
        dtype: Of its values.
        nodata: Where no sensor saw the ground.
        resampling: How overviews are made; `nearest` for class numbers.
        attrs: To carry, such as class names.
    """

    name: str
    bands: tuple[str, ...]
    dtype: str
    nodata: float
    resampling: str = "average"
    attrs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """One kind of map.

    Attributes:
        name: For people.
        identity: Everything a result depends on beside model and imagery, in words: a run goes on only with the same.
        read: From the model and a batch to values, B K h w; tiles overlap in these, so they must be fit to be averaged.
        layers: What is written.
        finish: From averaged values (K h w, float32) and the largest absolute value of each over the whole map (K) to
            one array per layer, each (bands, h, w).
        pixels_per_cell: h and w over the grid of ground cells.
        kept_dtype: Of values between computing and blending.
        scale: From the largest absolute values to what one step of each band is worth, for integer features.
        fits: Whether a sample holds the dates that `read` needs.
    """

    name: str
    identity: str
    read: Callable[[InferenceModel, Sample], Tensor]
    layers: tuple[Layer, ...]
    finish: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]
    pixels_per_cell: int = 1
    kept_dtype: str = "float32"
    scale: Callable[[np.ndarray], np.ndarray] | None = None
    fits: Callable[[Sample], bool] = lambda sample: has_date(sample)


def has_date(sample: Sample) -> bool:
    """Whether any sensor has a valid date."""
    return any(bool(values.any()) for key, values in sample.items() if key.endswith("_valid"))


def embedding(width: int, dtype: str = "float16") -> Product:
    """Features of every ground cell, to keep.

    Args:
        width: Of the model's richest map, `model.width`.
        dtype: `float32`, `float16`, or `int8`: each feature divided by a 127th of its largest absolute value.

    Raises:
        ParameterError: Another dtype.

    Example:
        >>> embedding(64).layers[0].dtype
        'float16'
    """
    kinds = ("float32", "float16", "int8")
    if dtype not in kinds:
        raise ParameterError.of(f"a dtype among {', '.join(kinds)}", repr(dtype), "Choose one of these.")

    def finish(values: np.ndarray, largest: np.ndarray) -> tuple[np.ndarray, ...]:
        if dtype != "int8":
            return (values.astype(dtype),)
        return (np.rint(values / quantum(largest)[:, None, None]).astype("int8"),)

    def read(model: InferenceModel, sample: Sample) -> Tensor:
        return model.features(sample, maps=False).richest

    layer = Layer("embedding", tuple(f"f{n}" for n in range(width)), dtype, -128 if dtype == "int8" else np.nan)
    return Product(
        "embedding", f"embedding as {dtype}", read, (layer,), finish,
        kept_dtype="float32" if dtype == "float32" else "float16", scale=quantum if dtype == "int8" else None,
    )  # fmt: skip


def quantum(largest: np.ndarray) -> np.ndarray:
    """What one step of an int8 embedding is worth, per feature."""
    return np.where(largest > 0, largest, 1).astype("float32") / np.float32(127)


def similarity(example: np.ndarray, about: str = "an example") -> Product:
    """Cosine similarity of every ground cell with one vector of features.

    Args:
        example: D values, from an embedding of the same model.
        about: What the example shows, in words.

    Example:
        >>> similarity(np.ones(4)).layers[0].bands
        ('similarity',)
    """
    like = torch.as_tensor(np.asarray(example, "float32"))

    def read(model: InferenceModel, sample: Sample) -> Tensor:
        richest = model.features(sample, maps=False).richest
        return torch.cosine_similarity(richest, like.to(richest)[None, :, None, None], dim=1)[:, None]

    layer = Layer("similarity", ("similarity",), "float32", np.nan, attrs={"about": about})
    identity = f"similarity to {np.array2string(like.numpy(), threshold=10**6, precision=6)}"
    return Product("similarity", identity, read, (layer,), lambda values, _: (values,))


def class_map(
    probabilities: Callable[[InferenceModel, Sample], Tensor],
    classes: tuple[str, ...],
    identity: str,
    pixels_per_cell: int = 1,
) -> Product:
    """The likeliest class and how likely it is.

    Args:
        probabilities: From the model and a batch to B K h w, which sum to one over K.
        classes: Names of the K classes.
        identity: What the head is, such as the checksum of its weights.
        pixels_per_cell: h and w over the grid of ground cells.

    Raises:
        ParameterError: More classes than fit into a byte.
    """
    if not 1 < len(classes) < 255:
        raise ParameterError.of("2 to 254 classes", f"{len(classes)}", "Merge some, or map them one by one.")

    def finish(values: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, ...]:
        return values.argmax(0)[None].astype("uint8"), values.max(0)[None].astype("float32")

    names = {"classes": ", ".join(f"{number} {name}" for number, name in enumerate(classes))}
    layers = (
        Layer("classes", ("class",), "uint8", 255, "nearest", names),
        Layer("confidence", ("confidence",), "float32", np.nan),
    )
    return Product("class map", f"{identity}, {names['classes']}", probabilities, layers, finish, pixels_per_cell)


def change(dates_before: dict[str, int]) -> Product:
    """How much each ground cell changed between two periods: one minus the cosine similarity of its features.

    Args:
        dates_before: Per sensor the number of its dates that are the first period; the others are the second.

    Example:
        >>> change({"s2": 4}).layers[0].name
        'change'
    """

    def read(model: InferenceModel, sample: Sample) -> Tensor:
        before, after = (period(sample, dates_before, first) for first in (True, False))
        maps = [model.features(part, maps=False).richest for part in (before, after)]
        return (1 - torch.cosine_similarity(*maps, dim=1))[:, None]

    def fits(sample: Sample) -> bool:
        return all(has_date(period(sample, dates_before, first)) for first in (True, False))

    layer = Layer("change", ("change",), "float32", np.nan)
    identity = f"change after {sorted(dates_before.items())} dates"
    return Product("change", identity, read, (layer,), lambda values, _: (values,), fits=fits)


def period(sample: Sample, dates_before: dict[str, int], first: bool) -> Sample:
    """A sample with the dates of one of two periods; sensors without any are left out."""
    part = {key: values for key, values in sample.items() if key == "lonlat"}
    for name in (name for name in SENSORS if name in sample):
        cut = dates_before.get(name, 0)
        dates = slice(None, cut) if first else slice(cut, None)
        if sample[name][:, dates].shape[1]:
            keys = (name, f"{name}_day", f"{name}_valid")
            part |= {key: sample[key][:, dates] for key in keys if key in sample}
    return part


def assignments(
    scores: Callable[[InferenceModel, Sample], Tensor], prototypes: int, identity: str, pixels_per_cell: int = 1
) -> Product:
    """The nearest prototype of every ground cell, and its cosine similarity.

    Args:
        scores: From the model and a batch to cosine similarities with every prototype, B K h w.
        prototypes: K.
        identity: Which prototypes these are.
        pixels_per_cell: h and w over the grid of ground cells.

    Raises:
        ParameterError: More prototypes than fit into 16 bits.
    """
    if not 1 < prototypes < 65_535:
        raise ParameterError.of("2 to 65534 prototypes", f"{prototypes}", "Choose one region's.")

    def finish(values: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, ...]:
        return values.argmax(0)[None].astype("uint16"), values.max(0)[None].astype("float32")

    layers = (
        Layer("prototype", ("prototype",), "uint16", 65_535, "nearest"),
        Layer("similarity", ("similarity",), "float32", np.nan),
    )
    return Product("assignments", identity, scores, layers, finish, pixels_per_cell)
