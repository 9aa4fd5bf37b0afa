"""How the values of a view are disturbed, sensor by sensor: light and sharpness of HR, light of S2, speckle of S1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skysense_nb.errors import EnvironmentProblem
from skysense_nb.sensors import SENSORS

if TYPE_CHECKING:
    from skysense_nb.pretraining.crops import CropPlan

BLUR_SIGMA = (0.1, 2.0)
BLUR_KERNEL = 13
SOLARISE_FROM = 0.5
"""Blur in pixels and threshold as in DINO (Caron et al. 2021); the kernel reaches three sigma to each side."""


def disturb(sample: dict[str, Tensor], plan: CropPlan, role: int, generator: torch.Generator) -> None:
    """Changes the values of a view in its sample: `role` 0 first, 1 second, 2 small."""
    for name in [name for name in SENSORS if name in sample]:
        images = sample[name]
        if name == "hr":
            images = disturb_hr(images.flatten(0, 1), plan, role, generator).view_as(images)
        elif name == "s2":
            images = disturb_s2(images, plan, generator)
        elif plan.s1_noise_db:
            images = images + noise_like(images, generator) * plan.s1_noise_db / statistics("s1", images)[1]
        sample[name] = images.masked_fill(~sample[f"{name}_valid"][:, :, None, None, None], 0)


def disturb_hr(images: Tensor, plan: CropPlan, role: int, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, blur and solarisation of normalised images n C H W, on values from 0 to 1."""
    if not (plan.brightness or plan.contrast or plan.blur[role] or plan.solarise[role]):
        return images
    mean, std = statistics("hr", images)
    draws = torch.rand(len(images), 5, generator=generator)
    blurred, solarised = draws[:, 0] < plan.blur[role], draws[:, 1] < plan.solarise[role]  # n each
    low, high = BLUR_SIGMA
    sigma = (low + (high - low) * draws[:, 2, None]).expand(-1, 2)
    strength = torch.tensor([plan.brightness, plan.contrast])
    light, spread = (1 + (2 * draws[:, 3:] - 1) * strength).to(images).T[..., None, None, None]  # n 1 1 1 each
    values = (images * std + mean) * light
    middle = values.mean((1, 2, 3), keepdim=True)
    values = (middle + spread * (values - middle)).clamp(0, 1)
    if blurred.any() or solarised.any():
        blur, solarise = kornia_operations()
        if blurred.any():
            values[blurred] = blur(values[blurred], BLUR_KERNEL, sigma[blurred].to(values))
        if solarised.any():
            values[solarised] = solarise(values[solarised], SOLARISE_FROM)
    return (values - mean) / std


def disturb_s2(images: Tensor, plan: CropPlan, generator: torch.Generator) -> Tensor:
    """Gain per date and noise per pixel of normalised reflectance B T C H W."""
    mean, std = statistics("s2", images)
    if plan.s2_gain:
        gain = 1 + plan.s2_gain * noise_like(images[:, :, :1, :1, :1], generator)
        images = images * gain + (gain - 1) * mean / std  # the factor is on reflectance, which has not mean 0
    return images + noise_like(images, generator) * plan.s2_noise / std if plan.s2_noise else images


def noise_like(images: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape, dtype and place of `images`."""
    return torch.randn(images.shape, generator=generator).to(images)


def statistics(name: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that normalised … C H W, each C 1 1; a fourth HR band shares those of the first."""
    sensor, bands = SENSORS[name], images.shape[-3]
    columns = ((*values, values[0])[:bands] for values in (sensor.mean, sensor.std))
    mean, std = (images.new_tensor(column)[:, None, None] for column in columns)
    return mean, std


def kornia_operations() -> tuple:
    """Gaussian blur and solarisation of kornia, which is imported only when they are wanted."""
    try:
        from kornia.enhance import solarize
        from kornia.filters import gaussian_blur2d
    except ImportError as error:
        fix = "Install kornia, or plan blur=(0, 0, 0) and solarise=(0, 0, 0)."
        raise EnvironmentProblem.of("kornia to blur and solarise HR images", "a machine without it", fix) from error
    return gaussian_blur2d, solarize
