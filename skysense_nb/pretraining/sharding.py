"""Weights divided among processes: each keeps a part, and gathers a block only while it is computed (FSDP)."""

from __future__ import annotations

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.export import register_dataclass

from skysense_nb.models.features import Features
from skysense_nb.pretraining.rehearsal import BLOCKS, fresh_networks
from skysense_nb.pretraining.student_teacher import StudentTeacher

register_dataclass(Features)  # FSDP of PyTorch 2.11 finds tensors only in containers that it knows


def shard(networks: StudentTeacher, mesh: DeviceMesh) -> None:
    """Divides student, teacher and heads among the processes of a mesh, in place.

    By PyTorch's `fully_shard` (FSDP2), which cuts each weight by itself along its first axis: student and teacher are
    cut alike, so the teacher follows part by part, and a matrix stays a matrix for the weight decay. What is outside
    the blocks is gathered while a model, or `losses`, is at work. Buffers, with the prototypes, stay whole on each
    process. Compared with one process on CPUs; it has not been run on GPUs.

    Args:
        networks: With the same weights on all processes.
        mesh: One axis.

    Example:
        >>> import torch.distributed as dist
        >>> from skysense_nb.pretraining import Recipe
        >>> from skysense_nb.pretraining.rehearsal import fresh_networks
        >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        >>> networks = fresh_networks(Recipe(), "cpu")
        >>> shard(networks, DeviceMesh("cpu", [0]))
        >>> type(next(networks.parameters())).__name__
        'DTensor'
        >>> dist.destroy_process_group()
    """
    for block in [part for part in networks.modules() if isinstance(part, BLOCKS)]:
        fully_shard(block, mesh=mesh)
    for part, method in ((networks.student, "features"), (networks.teacher, "features"), (networks, "losses")):
        fully_shard(part, mesh=mesh)
        register_fsdp_forward_method(part, method)


def whole(value: Tensor) -> Tensor:
    """A tensor as it was before it was divided; all processes must ask for it together.

    Example:
        >>> import torch
        >>> whole(torch.ones(2))
        tensor([1., 1.])
    """
    return value.full_tensor() if isinstance(value, DTensor) else value


def whole_networks(networks: StudentTeacher) -> StudentTeacher:
    """Networks as they were before they were divided: a copy on the CPU, or themselves if nothing is divided.

    All processes must call it together, and all get the copy.

    Example:
        >>> from skysense_nb.pretraining import Recipe
        >>> from skysense_nb.pretraining.rehearsal import fresh_networks
        >>> networks = fresh_networks(Recipe())
        >>> whole_networks(networks) is networks
        True
    """
    if not any(isinstance(value, DTensor) for value in networks.parameters()):
        return networks
    copy = fresh_networks(networks.recipe, "cpu")
    copy.load_state_dict({name: whole(value).cpu() for name, value in networks.state_dict().items()})
    return copy
