"""A pre-training run as one of two processes: `torchrun --nproc-per-node 2 run_of_two.py FOLDER STRATEGY [BATCH]`.

With a batch given, rank 1 is killed when it gets to it. Leaves in the folder what each rank saw and ended with.
"""

import hashlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from lightning import Callback
from small_runs import SMALL

from skysense_nb.pretraining.run import pretrain

SHORT = replace(SMALL, steps=2, accumulate=2, geo_regions=8, geo_prototypes=3)


class Notes(Callback):
    """Which tiles this rank has been given, and for which sensors there were losses."""

    def __init__(self, batch):
        self.batch, self.tiles, self.sensors = batch, [], []

    def on_train_batch_start(self, trainer, module, batch, *_):
        if trainer.global_rank == 1 and int(module.batches_seen) == self.batch:
            os.kill(os.getpid(), signal.SIGKILL)
        self.tiles += [hashlib.sha1(tile.numpy().tobytes()).hexdigest() for tile in batch["hr"]]

    def on_after_backward(self, trainer, module):
        self.sensors.append([name for name in ("hr", "s2", "s1") if f"{name}/pixel" in module.told])


def main(folder, strategy, batch=-1):
    torch.set_num_threads(1)
    notes = Notes(int(batch))
    recipe = replace(SHORT, tiles=str(Path(folder).parent / "tiles"))
    run = {"accelerator": "cpu", "devices": 2, "strategy": strategy, "progress": False, "callbacks": [notes]}
    done = pretrain(recipe, folder, **run)
    end = {"state": done.module.state_dict(), "tiles": notes.tiles, "sensors": notes.sensors}
    torch.save(end, f"{folder}/end-{dist.get_rank()}.pt")


if __name__ == "__main__":
    main(*sys.argv[1:])
