"""One whole step of pre-training on fixed views: in one process, or as one of two, as a dictionary of plain tensors."""

from dataclasses import replace
from itertools import product

import torch
import torch.distributed as dist
from small_runs import EVERYTHING, SMALL, networks, views
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from skysense_nb.layers import DropPath
from skysense_nb.pretraining.crops import Views
from skysense_nb.pretraining.distributed import global_sum, world_size
from skysense_nb.pretraining.sharding import shard, whole

TILES = (0, 1, 2, 3)
PLAN = replace(SMALL.views, global_cells=4)  # a large view is the whole tile, so that all ranks compare as many cells
BANK = {"views": PLAN, "geo_regions": 8, "geo_prototypes": 3}
CASES = {
    "v1": replace(SMALL, **BANK),
    "v2": replace(SMALL, preset="skysense-v2-tiny", terms=EVERYTHING, **BANK),
}
STRATEGIES = ("ddp", "fsdp")
LEARNING_RATE = 1e-2


class Step(nn.Module):
    """The losses as a forward pass, which is what `DistributedDataParallel` wraps."""

    def __init__(self, made):
        super().__init__()
        self.made, self.terms = made, {}

    def forward(self, cut):
        self.terms = self.made.losses(cut, torch.Generator().manual_seed(5))
        return torch.stack(list(self.terms.values())).sum()


def even_views(recipe):
    """Views in which every tile has as many valid dates and as many tags as the others."""
    cut = views(recipe, tiles=TILES)
    for view in (cut.first, cut.second, *cut.local):
        for name in ("hr", "s2", "s1"):
            view.sample[f"{name}_valid"][:] = True
        view.labels["tags"][:] = torch.arange(view.labels["tags"].shape[1])[:, None, None] < 2
    return cut


def part(cut, mine):
    """The views of some of the tiles."""

    def of(view):
        sample, labels = ({key: rows[mine] for key, rows in kept.items()} for kept in (view.sample, view.labels))
        return replace(view, sample=sample, labels=labels, origin=view.origin[mine], flip=view.flip[mine])

    return Views(of(cut.first), of(cut.second), [of(view) for view in cut.local])


def plain(value):
    """A tensor as a whole, without history."""
    return whole(value).detach().clone()


def held(value):
    """Bytes that this process holds of a tensor."""
    return (value.to_local() if isinstance(value, DTensor) else value).nbytes


def whole_step(recipe, mine=slice(None), strategy="single"):
    """Losses, gradients, one step of the optimiser and what follows, from the tiles `mine` of the joined batch."""
    made = networks(recipe)
    for layer in made.modules():
        if isinstance(layer, DropPath):
            layer.rate = 0.0  # ranks draw for themselves
    made.alignment.cells_per_image = 5
    step = Step(made)
    wrapped = DistributedDataParallel(step) if strategy == "ddp" else step
    if strategy == "fsdp":
        shard(made, init_device_mesh("cpu", (world_size(),)))
    trained = [value for value in made.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(trained, LEARNING_RATE, eps=1e-2)  # rounding in tiny gradients stays tiny
    wrapped(part(even_views(recipe), mine)).backward()
    out = {f"loss {name}": global_sum(value) / world_size() for name, value in step.terms.items()}
    named = [(name, value) for name, value in made.named_parameters() if value.requires_grad]
    out |= {f"gradient {name}": plain(value.grad) for name, value in named}
    optimiser.step()
    out["report"] = torch.tensor([made.follow(0.9).known, made.bank.known_regions])
    out |= {f"weight {name}": plain(value) for name, value in made.named_parameters()}
    out |= {f"buffer {name}": value.clone() for name, value in made.named_buffers()}
    moments = [value for state in optimiser.state.values() for value in state.values() if value.ndim]
    kinds = {"weights": made.parameters(), "gradients": [value.grad for value in trained], "moments": moments}
    return out | {f"bytes {kind}": torch.tensor(sum(map(held, values))) for kind, values in kinds.items()}


def run_rank(rank, folder):
    """One of two processes, with two of the four tiles, for every case and strategy."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for case, strategy in product(CASES, STRATEGIES):
        made = whole_step(CASES[case], slice(2 * rank, 2 * rank + 2), strategy)
        torch.save(made, f"{folder}/{case}-{strategy}-{rank}.pt")
    dist.destroy_process_group()
