"""Every model there is a name for."""

from __future__ import annotations

from skysense_nb.errors import PresetError
from skysense_nb.models.family import Config
from skysense_nb.models.fusion import FusionConfig
from skysense_nb.models.skysense import SkySenseConfig
from skysense_nb.models.skysense_v2 import SkySenseV2Config
from skysense_nb.models.swin import SwinConfig
from skysense_nb.models.unified import UnifiedConfig
from skysense_nb.models.vit import ViTConfig

EVERY_SENSOR = ("hr", "s2", "s1")

TINY = SkySenseConfig(
    hr=SwinConfig(32, depths=(2, 2, 4, 2), num_heads=(1, 2, 4, 8), extra_norm_every_n_blocks=2, drop_path_rate=0.05),
    s2=ViTConfig(10, embed_dims=128, num_layers=4, num_heads=4, out_indices=(0, 1, 2, 3), drop_path_rate=0.05),
    s1=ViTConfig(2, embed_dims=128, num_layers=4, num_heads=4, out_indices=(0, 1, 2, 3), drop_path_rate=0.05),
    fusion=FusionConfig(input_dims=256, embed_dims=128, num_layers=4, num_heads=4),
    dated=EVERY_SENSOR,
)

SMALL = SkySenseConfig(
    hr=SwinConfig(96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24), extra_norm_every_n_blocks=2, drop_path_rate=0.1),
    s2=ViTConfig(10, embed_dims=384, num_layers=8, num_heads=6, out_indices=(1, 3, 5, 7), drop_path_rate=0.1),
    s1=ViTConfig(2, embed_dims=384, num_layers=8, num_heads=6, out_indices=(1, 3, 5, 7), drop_path_rate=0.1),
    fusion=FusionConfig(input_dims=768, embed_dims=384, num_layers=8, num_heads=6),
    dated=EVERY_SENSOR,
)

V2_TINY = SkySenseV2Config(
    backbone=UnifiedConfig(32, depths=(2, 2, 4, 2), position_sides=(16, 8), layer_scale=0.1, drop_path_rate=0.05),
    fusion=FusionConfig(input_dims=128, embed_dims=128, num_layers=4, num_heads=4),
)

V2_SMALL = SkySenseV2Config(
    backbone=UnifiedConfig(96, depths=(2, 2, 6, 2), position_sides=(32, 16), layer_scale=0.1, drop_path_rate=0.1),
    fusion=FusionConfig(input_dims=384, embed_dims=384, num_layers=8, num_heads=6),
)

PRESETS: dict[str, Config] = {
    "skysense-tiny": TINY,
    "skysense-small": SMALL,
    "skysense": SkySenseConfig(),
    "skysense-v2-tiny": V2_TINY,
    "skysense-v2-small": V2_SMALL,
    "skysense-v2": SkySenseV2Config(),
    "skysense-v2-moe": SkySenseV2Config(backbone=UnifiedConfig(expert_blocks=tuple(range(18, 24)))),
}
"""`-tiny` runs every notebook on a laptop, `-small` trains on one GPU, the others have the papers' sizes."""


def preset(name: str) -> Config:
    """Configuration of a named preset.

    Raises:
        PresetError: There is none of that name.
    """
    if name not in PRESETS:
        raise PresetError.of(f"a preset among {', '.join(PRESETS)}", repr(name), "Choose one of these.")
    return PRESETS[name]
