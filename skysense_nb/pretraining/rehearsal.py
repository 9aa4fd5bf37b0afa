"""A pre-training step without memory: the real step on PyTorch's fake tensors, to see what it will need where.

Tensors under `FakeTensorMode` have a shape, a dtype, a device and a storage, but no bytes, so the paper's model runs on
a laptop, also as it would on a GPU that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from skysense_nb.models.counts import count
from skysense_nb.models.family import build
from skysense_nb.models.meter import PARTS, REST, Meter
from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.models.presets import preset
from skysense_nb.models.swin import SwinBlock
from skysense_nb.models.vit import TransformerLayer
from skysense_nb.pretraining.absent_gpu import mixed_precision, planned_kernels
from skysense_nb.pretraining.crops import STEP, View, Views
from skysense_nb.pretraining.places import tag_names
from skysense_nb.pretraining.recipe import Recipe
from skysense_nb.pretraining.student_teacher import StudentTeacher
from skysense_nb.pretraining.text_table import text_table

BLOCKS = (SwinBlock, TransformerLayer)

BACKWARD_SHARE = 1.2
"""What the backward pass holds of a recomputed block, with its gradients, as a share of what the block keeps. Measured
on the presets: 0.8 to 1.2. Where nothing is recomputed, the backward pass frees more than it needs."""


@dataclass(frozen=True)
class Rehearsal:
    """What one forward pass of the losses did; all sizes in bytes.

    Attributes:
        kept: What is held for the backward pass at its end, per part: `hr`, `s2`, `s1`, `fusion`, `losses`, and
            `bf16 copies` of weights.
        peak: Most that is held at once beyond weights, their gradients and buffers, forward or backward.
        trained_flops: Operations of the student's forward pass, per part.
        teacher_flops: Operations of the teacher's.
        recompute: Whether the student's are done again in the backward pass.
    """

    kept: dict[str, int]
    peak: int
    trained_flops: dict[str, int]
    teacher_flops: int
    recompute: bool

    @property
    def step_flops(self) -> int:
        """Operations forward and backward, which costs twice as many, and again what is recomputed."""
        again = sum(flops for part, flops in self.trained_flops.items() if part != REST) if self.recompute else 0
        return self.teacher_flops + 3 * sum(self.trained_flops.values()) + again


def fresh_networks(recipe: Recipe, device: str | torch.device = "meta") -> StudentTeacher:
    """The networks of a run in training mode; without weights on the meta device.

    Example:
        >>> next(fresh_networks(Recipe()).parameters()).device
        device(type='meta')
    """
    table = text_table(tag_names()) if recipe.terms.text else None
    with torch.device(device):
        model = build(preset(recipe.preset), recompute=recipe.recompute)
        return StudentTeacher(model.train(), recipe, table).to(device)


def overlapping_views(recipe: Recipe, network: StudentTeacher, batch: int, device: str | torch.device) -> Views:
    """Views that cost most: all dates are valid, and every cell of a view is in the large ones.

    Example:
        >>> network = fresh_networks(Recipe())
        >>> overlapping_views(Recipe(), network, batch=2, device="meta").first.sample["s1"].shape
        torch.Size([2, 3, 2, 8, 8])
    """
    plan, model = recipe.views, network.student
    dates = {"hr": plan.hr_dates, "s2": plan.s2_dates, "s1": plan.s1_dates}

    def view(cells: int) -> View:
        sample, labels = {"lonlat": torch.zeros(batch, 2, device=device)}, {}
        for name, number in dates.items():
            side = cells * STEP[name]
            sample[name] = torch.rand(batch, number, model.channels(name), side, side, device=device)
            sample[f"{name}_day"] = torch.zeros(batch, number, dtype=torch.int64, device=device)
            sample[f"{name}_valid"] = torch.ones(batch, number, dtype=torch.bool, device=device)
        if network.text is not None:
            labels["tags"] = torch.ones(batch, len(network.text.table), cells, cells, dtype=torch.bool, device=device)
        corner = torch.zeros(batch, 2, dtype=torch.int64, device=device)
        return View(sample, corner, corner.bool(), cells, labels)

    small = [view(plan.local_cells) for _ in range(plan.local_views)]
    return Views(view(plan.global_cells), view(plan.global_cells), small)


@lru_cache(maxsize=64)
def rehearse(recipe: Recipe, device: str = "cpu") -> Rehearsal:
    """Runs the losses of a batch without computing or holding anything.

    Args:
        recipe: What to rehearse, all of its `batch` at once.
        device: `cpu` or `cuda`: whose kernels and whose mixed precision. Neither has to be there.

    Example:
        >>> from skysense_nb.pretraining.crops import CropPlan
        >>> small = Recipe(batch=1, views=CropPlan(global_cells=2, local_views=0, s2_dates=1, s1_dates=1))
        >>> sorted(rehearse(small).kept)
        ['fusion', 'hr', 'losses', 's1', 's2']
    """
    network = fresh_networks(recipe)
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(planned_kernels(device))
        stack.enter_context(mixed_precision(device, recipe.precision == "bf16"))
        network = network.to_empty(device=device)
        with Meter(network) as meter, blocks_of(network.student, meter) as blocks:
            views = overlapping_views(recipe, network, recipe.batch, device)
            with meter.keeping(), meter.parts_of(network.student):
                terms = network.losses(views)
            kept = meter.kept()
        peak = meter.peak
        if recipe.recompute:
            peak = max(peak, meter.now - sum(kept.values()) + backward_peak(kept, blocks))
        del terms  # until here it held all that was kept
    return Rehearsal(kept, peak, dict(meter.trained_flops), meter.other_flops, recipe.recompute)


@contextmanager
def blocks_of(model: MultiModalModel, meter: Meter) -> Iterator[dict[tuple, nn.Module]]:
    """Collects the blocks that run while a gradient is wanted: one for each part, size and input."""
    found: dict[tuple, nn.Module] = {}

    def note(block: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            found[meter.part, count(block), inputs[0].shape, inputs[0].dtype] = block

    blocks = [part for part in model.modules() if isinstance(part, BLOCKS)]
    hooks = [block.register_forward_pre_hook(note) for block in blocks]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def backward_peak(kept: dict[str, int], blocks: dict[tuple, nn.Module]) -> int:
    """Bytes held while the worst block is recomputed: what its part and those before it keep, and the block itself."""
    held, peak = 0, 0
    for part in PARTS:
        held += kept.get(part, 0)
        sizes = [kept_by(block, *read) for (its_part, _, *read), block in blocks.items() if its_part == part]
        peak = max(peak, held + int(BACKWARD_SHARE * max(sizes, default=0)))
    return peak


def kept_by(block: nn.Module, shape: torch.Size, dtype: torch.dtype) -> int:
    """Bytes that a block keeps for its backward pass where it is not recomputed.

    Example:
        >>> from skysense_nb.layers import FeedForward
        >>> kept_by(FeedForward(8), torch.Size([10, 8]), torch.float32)  # x, before the GELU, after it
        2880
    """
    x = torch.empty(shape, dtype=dtype, device=next(block.parameters()).device, requires_grad=True)
    with Meter(block) as meter, meter.keeping():
        made = block(x)
    kept = sum(meter.kept().values())
    del made
    return kept
