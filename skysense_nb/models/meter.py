"""What a model keeps for its backward pass, holds at most, and computes: counted while it runs.

The same meter reads real tensors and PyTorch's fake ones, which have shapes and storages but no memory.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, UntypedStorage, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from skysense_nb.models.multimodal import MultiModalModel
from skysense_nb.sensors import SENSORS

aten = torch.ops.aten

FORMULAS = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
}
"""Operations of each kernel, 2 per multiply-add. PyTorch's table lacks attention on the CPU."""

PARTS = (*SENSORS, "fusion")
"""Parts of a model, in the order they run."""

REST, COPIES = "losses", "bf16 copies"
"""Where everything counts that is in no part of a model, and what autocast makes of weights."""


class Meter(TorchDispatchMode):
    """Watches the storages and operations of what runs under it; for one use.

    Weights and buffers of `network` are not counted. What autocast makes of weights in another precision, and keeps,
    is a part of its own, `bf16 copies`. Fake tensors have no values: where one is asked for, the answer is yes (all
    dates are valid), and where a mask picks rows, it picks all.

    Attributes:
        part: What is running now.
        now, peak: Bytes of the storages made here that are still there; the highest they were.
        trained_flops: Operations of the forward pass that a gradient will go through, per part.
        other_flops: All others: the teacher's.

    Example:
        >>> layer, x = nn.Linear(3, 5), torch.rand(7, 3)
        >>> with Meter(layer) as meter, meter.keeping():
        ...     y = layer(x).sigmoid()
        >>> meter.kept(), dict(meter.trained_flops)
        ({'losses': 224}, {'losses': 210})
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.known = {key(tensor) for tensor in (*network.parameters(), *network.buffers())}
        self.given: set[int] = set()
        self.part, self.now, self.peak = REST, 0, 0
        self.trained_flops, self.other_flops = defaultdict(int), 0
        self.alive: dict[int, weakref.ref[UntypedStorage]] = {}
        self.saved: dict[weakref.ref[UntypedStorage], str] = {}
        self.copies: set[weakref.ref[UntypedStorage]] = set()

    def __torch_dispatch__(self, kernel: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs a kernel, and counts what it does and makes."""
        kwargs = kwargs or {}
        if args and isinstance(args[0], FakeTensor):
            if kernel is aten._local_scalar_dense.default:
                return 1
            if kernel is aten.index.Tensor:
                args = (args[0], every_row(args[1]))
        self.given |= {key(one) for one in tree_leaves((args, kwargs)) if stored(one)} - self.alive.keys()
        made = kernel(*args, **kwargs)
        if formula := FORMULAS.get(kernel.overloadpacket):
            self.count(formula(*args, **kwargs, out_val=made))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self.hold(tensor)
        if kernel is aten._to_copy.default and key(args[0]) in self.known and torch.is_grad_enabled():
            self.copies.add(weakref.ref(made.untyped_storage()))
        return made

    def count(self, flops: int) -> None:
        """Adds operations to those of the part that runs."""
        if torch.is_grad_enabled():
            self.trained_flops[self.part] += flops
        else:
            self.other_flops += flops

    def hold(self, tensor: Tensor) -> None:
        """Counts a storage from now until it is freed."""
        storage, number = tensor.untyped_storage(), key(tensor)
        if number in self.alive or number in self.known or number in self.given:
            return
        size = storage.nbytes()
        self.alive[number] = weakref.ref(storage, lambda _: self.release(number, size))
        self.now += size
        self.peak = max(self.peak, self.now)

    def release(self, number: int, size: int) -> None:
        """Stops counting a storage."""
        del self.alive[number]
        self.now -= size

    def keeping(self) -> torch.autograd.graph.saved_tensors_hooks:
        """Context in which what autograd keeps is noted under the part that runs."""

        def note(tensor: Tensor) -> Tensor:
            if key(tensor) not in self.known:
                self.saved.setdefault(weakref.ref(tensor.untyped_storage()), self.part)
            return tensor

        return torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)

    def kept(self) -> dict[str, int]:
        """Bytes that autograd wanted kept and that are still there, per part; every storage once."""
        found = defaultdict(int)
        for reference, part in (self.saved | dict.fromkeys(self.copies, COPIES)).items():
            if (storage := reference()) is not None:
                found[part] += storage.nbytes()
        return dict(found)

    @contextmanager
    def parts_of(self, model: MultiModalModel) -> Iterator[None]:
        """Context in which the work of a model is counted under `hr`, `s2`, `s1` and `fusion`."""
        for verb in ("encode_images", "spread", "fuse"):
            setattr(model, verb, partial(self.inside, getattr(model, verb)))
        try:
            yield
        finally:
            for verb in ("encode_images", "spread", "fuse"):
                delattr(model, verb)

    def inside(self, verb: Callable, *arguments: Any) -> Any:
        """Calls a verb of a model under its part: that of the sensor it is told, else the fusion's."""
        outer, self.part = self.part, arguments[0] if isinstance(arguments[0], str) else "fusion"
        try:
            return verb(*arguments)
        finally:
            self.part = outer


def stored(value: Any) -> bool:
    """Whether this is a tensor with a storage; weights in a library's own order have none."""
    return isinstance(value, Tensor) and value.layout == torch.strided


def key(tensor: Tensor) -> int:
    """A number that tensors share if they share their storage."""
    return tensor.untyped_storage()._cdata


def every_row(indices: list[Tensor | None]) -> list[Tensor | None]:
    """Indices of an indexing, masks replaced by numbers of as many rows as they could pick at most."""
    found = []
    for index in indices:
        mask = index is not None and index.dtype == torch.bool
        found += [index.new_empty(index.numel(), dtype=torch.int64)] * index.ndim if mask else [index]
    return found
