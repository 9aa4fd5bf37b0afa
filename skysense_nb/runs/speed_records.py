"""What was measured on which machine and when: a file per device and day, to which anyone can add.

`keep` writes or extends today's file of this device, `speed_records` reads all files of a folder as one table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import ValidationError, field_validator

from skysense_nb.errors import RunError, writable
from skysense_nb.runs.bench_inference import Comparison
from skysense_nb.runs.bench_step import DATES, PIXELS, STUDIED, Step
from skysense_nb.runs.library import CHECKOUT
from skysense_nb.runs.record import Part, git_state
from skysense_nb.runtime import processor

if TYPE_CHECKING:
    import pandas as pd

OURS = CHECKOUT / "env" / "speed"
"""Records that come with the library."""


class SpeedRow(Part):
    """One thing beside its plain form, which has fp32 on a CPU and the same precision on a GPU.

    Attributes:
        model, part, reads, precision: What was run on what; rows that agree in these replace each other.
        plain_s, fast_s, ratio: Seconds of both forms, and how many times faster the second is.
        plain_mib, fast_mib: Memory of a call, MiB; None where the system does not tell.
        error: Largest difference of outputs or gradients, relative to the largest value of the plain ones.
        cosine: Of both outputs; None for a step of training.
        share: Of a large product's rate, see `Comparison`; None for a step of training.
        threads, torch, commit: What it was measured under; the commit is that of the library, if it is a checkout.
    """

    model: str
    part: str
    reads: str
    precision: str
    plain_s: float
    fast_s: float
    ratio: float
    plain_mib: float | None
    fast_mib: float | None
    error: float
    cosine: float | None
    share: float | None
    threads: int
    torch: str
    commit: str | None

    @field_validator("plain_s", "fast_s", "ratio", "plain_mib", "fast_mib", "error", "cosine", "share")
    @classmethod
    def shortened(cls, value: float | None) -> float | None:
        """Six digits: what is measured has no more."""
        return None if value is None else float(f"{value:.6g}")

    @property
    def what(self) -> tuple[str, ...]:
        """What tells a row from the others of a file."""
        return self.model, self.part, self.reads, self.precision


class SpeedRecord(Part):
    """All that was measured on one device on one day.

    Attributes:
        device: Name of the GPU, or of the processor.
        cores: Of the processor; None for a GPU.
        day: Local date.
        rows: In the order they were first measured.
    """

    device: str
    cores: int | None
    day: date
    rows: list[SpeedRow]

    @property
    def machine(self) -> str:
        """Device, with its cores if they are what computes."""
        return self.device if self.cores is None else f"{self.device}, {self.cores} cores"

    @property
    def file_name(self) -> str:
        """Day and machine."""
        return f"{self.day}_{re.sub('[^a-z0-9]+', '-', self.machine.lower()).strip('-')}.json"


def keep(preset: str, measured: Iterable[Comparison | Step], folder: str | Path, device: torch.device) -> Path:
    """Adds rows to today's record of this device; a row measured before gives way.

    Args:
        preset: What the comparisons are of.
        measured: Rows of `bench_inference` or `bench_step`.
        folder: Of the records; made if it is not there.
        device: Where it was measured.

    Raises:
        RunError: Today's record is there, but broken, or cannot be written.

    Example:
        >>> keep("skysense-tiny", bench_inference(), "speed", choose_device())    # doctest: +SKIP
    """
    on_cpu = device.type == "cpu"
    git = git_state(CHECKOUT)
    under = {
        "threads": 1 if on_cpu else torch.get_num_threads(),  # the benchmarks take one where threads compute
        "torch": torch.__version__,
        "commit": git and git.commit[:10] + " and changes" * git.dirty,
    }
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    cores = None if device.type == "cuda" else os.cpu_count()
    record = SpeedRecord(device=name, cores=cores, day=date.today(), rows=[])
    path = Path(folder) / record.file_name
    known = read_speed_record(path).rows if path.exists() else []
    new = [SpeedRow(**as_row(preset, one), **under) for one in measured]
    rows = {row.what: row for row in (*known, *new)}
    beside = path.with_suffix(f".{os.getpid()}.new")
    whole = record.model_copy(update={"rows": list(rows.values())})
    with writable(path.parent, RunError):
        beside.write_text(whole.model_dump_json(indent=1) + "\n", encoding="utf-8")
        os.replace(beside, path)
    return path


def as_row(preset: str, measured: Comparison | Step) -> dict[str, Any]:
    """The columns of a record for a comparison of forms, or for a way to take a step."""
    if isinstance(measured, Comparison):
        return {"model": preset, **measured.to_dict()}
    return {
        "model": f"ViT {STUDIED.embed_dims} × {STUDIED.num_layers}",
        "part": "training step",
        "reads": f"{DATES} dates of {PIXELS} × {PIXELS} px",
        "precision": measured.way,
        "plain_s": measured.seconds * measured.ratio,
        "fast_s": measured.seconds,
        "ratio": measured.ratio,
        "plain_mib": None if measured.less is None else measured.peak_mib * measured.less,
        "fast_mib": measured.peak_mib,
        "error": measured.error,
        "cosine": None,
        "share": None,
    }


def read_speed_record(path: Path) -> SpeedRecord:
    """Reads one file.

    Raises:
        RunError: It is not a record of speed.
    """
    try:
        return SpeedRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        words = " ".join(str(error).split())
        raise RunError.of(f"a record of speed at {path}", words, "Move it away, and measure again.") from error


def speed_records(folder: str | Path = OURS) -> pd.DataFrame:
    """All records of a folder: a row per measurement, after its device and day.

    Raises:
        RunError: No record there, or a broken one.

    Example:
        >>> speed_records()[["device", "day", "model", "part", "ratio"]]    # doctest: +SKIP
    """
    import pandas as pd

    records = [read_speed_record(path) for path in sorted(Path(folder).glob("*.json"))]
    if not records:
        next_step = "Make one with `skysense-nb bench --inference --keep FOLDER`."
        raise RunError.of(f"records of speed in {folder}", "none", next_step)
    rows = [
        {"device": record.machine, "day": record.day, **row.model_dump()} for record in records for row in record.rows
    ]
    return pd.DataFrame(rows)
