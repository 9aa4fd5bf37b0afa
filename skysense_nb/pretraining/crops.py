"""Views of one place for student and teacher: crops on the grid of ground cells, drawn dates, disturbed values.

SkySense (CVPR 2024) trains on two large views and several small ones of each sample. Published are the kinds of
disturbance (several crops, Gaussian blur and solarisation of HR; random subsequences of 20 and 10 dates with
disturbed acquisition dates for Sentinel-2 and Sentinel-1). Sizes and probabilities are not: they are our choice.

Nothing is resized. One Sentinel pixel must go on covering 32 × 32 HR pixels, or the sensors of a view would no
longer show the same ground cell by cell, and a cell of one view could not be found in the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from skysense_nb.errors import ParameterError, SampleError
from skysense_nb.layers.autocast import full_precision
from skysense_nb.pretraining.disturbances import disturb, kornia_operations
from skysense_nb.sensors import DAYS_IN_TABLE, HR_PIXELS_PER_CELL, SENSORS

STEP = {"hr": HR_PIXELS_PER_CELL, "s2": 1, "s1": 1}
"""Pixels along the side of a ground cell."""

CELL_LABELS = ("land_cover", "tags")
"""Truth per ground cell (B … h w) that is cut like the images where a sample carries it."""

STRICT = {"extra": "forbid"}
"""For records read from files: unknown names are refused."""


@dataclass(frozen=True)
class CropPlan:
    """How views are cut and disturbed. All values but the numbers of dates are our choice.

    Reflectance and backscatter get no colour jitter: the relation between their bands is what they measure.

    Attributes:
        global_cells: Side of the two large views in ground cells.
        local_cells: Side of the small views in ground cells.
        local_views: Number of small views.
        hr_dates: HR images per view.
        s2_dates: Sentinel-2 dates per view (20 in the paper); missing ones are padded with invalid dates.
        s1_dates: Sentinel-1 dates per view (10 in the paper), padded likewise.
        date_jitter_days: Largest error put on the day of a Sentinel date.
        flip: Whether half the views are flipped, north–south and east–west on their own; all sensors alike.
        blur: Probability of blurring an HR image of the first, second and small views (those of DINO).
        solarise: Probability of inverting the bright half of the values of an HR image, likewise.
        brightness: HR values are multiplied by 1 ± up to this.
        contrast: HR values spread around the mean of their image by 1 ± up to this.
        s2_gain: Standard deviation of a factor that all bands of a Sentinel-2 date share, as light does.
        s2_noise: Standard deviation of the noise of each Sentinel-2 pixel, in reflectance × 10,000.
        s1_noise_db: Standard deviation of the noise of each Sentinel-1 pixel in dB: a factor on power, as speckle is.

    Example:
        >>> CropPlan(local_views=4).global_cells
        8
    """

    __pydantic_config__ = STRICT

    global_cells: int = 8
    local_cells: int = 4
    local_views: int = 2
    hr_dates: int = 1
    s2_dates: int = 20
    s1_dates: int = 10
    date_jitter_days: int = 5
    flip: bool = True
    blur: tuple[float, float, float] = (1.0, 0.1, 0.5)
    solarise: tuple[float, float, float] = (0.0, 0.2, 0.0)
    brightness: float = 0.2
    contrast: float = 0.2
    s2_gain: float = 0.05
    s2_noise: float = 20.0
    s1_noise_db: float = 0.5

    def __post_init__(self) -> None:
        sizes = dict.fromkeys(("global_cells", "local_cells", "hr_dates", "s2_dates", "s1_dates"), 1)
        for name, least in (sizes | {"local_views": 0, "date_jitter_days": 0}).items():
            if getattr(self, name) < least:
                got = str(getattr(self, name))
                raise ParameterError.of(f"{name} of at least {least}", got, "Choose a larger number.")
        for name in ("blur", "solarise"):
            shares = getattr(self, name)
            if len(shares) != 3 or not all(0 <= share <= 1 for share in shares):
                raise ParameterError.of(f"three probabilities for {name}", str(shares), "First, second, small views.")


@dataclass
class View:
    """One crop of a batch of tiles.

    Attributes:
        sample: What a model reads, B T C H W per modality with days, validity and place.
        origin: B 2 int64, row and column of the first ground cell in the tile.
        flip: B 2 bool, whether it was flipped north–south and east–west.
        cells: Side in ground cells.
        labels: `CELL_LABELS` of the tile, cut alike.
    """

    sample: dict[str, Tensor]
    origin: Tensor
    flip: Tensor
    cells: int
    labels: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Views:
    """Two large views of the same tiles, and the small ones."""

    first: View
    second: View
    local: list[View]


def make_views(sample: dict[str, Tensor], plan: CropPlan, generator: torch.Generator) -> Views:
    """Cuts a batch of tiles into views.

    Crops are drawn per sample, dates per sample and sensor: valid dates first, and those in the order of their
    disturbed day, so that position t means about the same season in every view. Dates that are invalid stay so and
    hold zeros. All chance comes from `generator` on the CPU, so a seed means the same views on every device; crops
    and dates are drawn before the disturbances and do not change with their strength.

    Args:
        sample: Batch of tiles as from `collate`, on any device; may carry `CELL_LABELS`.
        plan: Sizes, numbers and strengths.
        generator: On the CPU.

    Raises:
        SampleError: No modality, sensors that do not show the same ground cells, or a tile smaller than a view.
        EnvironmentProblem: HR images are to be blurred or solarised and kornia is not installed.

    Example:
        >>> tiles = {"hr": torch.zeros(2, 1, 3, 320, 320), "s2": torch.zeros(2, 5, 10, 10, 10)}
        >>> make_views(tiles, CropPlan(), torch.Generator().manual_seed(0)).first.sample["s2"].shape
        torch.Size([2, 20, 10, 8, 8])
    """
    ground = ground_shape(sample)
    needed = max(plan.global_cells, plan.local_cells if plan.local_views else 0)
    if min(ground) < needed:
        got = f"{ground[0]} × {ground[1]}"
        raise SampleError.of(f"tiles of at least {needed} × {needed} cells", got, "Use larger tiles or smaller crops.")
    if "hr" in sample and any((*plan.blur, *plan.solarise)):
        kornia_operations()  # its absence shows at once, not in the first step that blurs
    sizes = [plan.global_cells] * 2 + [plan.local_cells] * plan.local_views
    views = [crop(sample, ground, cells, plan, generator) for cells in sizes]
    with full_precision(views[0].origin.device):
        for number, view in enumerate(views):
            disturb(view.sample, plan, min(number, 2), generator)
    return Views(views[0], views[1], views[2:])


def matching(one: View, other: View) -> Tensor:
    """For each cell of `one` the index of the same ground cell in `other`: B N int64, −1 where there is none.

    Example:
        >>> here, east = (View({}, torch.tensor([[0, x]]), torch.zeros(1, 2).bool(), 2) for x in (0, 1))
        >>> matching(here, east)
        tensor([[-1,  0, -1,  2]])
    """
    steps = torch.arange(one.cells, device=one.origin.device)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).flatten(0, 1)  # N 2
    place = torch.where(one.flip[:, None], one.cells - 1 - grid, grid) + one.origin[:, None]  # B N 2, in the tile
    place = place - other.origin[:, None]
    inside = ((place >= 0) & (place < other.cells)).all(-1)
    place = torch.where(other.flip[:, None], other.cells - 1 - place, place)
    return torch.where(inside, place[..., 0] * other.cells + place[..., 1], -1)


def ground_shape(sample: dict[str, Tensor]) -> tuple[int, int]:
    """Rows and columns of ground cells that all modalities of a sample share."""
    shapes = {name: [side / STEP[name] for side in sample[name].shape[-2:]] for name in SENSORS if name in sample}
    if not shapes:
        raise SampleError.of("at least one of hr, s2, s1", f"keys {sorted(sample)}", "Build it with collate.")
    rows, columns = next(iter(shapes.values()))
    if any(shape != [rows, columns] for shape in shapes.values()) or rows % 1 or columns % 1:
        listed = ", ".join(f"{name} {tuple(sample[name].shape[-2:])}" for name in shapes)
        raise SampleError.of("32 × 32 HR pixels per Sentinel pixel", listed, "Build it with scene.sky.to_sample.")
    return int(rows), int(columns)


def crop(
    sample: dict[str, Tensor], ground: tuple[int, int], cells: int, plan: CropPlan, generator: torch.Generator
) -> View:
    """A view of `cells` × `cells` ground cells with drawn dates, its values as they were."""
    device = next(sample[name] for name in SENSORS if name in sample).device
    batch = next(len(sample[name]) for name in SENSORS if name in sample)
    room = torch.tensor(ground) - cells + 1
    origin = (torch.rand(batch, 2, generator=generator) * room).long()
    flip = (torch.rand(batch, 2, generator=generator) < 0.5) & plan.flip
    result = {"lonlat": sample["lonlat"]} if "lonlat" in sample else {}
    for name in [name for name in SENSORS if name in sample]:
        images = cut(sample[name], origin * STEP[name], flip, cells * STEP[name])
        chosen, day, valid = draw_dates(sample, name, plan, generator)
        result[name] = images[torch.arange(batch, device=device)[:, None], chosen.to(device)]  # B T C H W
        result[f"{name}_valid"] = valid.to(device)
        if f"{name}_day" in sample:
            result[f"{name}_day"] = day.to(device)
    labels = {name: cut(sample[name], origin, flip, cells) for name in CELL_LABELS if name in sample}
    return View(result, origin.to(device), flip.to(device), cells, labels)


def cut(images: Tensor, origin: Tensor, flip: Tensor, side: int) -> Tensor:
    """A square of each … H W of a batch from its own first row and column on, flipped where it says so."""
    squares = []
    for image, (top, left), turned in zip(images, origin.tolist(), flip.tolist(), strict=True):
        square = image[..., top : top + side, left : left + side]
        axes = [axis for axis, turn in zip((-2, -1), turned, strict=True) if turn]
        squares.append(square.flip(axes) if axes else square)
    return torch.stack(squares)


def draw_dates(
    sample: dict[str, Tensor], name: str, plan: CropPlan, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Which dates of one sensor a view shows: positions in the series, disturbed days, validity; each B T on the CPU.

    Padding points at date 0 and is invalid.
    """
    batch, dates = sample[name].shape[:2]
    count = {"hr": plan.hr_dates, "s2": plan.s2_dates, "s1": plan.s1_dates}[name]
    jitter = 0 if name == "hr" else plan.date_jitter_days
    valid = sample.get(f"{name}_valid", torch.ones(batch, dates, dtype=torch.bool)).cpu()
    day = sample.get(f"{name}_day", torch.arange(dates).expand(batch, dates)).cpu()
    day = day + torch.randint(-jitter, jitter + 1, (batch, dates), generator=generator)
    day = day.clamp(0, DAYS_IN_TABLE - 1) if f"{name}_day" in sample else day
    lot = torch.rand(batch, dates, generator=generator) + valid  # valid ones win
    chosen = lot.argsort(dim=1, descending=True)[:, :count]
    key = torch.where(valid, day, torch.iinfo(day.dtype).max).gather(1, chosen)
    chosen = chosen.gather(1, key.argsort(dim=1, stable=True))
    missing = count - chosen.shape[1]
    valid, day = valid.gather(1, chosen), day.gather(1, chosen) * valid.gather(1, chosen)
    return tuple(torch.nn.functional.pad(values, (0, missing)) for values in (chosen, day, valid))
