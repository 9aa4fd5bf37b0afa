"""What a training step computes across ranks, as one dictionary of tensors: for one process or for one of several."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from loss_cases import WIDTH, make_contrast

from skysense_nb.models.geo_context import GeoContext, GeoContextConfig
from skysense_nb.pretraining.alignment_loss import Alignment
from skysense_nb.pretraining.assignment import sinkhorn
from skysense_nb.pretraining.distributed import gather_rows, global_count, global_logsumexp, global_sum, world_size
from skysense_nb.pretraining.object_loss import cluster
from skysense_nb.pretraining.prototype_update import update_prototypes

SAMPLES, CELLS = 5, 6
PLACES = torch.tensor([(11.6, 48.1), (3.4, 6.5), (11.6, 48.1), (-78.5, -0.2), (3.4, 6.5)])


def joined_batch():
    """Five samples: features B N D of two sensors, the second of which has never seen the last sample."""
    g = torch.Generator().manual_seed(0)
    return [torch.randn(SAMPLES, CELLS, WIDTH, generator=g) for _ in range(2)]


def gradients(loss, parameters):
    """Gradients as data parallelism makes them: averaged over ranks."""
    found = torch.autograd.grad(loss, parameters)
    return [global_sum(value) / world_size() for value in found]


def step(mine):
    """Everything that is global, from the samples `mine` (a slice of the joined batch)."""
    one, other = (side[mine] for side in joined_batch())
    out = {"count": global_count(one > 0), "logsumexp": global_logsumexp(one.sum((0, 1)))}

    out["logsumexp of nothing"] = global_logsumexp(torch.full((2,), float("-inf")))

    scores = F.normalize(one.flatten(0, 1), dim=1)[:, :4]
    present = torch.arange(SAMPLES)[mine].repeat_interleave(CELLS) != 1
    out["sinkhorn"] = gather_rows(sinkhorn(scores))
    out["sinkhorn, masked"] = gather_rows(sinkhorn(scores, mask=present))
    first = torch.arange(SAMPLES)[mine].repeat_interleave(CELLS) < 3  # the second rank has none
    out["sinkhorn, of the first"] = gather_rows(sinkhorn(scores, mask=first))
    out["clusters"] = gather_rows(cluster(one, torch.ones(one.shape[:2], dtype=torch.bool), 3))

    torch.manual_seed(0)
    alignment = Alignment(WIDTH, modalities=("hr", "s2"), common_width=6)
    valid = {name: torch.ones(len(one), 1, dtype=torch.bool) for name in ("hr", "s2")}
    valid["s2"][torch.arange(SAMPLES)[mine] == SAMPLES - 1] = False
    loss = alignment({"hr": one[:, None], "s2": other[:, None]}, valid)["hr-s2"]
    valid["s2"][:] = False
    out["alignment of none"] = alignment({"hr": one[:, None], "s2": other[:, None]}, valid)["hr-s2"]
    out["alignment"] = global_sum(loss) / world_size()
    for name, value in zip(("hr", "s2"), gradients(loss, list(alignment.parameters())), strict=True):
        out[f"gradient of {name}"] = value

    contrast = make_contrast()
    contrast(one.flatten(0, 1), other.flatten(0, 1), "pixel")
    nothing = one[:0].flatten(0, 1)
    some = one.flatten(0, 1) if mine.start == 0 else nothing  # the second rank has no row at all
    contrast(some, some, "image")
    out["pixel centre"], out["image centre"] = contrast.centres[0], contrast.centres[2]

    bank = GeoContext(GeoContextConfig(regions=2, prototypes=4, width=6), width=WIDTH)
    reports = [update_prototypes(bank, one, PLACES[mine], momentum=0.5) for _ in range(2)]
    out["bank"], out["regions"] = bank.bank, bank.region_ids
    out["reports"] = torch.tensor([[each.known, each.new, each.refused, each.used, each.dead] for each in reports])
    return {name: value.detach() for name, value in out.items()}


def run_rank(rank, folder):
    """One of two processes; the first has three of the five samples."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(step((slice(0, 3), slice(3, 5))[rank]), f"{folder}/{rank}.pt")
    dist.destroy_process_group()
