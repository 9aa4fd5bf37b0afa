"""The run on Lightning: the same code on one core, several GPUs and several machines.

All chance follows from the recipe's seed and the number of batches seen, and the order of tiles likewise, so a run
that was stopped goes on as if it had not been: on a CPU bit for bit.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.utils.data import DataLoader, Dataset

from skysense_nb.errors import CheckpointError
from skysense_nb.models import load
from skysense_nb.models.swin import start_branches
from skysense_nb.pretraining.collapse import Collapse
from skysense_nb.pretraining.crops import make_views
from skysense_nb.pretraining.distributed import global_sum
from skysense_nb.pretraining.places import SyntheticPlaces, tag_names
from skysense_nb.pretraining.recipe import Recipe, make_plain, write_recipe
from skysense_nb.pretraining.sharding import shard
from skysense_nb.pretraining.student_teacher import StudentTeacher
from skysense_nb.pretraining.teacher import cosine_schedule, linear_warmup
from skysense_nb.pretraining.text_table import text_table
from skysense_nb.pretraining.tiles import collate_tiles, open_tiles, write_tiles
from skysense_nb.runtime import mixed_seed
from skysense_nb.sensors import SENSORS
from skysense_nb.training.optimiser import adamw
from skysense_nb.training.sampler import EndlessSampler

MAY_CHANGE = ("workers", "tiles", "probe_every", "probe_tiles", "save_every", "recompute")
"""What a resumed run may do differently: nothing of it changes the numbers, if the tiles are the same."""

STORED_SIDE = 64
"""Cells of a stored place, the paper's size; drawing a place has a price of its own, so a large one is cheaper."""

WATCHED = ("targets", "entropies", "ranks")
"""Running means of the collapse monitor, which go on, too."""


class Pretraining(LightningModule):
    """Student and teacher with their optimiser, schedules and data.

    Args:
        recipe: Everything that decides the run.

    Raises:
        PresetError: Unknown preset.
        SampleError: A folder without tiles.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.collapse = recipe, Collapse()
        table = text_table(tag_names()) if recipe.terms.text else None
        model, _ = load(recipe.preset, weights=None, seed=recipe.seed, recompute=recipe.recompute)
        start_branches(model, recipe.branch_gain)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.networks = StudentTeacher(model.train(), recipe, table)
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.int64))

    def configure_model(self) -> None:
        """Divides the weights where the strategy is to; Lightning calls it once the processes are connected."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ModelParallelStrategy):
            shard(self.networks, init_device_mesh(strategy.root_device.type, (self.trainer.world_size,)))

    def training_step(self, tiles: dict[str, Tensor]) -> Tensor:
        """Views of a batch of tiles, all terms, their sum."""
        seed = mixed_seed(self.recipe.seed, int(self.batches_seen), self.global_rank)
        torch.manual_seed(seed)  # stochastic depth
        generator = torch.Generator().manual_seed(seed)
        share = self.trainer.global_step / self.recipe.steps
        first, last = self.recipe.teacher_temperature
        self.networks.set_teacher_temperature(first + (last - first) * min(1.0, 3 * share))
        views = make_views(shared_sensors(tiles), self.recipe.views, generator)
        terms = self.networks.losses(views, generator)
        self.batches_seen += 1
        self.told = {name: value.detach() for name, value in terms.items()}
        loss = torch.stack(list(terms.values())).sum()
        self.told["loss"] = loss.detach()
        return loss

    def measured(self) -> dict[str, Any]:
        """What the history of the run gets of a step."""
        return {**self.told, **self.collapse.state()}

    def shown(self) -> dict[str, str]:
        """The loss, and how far the fused features are spread, for the bar."""
        told, rank = getattr(self, "told", {}), self.collapse.ranks.get("fused")
        shown = {"loss": f"{float(told['loss']):.3f}"} if "loss" in told else {}
        return shown | ({"rank": f"{rank:.0f}"} if rank else {})

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """The optimiser's step, then what follows the student: prototypes, teacher, heads."""
        super().optimizer_step(*arguments, **options)
        start = self.recipe.teacher_momentum
        report = self.networks.follow(cosine_schedule(start, 1.0, self.recipe.steps, self.trainer.global_step))
        if report is not None:
            self.told |= {f"prototypes/{name}": torch.tensor(value) for name, value in asdict(report).items()}

    def on_after_backward(self) -> None:
        """Watches for collapse."""
        for source, contrast in self.networks.contrasts.items():
            self.collapse.observe(source, contrast)
        for source, features in self.networks.last_teacher.sources.items():
            self.collapse.observe_features(source, features.flatten(0, 2)[:512])

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW, as in SkySense V2; the learning rate climbs a line and falls on a cosine."""
        trained = [parameter for parameter in self.networks.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimiser = adamw(groups, self.recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self.share_of_learning_rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def share_of_learning_rate(self, step: int) -> float:
        """Learning rate of a step as a share of the highest."""
        recipe = self.recipe
        if step < recipe.warmup:
            return linear_warmup(1.0, recipe.warmup, step + 1)
        end = recipe.final_learning_rate / recipe.learning_rate
        return cosine_schedule(1.0, end, recipe.steps - recipe.warmup, step - recipe.warmup)

    def train_dataloader(self) -> DataLoader:
        """Tiles from where the run stands."""
        tiles = self.tiles()
        size = self.recipe.batch // self.recipe.accumulate
        ranks = self.trainer.world_size
        count = None if isinstance(tiles, SyntheticPlaces) else len(tiles)
        start = int(self.batches_seen) * size * ranks
        sampler = EndlessSampler(start, self.global_rank, ranks, count, self.recipe.seed)
        workers = {"num_workers": self.recipe.workers, "persistent_workers": self.recipe.workers > 0}
        return DataLoader(tiles, size, sampler=sampler, collate_fn=collate_tiles, drop_last=True, **workers)

    def prepare_data(self) -> None:
        """Stores synthetic places that are not there yet; Lightning calls it in one process of each machine."""
        recipe = self.recipe
        if recipe.stored_places and not recipe.tiles:
            shown = self.trainer.progress_bar_callback is not None
            places = self.places(STORED_SIDE, labels=True)
            write_tiles(self.store, places, recipe.stored_places, cells=recipe.tile_cells, progress=shown)

    def on_train_start(self) -> None:
        """Leaves the recipe beside what it makes."""
        if self.trainer.is_global_zero:
            write_recipe(self.recipe, Path(self.trainer.default_root_dir) / "recipe.yaml")

    def tiles(self) -> Dataset:
        """What the recipe trains on."""
        recipe = self.recipe
        if recipe.tiles or recipe.stored_places:
            return open_tiles(recipe.tiles or self.store, recipe.tile_cells)
        return self.places(recipe.tile_cells, labels=recipe.terms.text > 0)

    def places(self, cells: int, labels: bool) -> SyntheticPlaces:
        """Synthetic places of the recipe, of a side."""
        recipe = self.recipe
        return SyntheticPlaces(recipe.seed, cells, recipe.tile_s2_dates, recipe.tile_s1_dates, labels=labels)

    @property
    def store(self) -> Path:
        """Where the run keeps its tiles."""
        return Path(self.trainer.default_root_dir) / "tiles"

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Puts beside the weights what a resumed run must agree with."""
        checkpoint["recipe"] = asdict(self.recipe)
        checkpoint["ranks"] = self.trainer.world_size
        checkpoint["collapse"] = {name: dict(getattr(self.collapse, name)) for name in WATCHED}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint of another run.

        Raises:
            CheckpointError: Another recipe or number of processes.
        """
        saved, mine = make_plain(checkpoint.get("recipe", {})), make_plain(asdict(self.recipe))
        differing = [name for name in mine if name not in MAY_CHANGE and saved.get(name) != mine[name]]
        if differing:
            got = ", ".join(f"{name} {mine[name]!r} instead of {saved.get(name)!r}" for name in differing[:3])
            raise CheckpointError.of("the recipe the run began with", got, "Use that, or another folder for a new run.")
        ranks = self.trainer.world_size
        if checkpoint["ranks"] != ranks:
            got = f"{ranks} instead of {checkpoint['ranks']}"
            raise CheckpointError.of("as many processes as the run began with", got, "Start as many, or a new run.")
        for name in WATCHED:
            getattr(self.collapse, name).update(checkpoint["collapse"][name])


def shared_sensors(tiles: dict[str, Tensor]) -> dict[str, Tensor]:
    """A batch without the sensors of which some rank has no valid date: all ranks must compute the same terms.

    Example:
        >>> sorted(shared_sensors({"s1": torch.rand(1, 1, 2, 4, 4), "s1_valid": torch.zeros(1, 1).bool()}))
        []
    """
    absent = [name not in tiles or not bool(tiles[f"{name}_valid"].any()) for name in SENSORS]
    device = next(iter(tiles.values())).device
    somewhere = global_sum(torch.tensor(absent, dtype=torch.int64, device=device)).tolist()
    dropped = [name for name, count in zip(SENSORS, somewhere, strict=True) if count]
    return {key: value for key, value in tiles.items() if key.partition("_")[0] not in dropped}
