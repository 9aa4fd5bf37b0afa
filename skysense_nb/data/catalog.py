"""What data there is: benchmarks, areas and remote sources, as the files of `data_catalog/` describe them.

Everything in an entry is text to read: nothing is fetched. A published score carries how sure we are of it, and one
that is only recalled is never shown as the paper's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from skysense_nb.errors import EnvironmentProblem, ParameterError
from skysense_nb.sensors import SENSORS

FOLDER = Path(__file__).resolve().parents[2] / "data_catalog"

TASKS = (
    "scene classification", "multi-label classification", "segmentation", "time-series segmentation",
    "horizontal boxes", "oriented boxes", "change", "semantic change",
)  # fmt: skip

Confidence = Literal["official", "third-party table", "second-hand notes", "recalled"]
"""Where a score was read, best first: the authors' code or text, a table by others, notes on the paper, memory."""


class Part(BaseModel):
    """Base of all parts: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bands(Part):
    """What a benchmark holds of one sensor, in the order a reader gives it."""

    bands: tuple[str, ...]
    unit: str


class NamedClass(Part):
    """A class of a benchmark.

    Attributes:
        id: In labels.
        name: As published.
        code: R G B 0–255 that stands for it in files whose masks are colours.
        color: R G B 0–255 for maps, not the published one: all of a benchmark stay apart under colour blindness.
        group: Of fine-grained classes.
    """

    id: int
    name: str
    code: tuple[int, int, int] | None = None
    color: tuple[int, int, int] | None = None
    group: str = ""


class SplitSize(Part):
    """A part of a benchmark; a count that is only `recalled` is not checked against."""

    name: str
    count: int | None = None
    confidence: Literal["read", "recalled"] = "read"


class Score(Part):
    """A published number, in percent."""

    model: str
    setting: str = ""
    metric: str
    value: float
    confidence: Confidence


class Statistics(Part):
    """Mean and standard deviation per band, in the order and unit of `Bands`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Benchmark(Part):
    """One benchmark: what it is, how it lies on disk, how it is scored, what was published.

    Attributes:
        name: Of the file, and for `open_benchmark`.
        title: Name in the papers.
        task: One of `TASKS`; `also` for a second one on the same data.
        sensors: Per modality, bands and unit as a reader gives them.
        classes: In the order of ids. Labels hold 255 where `ignored` ones are.
        source_classes: Names on disk that become these classes; none: such labels are dropped.
        split_unit: What the splits count.
        labelled_cubes: Of DynamicEarthNet, those with public labels.
        statistics: The benchmark's own, per modality.
    """

    name: str
    title: str
    about: str
    task: str
    also: str = ""
    sensors: dict[str, Bands]
    pixel_size: str
    image_size: str
    images: int | None = None
    licence: str
    download: tuple[str, ...]
    layout: tuple[str, ...]
    files: tuple[str, ...]
    classes: tuple[NamedClass, ...]
    ignored: tuple[NamedClass, ...] = ()
    source_classes: dict[str, int | None] = {}
    splits: tuple[SplitSize, ...] = ()
    split_unit: str = "images"
    split_rule: str
    labelled_cubes: tuple[str, ...] = ()
    metric: str
    metric_definition: str
    protocol: str = ""
    scores: tuple[Score, ...]
    score_note: str = ""
    pitfalls: tuple[str, ...] = ()
    statistics: dict[str, Statistics] = {}

    @model_validator(mode="after")
    def consistent(self) -> Benchmark:
        """Refuses unknown tasks and sensors, ids with holes, statistics of other bands."""
        if wrong := [task for task in (self.task, self.also) if task and task not in TASKS]:
            raise ValueError(f"task among {', '.join(TASKS)}, not {wrong[0]}")
        if wrong := [name for name in self.sensors if name not in SENSORS]:
            raise ValueError(f"sensors among {', '.join(SENSORS)}, not {wrong[0]}")
        if [one.id for one in self.classes] != list(range(len(self.classes))):
            raise ValueError("class ids 0, 1, 2, … in order")
        if len({one.name for one in self.classes}) < len(self.classes):
            raise ValueError("class names that differ")
        for name, values in self.statistics.items():
            if not len(values.mean) == len(values.std) == len(self.sensors[name].bands):
                raise ValueError(f"one mean and one std per band of {name}")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of ids."""
        return tuple(one.name for one in self.classes)

    def count(self, split: str) -> int | None:
        """How many a split must have; None where that is not known for sure."""
        return next((one.count for one in self.splits if one.name == split and one.confidence == "read"), None)

    def words(self) -> str:
        """What to know before downloading it, in lines."""
        sizes = ", ".join(f"{one.name} {one.count}" for one in self.splits if one.count and one.confidence == "read")
        scores = [
            f"{one.model}{f', {one.setting}' if one.setting else ''}: {one.metric} {one.value} ({one.confidence})"
            for one in self.scores
            if one.confidence != "recalled"
        ]
        lines = [
            f"{self.title}: {self.task}. {self.about}",
            f"  images    {self.images or 'not counted'}, {self.image_size}, pixels {self.pixel_size}",
            f"  classes   {len(self.classes)}",
            f"  splits    {f'{sizes} {self.split_unit}. ' if sizes else ''}{self.split_rule}",
            f"  metric    {self.metric_definition}",
            f"  licence   {self.licence}",
            *(f"  get it    {line}" for line in self.download),
            *(f"  layout    {line}" for line in self.layout),
            *(f"  careful   {line}" for line in self.pitfalls),
            *(f"  score     {line}" for line in scores),
        ]
        return "\n".join(lines)


class Area(Part):
    """A place worth looking at: edges in degrees west, south, east, north."""

    name: str
    title: str
    about: str
    bounds: tuple[float, float, float, float]


class RemoteSource(Part):
    """A STAC catalogue: address, and per modality the collection and the key of each band's asset.

    Attributes:
        address: Of a search service or a `catalog.json`, on the web or on disk.
        scene_classification: Key of the asset with the classes of Sentinel-2 L2A (SCL).
        s1_unit: What the radar files hold. Amplitudes as detected are not calibrated and cannot become dB.
        signing: Service that signs the addresses of files.
    """

    name: str
    title: str
    about: str
    address: str
    licence: str
    collections: dict[str, str]
    assets: dict[str, dict[str, str]]
    scene_classification: str = ""
    s1_unit: Literal["power", "amplitude", "dB"] = "power"
    signing: Literal["", "planetary-computer"] = ""
    pitfalls: tuple[str, ...] = ()


KINDS: dict[str, type[Part]] = {"benchmarks": Benchmark, "areas": Area, "sources": RemoteSource}
"""Folders of the catalogue, and what their files are."""


@cache
def entries(kind: str = "benchmarks", folder: Path = FOLDER) -> dict[str, Part]:
    """All entries of a kind by name, read and checked.

    Args:
        kind: `benchmarks`, `areas` or `sources`.
        folder: Of the catalogue.

    Raises:
        EnvironmentProblem: The catalogue is not there.
        ParameterError: A file that does not follow the schema, named with the field.

    Example:
        >>> entries()["dior"].metric
        'AP50 (COCO)'
    """
    files = sorted((folder / kind).glob("*.yaml"))
    if not files:
        raise EnvironmentProblem.of(f"catalogue files in {folder / kind}", "none", "Use a complete checkout.")
    return {path.stem: read_entry(path, KINDS[kind]) for path in files}


def read_entry(path: Path, kind: type[Part]) -> Part:
    """One file of the catalogue, checked against its schema and its own name."""
    try:
        entry = kind.model_validate(yaml.safe_load(path.read_text()))
    except (yaml.YAMLError, ValidationError) as error:
        said = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in said["loc"]) or "file"
        raise ParameterError.of(f"{path.name} as {kind.__name__}", f"{where}: {said['msg']}", "Mend it.") from error
    if entry.name != path.stem:
        raise ParameterError.of(f"the name {path.stem} in {path.name}", entry.name, "Rename one of them.")
    return entry


def benchmark(name: str) -> Benchmark:
    """The entry of one benchmark.

    Raises:
        ParameterError: There is none of this name.

    Example:
        >>> benchmark("levir_cd").class_names
        ('no change', 'change')
    """
    known = entries()
    if name not in known:
        raise ParameterError.of(f"a benchmark among {', '.join(known)}", repr(name), "Choose one of these.")
    return known[name]


def catalog(task: str | None = None, sensor: str | None = None, licence: str | None = None) -> pd.DataFrame:
    """The benchmarks as a table, one row each.

    Args:
        task: Only those whose task contains this word.
        sensor: Only those with this modality: hr, s2 or s1.
        licence: Only those whose licence contains this text, in any case.

    Raises:
        ParameterError: A filter that nothing could fit.

    Example:
        >>> list(catalog(task="boxes").index)
        ['DIOR', 'DIOR-R', 'FAIR1M']
    """
    if task is not None and not any(task in known for known in TASKS):
        raise ParameterError.of(f"words of {', '.join(TASKS)}", repr(task), "Choose one of these.")
    if sensor is not None and sensor not in SENSORS:
        raise ParameterError.of(f"a sensor among {', '.join(SENSORS)}", repr(sensor), "Choose one of these.")
    rows = [
        {
            "benchmark": one.title,
            "name": one.name,
            "task": one.task + (f", {one.also}" if one.also else ""),
            "sensors": " ".join(one.sensors),
            "images": one.images,
            "classes": len(one.classes),
            "metric": one.metric,
            "licence": one.licence,
        }
        for one in entries().values()
        if (task is None or task in one.task or task in one.also)
        and (sensor is None or sensor in one.sensors)
        and (licence is None or licence.lower() in one.licence.lower())
    ]
    columns = ["benchmark", "name", "task", "sensors", "images", "classes", "metric", "licence"]
    return pd.DataFrame(rows, columns=columns).astype({"images": "Int64"}).set_index("benchmark").sort_index()


def published_scores(recalled: bool = False) -> pd.DataFrame:
    """Published scores, one row each, with how sure we are of them.

    Args:
        recalled: Also those that nobody read anywhere; they are not to be shown as the paper's.

    Example:
        >>> table = published_scores()
        >>> float(table[(table.benchmark == "iSAID") & (table.model == "SkySense")].value.iloc[0])
        70.91
    """
    rows = [
        {"benchmark": one.title, "task": one.task, **score.model_dump()}
        for one in entries().values()
        for score in one.scores
        if recalled or score.confidence != "recalled"
    ]
    return pd.DataFrame(rows)
