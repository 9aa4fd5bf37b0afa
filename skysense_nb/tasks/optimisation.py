"""How a model is fine-tuned: learning rates that fall with depth, what stays frozen, and schedules.

Published are the configurations of SkySense v1 for iSAID and DIOR, a Swin encoder with a head: AdamW at 6e-5 and 1e-4,
weight decay 0.01 and 0.05, layer decay 0.9. What is said of other encoders and of the fusion is our choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from skysense_nb.errors import ParameterError
from skysense_nb.models.swin import SwinEncoder
from skysense_nb.models.unified import UnifiedBackbone
from skysense_nb.models.vit import ViTEncoder

Schedule = Callable[[Optimizer], LambdaLR]
"""From an optimiser to its schedule, which is to be stepped after every training step."""

INSIDE_STAGE = re.compile(r"stages\.(\d+)\.(?:blocks\.(\d+)\.)?")
LAYER = re.compile(r"layers\.(\d+)\.")
PROMPT = re.compile(r"prompts\.\w+\.(\d+)")
ENTRANCE = ("patch_embed.", "tokenisers.", "cls_token", "pos_embed")
FIRST_SHARE_POLY, FIRST_SHARE_STEPS = 1e-6, 1e-3  # where warm-up starts: the config for iSAID, mmdetection's default


def parameter_groups(
    model: nn.Module | None, head: nn.Module | None, lr: float, weight_decay: float, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameters for an optimiser, with a learning rate for each depth.

    lr · layer_decay^(blocks + 1 − id), as in the published configurations: id 0 at the patch embedding, k + 1 at block
    k, blocks + 1 outside of the backbone. Tensors of one dimension and biases get no weight decay.

    Our choices: a layer between stages has the id of the block before it, the last norm that of the head (as in other
    codes that fine-tune Swin); a prompt or position table that enters at a stage counts with the layer between. The
    fusion, and what leads to it, counts as outside and learns at full rate. Encoders of fewer blocks than the deepest
    are stretched to its depth, so that all patch embeddings learn at one rate; at paper size all have 24.

    Args:
        model: With any of the encoders of this library inside, or one of them; None where its features are cached.
        head: Of the task, or None.
        lr: Learning rate of the head.
        weight_decay: Of matrices.
        layer_decay: Factor from layer to layer, above 0 and at most 1.

    Returns:
        Groups of the parameters that have gradients, deepest first.

    Raises:
        ParameterError: A rate out of range, or nothing to train.

    Example:
        >>> from skysense_nb.models.vit import ViTConfig
        >>> encoder = ViTEncoder(ViTConfig(2, embed_dims=8, num_layers=2, num_heads=2, out_indices=(1,)))
        >>> groups = parameter_groups(encoder, nn.Linear(8, 3), lr=1.0, weight_decay=0.1, layer_decay=0.5)
        >>> [(group["lr"], group["weight_decay"], len(group["params"])) for group in groups[:4]]
        [(0.125, 0.0, 1), (0.125, 0.1, 3), (0.25, 0.0, 8), (0.25, 0.1, 4)]
    """
    if not (lr > 0 and weight_decay >= 0 and 0 < layer_decay <= 1):
        got = f"{lr}, {weight_decay}, {layer_decay}"
        raise ParameterError.of("lr above 0, weight_decay from 0, layer_decay above 0 and at most 1", got, "Mend it.")
    layers = {} if model is None else layer_ids(model)
    deepest = max((blocks for _, blocks in layers.values()), default=0)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    placed: set[nn.Parameter] = set()
    for part, ids in ((model, layers), (head, {})):
        for name, parameter in part.named_parameters() if part is not None else ():
            if parameter.requires_grad and parameter not in placed:
                layer, blocks = ids.get(name, (1, 0))
                steps = (blocks + 1 - layer) * (deepest + 1) / (blocks + 1)
                decays = parameter.ndim > 1 and not name.endswith("bias")
                groups.setdefault((steps, decays), []).append(parameter)
                placed.add(parameter)
    if not groups:
        raise ParameterError.of("something to train", "a frozen model without a head", "Pass a head, or thaw a part.")
    return [
        {"params": groups[steps, decays], "lr": lr * layer_decay**steps, "weight_decay": weight_decay * decays}
        for steps, decays in sorted(groups, key=lambda key: (-key[0], key[1]))
    ]


def layer_ids(model: nn.Module) -> dict[str, tuple[int, int]]:
    """For every parameter inside an encoder its layer, from 0, and the number of blocks of that encoder."""
    found = {}
    for prefix, module in model.named_modules():
        if isinstance(module, SwinEncoder | UnifiedBackbone):
            depths = [len(stage.blocks) for stage in module.stages]
        elif isinstance(module, ViTEncoder):
            depths = [len(module.layers)]
        else:
            continue
        for name, _ in module.named_parameters():
            found[f"{prefix}.{name}" if prefix else name] = (layer_id(name, depths), sum(depths))
    return found


def layer_id(name: str, depths: Sequence[int]) -> int:
    """Layer of a parameter of an encoder, by its name there.

    Args:
        name: Such as `stages.2.blocks.0.norm1.weight`.
        depths: Blocks of each stage; one number for an encoder without stages.

    Example:
        >>> [layer_id(name, (2, 2, 18, 2)) for name in ("patch_embed.norm.bias", "stages.2.blocks.0.norm1.weight")]
        [0, 5]
        >>> [layer_id(name, (2, 2, 18, 2)) for name in ("stages.2.downsample.norm.bias", "norm3.weight")]
        [4, 25]
    """
    if name.startswith(ENTRANCE):
        return 0
    if match := INSIDE_STAGE.match(name):
        return sum(depths[: int(match[1])]) + (int(match[2]) + 1 if match[2] else 0)
    if match := LAYER.match(name):
        return int(match[1]) + 1
    if match := PROMPT.match(name):
        return sum(depths[: int(match[1])])
    return sum(depths) + 1


def freeze(model: nn.Module, train: str = "head") -> int:
    """Chooses which parameters of a model get gradients.

    Stochastic depth also acts in frozen blocks, as long as they are in training mode.

    Args:
        model: As in `parameter_groups`.
        train: `head`: nothing of the model. `last:n`: the last n blocks of each encoder with its last norms, and the
            fusion with what leads to it; `last:0` the latter alone. Geo-context stays frozen, as it does downstream in
            the paper. `full`: everything.

    Returns:
        How many values are to be trained.

    Raises:
        ParameterError: Another word, more blocks than there are, or `last:0` without a fusion.

    Example:
        >>> from skysense_nb.models.vit import ViTConfig
        >>> encoder = ViTEncoder(ViTConfig(2, embed_dims=8, num_layers=2, num_heads=2, out_indices=(1,)))
        >>> freeze(encoder, "head"), freeze(encoder, "last:1"), freeze(encoder, "full")
        (0, 872, 4072)
    """
    layers = layer_ids(model)
    deepest = max((blocks for _, blocks in layers.values()), default=0)
    match = re.fullmatch(r"last:(\d+)", train)
    if train not in ("head", "full") and (match is None or int(match[1]) > deepest):
        raise ParameterError.of(f"head, full, or last:n with n up to {deepest}", repr(train), "Choose one of these.")
    last = int(match[1]) if match else 0
    if match and not last and getattr(model, "fusion", None) is None:
        raise ParameterError.of("a model with a fusion for last:0", "none", "Train 'head', or build it with fusion.")
    for name, parameter in model.named_parameters():
        if match and name in layers:
            layer, blocks = layers[name]
            trained = last > 0 and layer > blocks - last
        else:
            trained = train == "full" or bool(match) and not name.startswith("context.")
        parameter.requires_grad_(trained)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def poly(warmup: int, steps: int, power: float = 1.0) -> Schedule:
    """(1 − step / steps)^power, times a line that climbs to 1 over the first steps; 80,000 and 1,500 for iSAID.

    The published configuration, as mmcv reads it: the line starts at a millionth and multiplies the falling curve.

    Args:
        warmup: Steps of the line.
        steps: Of the whole training; 0 from then on.
        power: 1 is a straight line.

    Raises:
        ParameterError: A warm-up that is longer than the training.

    Example:
        >>> from torch.optim import SGD
        >>> poly(warmup=0, steps=4)(SGD([nn.Parameter()], lr=1.0)).get_last_lr()
        [1.0]
    """
    if not 0 <= warmup < steps or power <= 0:
        got = f"{warmup}, {steps}, {power}"
        raise ParameterError.of("a warmup from 0, more steps than that, a power above 0", got, "Mend the schedule.")

    def share(step: int) -> float:
        return warm(step, warmup, FIRST_SHARE_POLY) * (1 - min(step, steps) / steps) ** power

    return partial(LambdaLR, lr_lambda=share)


def steps_at(epochs: Sequence[int], warmup: int, steps_per_epoch: int, factor: float = 0.1) -> Schedule:
    """Times `factor` after each of some epochs, with a line at the start; (8, 11) of 12 epochs and 1,000 for DIOR.

    Args:
        epochs: After how many epochs the rate falls, ascending.
        warmup: Steps of the line, which starts at a thousandth.
        steps_per_epoch: Training steps.
        factor: By which it falls.

    Raises:
        ParameterError: Epochs that do not ascend from 1, or numbers out of range.

    Example:
        >>> from torch.optim import SGD
        >>> steps_at((8, 11), warmup=1000, steps_per_epoch=5862)(SGD([nn.Parameter()], lr=1.0)).get_last_lr()
        [0.001]
    """
    ascending = all(one < other for one, other in zip((0, *epochs), epochs, strict=False))
    if not ascending or warmup < 0 or steps_per_epoch < 1 or factor <= 0:
        expected = "epochs that ascend from 1, a warmup from 0, steps_per_epoch from 1, a factor above 0"
        got = f"{tuple(epochs)}, {warmup}, {steps_per_epoch}, {factor}"
        raise ParameterError.of(expected, got, "Mend the schedule.")

    def share(step: int) -> float:
        falls = sum(step >= epoch * steps_per_epoch for epoch in epochs)
        return warm(step, warmup, FIRST_SHARE_STEPS) * factor**falls

    return partial(LambdaLR, lr_lambda=share)


def constant(warmup: int = 0) -> Schedule:
    """The same rate all the time, after a line as in `poly`.

    Args:
        warmup: Steps of the line.

    Raises:
        ParameterError: Less than none.

    Example:
        >>> from torch.optim import SGD
        >>> constant()(SGD([nn.Parameter()], lr=0.5)).get_last_lr()
        [0.5]
    """
    if warmup < 0:
        raise ParameterError.of("a warmup from 0", f"{warmup}", "Pass 0 for none.")
    return partial(LambdaLR, lr_lambda=partial(warm, warmup=warmup, first=FIRST_SHARE_POLY))


def warm(step: int, warmup: int, first: float) -> float:
    """A line from `first` to 1 over `warmup` steps, then 1.

    Example:
        >>> [warm(step, warmup=2, first=0.0) for step in range(4)]
        [0.0, 0.5, 1.0, 1.0]
    """
    return 1.0 if step >= warmup else first + (1 - first) * step / warmup
