"""Small models and samples with random weights, for the tests of this folder."""

from dataclasses import replace

import torch

from skysense_nb.models import SkySenseConfig, load, preset
from skysense_nb.models.fusion import FusionConfig
from skysense_nb.models.swin import SwinConfig
from skysense_nb.models.vit import ViTConfig

NARROW = SkySenseConfig(
    hr=SwinConfig(8, num_heads=(1, 2, 4, 8)),
    s2=ViTConfig(10, embed_dims=16, num_heads=2),
    s1=ViTConfig(2, embed_dims=16, num_heads=2),
    fusion=FusionConfig(input_dims=64, embed_dims=16, num_heads=2),
)
"""The paper's depths, hence its exact keys, at a fraction of its widths."""

V2_TINY = preset("skysense-v2-tiny")
V2_MOE = replace(V2_TINY, backbone=replace(V2_TINY.backbone, experts=4, expert_blocks=(3, 6, 8, 9)))
KINDS = {"v1": preset("skysense-tiny"), "v2": V2_TINY, "v2-moe": V2_MOE}

V1_TINY, SENTINEL = KINDS["v1"], {"num_layers": 1, "out_indices": (0,)}
SHALLOW = {
    "v1": replace(
        V1_TINY,
        hr=replace(V1_TINY.hr, depths=(2, 1, 1, 1)),
        s2=replace(V1_TINY.s2, **SENTINEL),
        s1=replace(V1_TINY.s1, **SENTINEL),
        fusion=replace(V1_TINY.fusion, num_layers=2),
    ),
    "v2-moe": replace(
        V2_TINY,
        backbone=replace(V2_TINY.backbone, depths=(2, 1, 1, 1), experts=4, expert_blocks=(4,)),
        fusion=replace(V2_TINY.fusion, num_layers=2),
    ),
}
"""One block of each sort where depth only costs time."""


def shaken(name, seed, **options):
    """A model whose norms and scales are random, too: at their first values many blocks would do nothing."""
    model, _ = load(name, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if any(part in key for part in ("norm", "ln", "factor")):
                parameter.add_(torch.randn(parameter.shape, generator=generator).mul(0.3).to(parameter.dtype))
    return model


def make_sample(batch=2, s2_dates=3, s1_dates=2, cells=8, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "hr": torch.randn(batch, 1, 3, 32 * cells, 32 * cells, generator=g),
        "s2": torch.randn(batch, s2_dates, 10, cells, cells, generator=g),
        "s1": torch.randn(batch, s1_dates, 2, cells, cells, generator=g),
        "hr_day": torch.randint(0, 365, (batch, 1), generator=g),
        "s2_day": torch.randint(0, 365, (batch, s2_dates), generator=g),
        "s1_day": torch.randint(0, 365, (batch, s1_dates), generator=g),
    }


def subset(sample, names):
    return {key: value for key, value in sample.items() if key.split("_")[0] in names}
