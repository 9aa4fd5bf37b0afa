"""A model that changes nothing, one random convolution, and products that show what they read."""

import numpy as np
import torch
from small_scenes import make_image
from torch import nn

from skysense_nb.data.scene import build
from skysense_nb.mapping import Layer, Product
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.sensors import SENSORS

PIXELS = {"hr": 32, "s2": 1, "s1": 1}


class Identity(MultiModalModel):
    """Has no use of its own: products read the sample. `calls` counts batches."""

    def __init__(self, seed: int = 0) -> None:
        nn.Module.__init__(self)
        torch.manual_seed(seed)
        self.modalities, self.name, self.calls = ("hr", "s2", "s1"), "identity", 0
        self.receipt, self.first_use = None, None
        self.convolution = nn.Conv2d(3, 2, 5, padding=2)

    def channels(self, name: str) -> int:
        return len(SENSORS[name].bands)

    def widths(self, name: str) -> tuple[int, ...]:
        return (1,)

    def encode_images(self, name, images):
        return [images]

    def spread(self, name, deepest):
        return deepest


def same(name: str) -> Product:
    """What the model would read of one sensor, first date."""

    def read(model, sample):
        model.calls += 1
        return sample[name][:, 0]

    return product(name, read, SENSORS[name].bands, PIXELS[name])


def convolved() -> Product:
    """A random convolution of HR, which looks two pixels far."""
    return product("conv", lambda model, sample: model.convolution(sample["hr"][:, 0]), ("one", "two"), 32)


def product(name, read, bands, pixels_per_cell=1) -> Product:
    layer = Layer(name, tuple(bands), "float32", np.nan)
    return Product(name, name, read, (layer,), lambda values, _: (values,), pixels_per_cell)


def region(rows=20, columns=35, hr_pixel=10 / 32, dates=2, sensors=("hr", "s2"), seed=0):
    """Random images of several sensors on rows × columns cells of 10 m."""
    images = {name: make_image(name, rows, columns, dates, 10.0, seed) for name in sensors if name != "hr"}
    if "hr" in sensors:
        ratio = round(10 / hr_pixel)
        images["hr"] = make_image("hr", rows * ratio, columns * ratio, 1, hr_pixel, seed).clip(1, 255)
    return build(**images)
