"""What a pre-training run is made of: one frozen record, from Python or from a YAML file.

Published are the losses, batch 240 and 875,000 steps of SkySense, batch 1024, 600,000 steps, AdamW and a cosine from
2e-4 to 1e-6 of SkySense V2. Every other value here is our choice, conventional for the DINO family, and small.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from skysense_nb.errors import ParameterError
from skysense_nb.pretraining.crops import STRICT, CropPlan

SOURCES = ("hr", "s2", "s1", "fused")

RECIPES = Path(__file__).parent / "recipes"
"""Recipes that come with this package."""


@dataclass(frozen=True)
class Terms:
    """Weights of the terms of the loss; 0 switches a term off.

    Attributes:
        pixel, object, image: The three levels of L_MGCL, over the three sensors and the fused map.
        alignment: L_align between sensors (SkySense v1).
        queries: L_QSACL on the fused map (SkySense V2).
        text: L_ITA on the fused map (SkySense V2); needs tags.
    """

    __pydantic_config__ = STRICT

    pixel: float = 1.0
    object: float = 1.0
    image: float = 1.0
    alignment: float = 0.5
    queries: float = 0.0
    text: float = 0.0

    @property
    def levels(self) -> dict[str, float]:
        """The levels of the fine-grained contrast that are on, with their weights."""
        return {level: getattr(self, level) for level in ("pixel", "object", "image") if getattr(self, level)}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run does; equal recipes give equal weights on a CPU.

    Attributes:
        preset: Model to train, from random weights.
        seed: Of weights, views and the order of tiles.
        steps: Optimiser steps.
        batch: Tiles per optimiser step of one process; `accumulate` splits them.
        accumulate: Parts a batch is computed in, one after the other.
        tiles: Folder of tiles (`write_tiles`) or scenes; empty for synthetic places.
        stored_places: Synthetic places of 64 × 64 cells that are made once, kept in the folder of the run, and cut
            into tiles; 0: endless places made on the way, which takes longer than a small model's step.
        tile_cells: Side of a synthetic tile in ground cells; views are cut from it.
        tile_s2_dates, tile_s1_dates: Acquisitions of a synthetic tile; views draw from them.
        workers: Processes that prepare tiles.
        views: How views are cut and disturbed.
        terms: Weights of the losses.
        prototypes: K of the contrast heads, with their `hidden` and `bottleneck` widths.
        balanced: Balance targets by Sinkhorn within a batch instead of centring them; see `Contrast`.
        clusters: Objects per image.
        queries: M of the query decoder.
        geo_regions, geo_prototypes: Slots and prototypes of the geo-context bank; 0 regions: none is learned.
        geo_momentum: Of its prototypes.
        learning_rate, final_learning_rate, warmup: A straight line up, then half a cosine down.
        weight_decay: On matrices only; vectors and biases have none.
        branch_gain: First gain of the branches of Swin blocks. Swin V2 starts at 0; a run of some hundred steps has no
            time to open them, and its HR encoder would stay a pyramid of linear layers.
        clip: Largest norm of the gradient.
        teacher_momentum: First value; it rises to 1 on a cosine.
        teacher_temperature: First and last value, reached after the warm-up.
        precision: fp32 or bf16 (mixed).
        recompute: Recompute activations of the encoders: less memory, more time.
        probe_every: Steps between probes of the teacher on held-out places; 0: no probes.
        probe_tiles: Labelled tiles to fit these probes and those of the model card on, and to measure them on.
        save_every: Steps between checkpoints.

    Example:
        >>> Recipe(steps=10, terms=Terms(alignment=0.0)).terms.levels
        {'pixel': 1.0, 'object': 1.0, 'image': 1.0}
    """

    __pydantic_config__ = STRICT

    preset: str = "skysense-tiny"
    seed: int = 0
    steps: int = 200
    batch: int = 8
    accumulate: int = 1
    tiles: str = ""
    stored_places: int = 0
    tile_cells: int = 12
    tile_s2_dates: int = 10
    tile_s1_dates: int = 5
    workers: int = 0
    views: CropPlan = field(default_factory=lambda: CropPlan(s2_dates=6, s1_dates=3))
    terms: Terms = field(default_factory=Terms)
    prototypes: int = 512
    hidden: int = 256
    bottleneck: int = 64
    balanced: bool = False
    clusters: int = 8
    queries: int = 16
    geo_regions: int = 0
    geo_prototypes: int = 16
    geo_momentum: float = 0.99
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-6
    warmup: int = 20
    weight_decay: float = 0.04
    branch_gain: float = 0.5
    clip: float = 3.0
    teacher_momentum: float = 0.99
    teacher_temperature: tuple[float, float] = (0.04, 0.07)
    precision: str = "fp32"
    recompute: bool = False
    probe_every: int = 0
    probe_tiles: tuple[int, int] = (96, 64)
    save_every: int = 100

    def __post_init__(self) -> None:
        whole = ("steps", "batch", "accumulate", "tile_cells", "prototypes", "save_every")
        if wrong := [f"{name}={getattr(self, name)}" for name in whole if getattr(self, name) < 1]:
            raise ParameterError.of("counts of at least 1", ", ".join(wrong), "Choose larger numbers.")
        if self.batch % self.accumulate:
            got = f"{self.batch} in {self.accumulate} parts"
            raise ParameterError.of("a batch that divides by accumulate", got, "Change one of them.")
        if self.precision not in ("fp32", "bf16"):
            raise ParameterError.of("precision fp32 or bf16", repr(self.precision), "Choose one of these.")
        if not any(asdict(self.terms).values()):
            raise ParameterError.of("a term with a weight above 0", "none", "Switch a loss on.")


def read_recipe(path: str | Path, **changes: Any) -> Recipe:
    """The recipe of a YAML file, with single values changed.

    Args:
        path: The file, or the name of one of those that come with this package: `skysense-tiny`, `skysense-v2-tiny`,
            which made the bundled weights of these presets.
        changes: Values that win over the file's.

    Raises:
        ParameterError: No such file, unknown names, values of the wrong type.

    Example:
        >>> _ = Path("mine.yaml").write_text("steps: 10\\nterms: {alignment: 0}")
        >>> read_recipe("mine.yaml", batch=4).batch
        4
    """
    import yaml

    shipped = RECIPES / f"{path}.yaml"
    path = shipped if shipped.is_file() else path
    try:
        values = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "no text"
        raise ParameterError.of(f"a recipe at {path}", problem.lower(), "Check the path.") from error
    except yaml.YAMLError as error:
        raise ParameterError.of(f"YAML in {path}", str(error).splitlines()[0], "Check its indentation.") from error
    if not isinstance(values, dict):
        raise ParameterError.of(f"names with values in {path}", type(values).__name__, "Write lines like steps: 10.")
    return make_recipe({**values, **changes})


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Writes a recipe so that `read_recipe` gives it back.

    Example:
        >>> write_recipe(Recipe(steps=3), Path("three.yaml"))
        >>> read_recipe("three.yaml") == Recipe(steps=3)
        True
    """
    import yaml

    values = make_plain(asdict(recipe))
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def make_plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values with tuples as lists, as files give them back."""
    kinds = {dict: make_plain, tuple: list}
    return {name: kinds.get(type(value), lambda same: same)(value) for name, value in values.items()}


def make_recipe(values: dict[str, Any]) -> Recipe:
    """A recipe from plain values, as a YAML file or a checkpoint holds them.

    Example:
        >>> make_recipe(asdict(Recipe(steps=3))) == Recipe(steps=3)
        True
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Recipe).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ParameterError.of("a recipe's names and types", f"{where}: {first['msg']}", "See Recipe.") from error
