"""From a dense SkySense V2 to a mixture of experts."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from skysense_nb.errors import PresetError
from skysense_nb.layers import Experts
from skysense_nb.models.skysense_v2 import SkySenseV2


def with_experts(model: SkySenseV2, experts: int = 8, blocks: tuple[int, ...] | None = None) -> SkySenseV2:
    """A copy of a dense model with mixtures of experts, which gives the same output until it is trained on.

    Args:
        model: A dense V2 model.
        experts: Experts per block.
        blocks: Which blocks; the last six if not given, as in the paper.

    Raises:
        PresetError: Not a dense V2 model, no such block, or fewer than two experts.

    Example:
        >>> from skysense_nb.models.presets import PRESETS
        >>> mixture = with_experts(SkySenseV2(PRESETS["skysense-v2-tiny"]), experts=4)
        >>> mixture.config.backbone.expert_blocks
        (4, 5, 6, 7, 8, 9)
    """
    if not isinstance(model, SkySenseV2):
        raise PresetError.of("a SkySense V2 model", type(model).__name__, "Load 'skysense-v2-tiny' or another of V2.")
    backbone = model.config.backbone
    total = sum(backbone.depths)
    blocks = tuple(range(max(0, total - 6), total)) if blocks is None else tuple(sorted(set(blocks)))
    if backbone.expert_blocks:
        raise PresetError.of("a dense model", f"experts in blocks {backbone.expert_blocks}", "Load a dense preset.")
    if not blocks or not set(blocks) <= set(range(total)):
        raise PresetError.of(f"blocks among 0–{total - 1}", f"{blocks}", "Count blocks through all stages, from 0.")
    if not isinstance(experts, int) or experts < 2:
        raise PresetError.of("two experts or more", f"{experts}", "The paper takes 8.")
    model.look_at_weights()
    mixture = deepcopy(model)
    mixture.config = replace(model.config, backbone=replace(backbone, experts=experts, expert_blocks=blocks))
    mixture.backbone.config = mixture.config.backbone
    for index in blocks:
        block = mixture.backbone.block(index)
        block.ffn = Experts.from_feed_forward(block.ffn, experts, seed=index)
    mixture.name = f"{model.name} with {experts} experts"
    return mixture
