"""Which expert read which token: collected while a backbone runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skysense_nb.layers import Gate, Routing
from skysense_nb.models.unified import UnifiedBackbone


@contextmanager
def recorded_routing(backbone: UnifiedBackbone) -> Iterator[dict[int, list[Routing]]]:
    """Collects what each gate decides, by number of its block; for figures and for `balance_loss`.

    Each call of the backbone adds one entry per block; a model calls it once per sensor.

    Example:
        >>> import torch
        >>> from skysense_nb.models.unified import UnifiedConfig
        >>> config = UnifiedConfig(embed_dims=8, depths=(2, 2, 2, 2), head_width=4, experts=2, expert_blocks=(6, 7))
        >>> backbone = UnifiedBackbone(config)
        >>> with recorded_routing(backbone) as routings:
        ...     maps = backbone(torch.rand(1, 2, 16, 16), "s1")
        >>> {index: [tuple(routing.expert.shape) for routing in calls] for index, calls in routings.items()}
        {6: [(1, 20)], 7: [(1, 20)]}
    """
    routings: dict[int, list[Routing]] = {}
    blocks = [block for stage in backbone.stages for block in stage.blocks]
    hooks = []
    for index, block in enumerate(blocks):
        for gate in (part for part in block.modules() if isinstance(part, Gate)):
            calls = routings.setdefault(index, [])
            hooks.append(gate.register_forward_hook(lambda _, __, routing, calls=calls: calls.append(routing)))
    try:
        yield routings
    finally:
        for hook in hooks:
            hook.remove()
