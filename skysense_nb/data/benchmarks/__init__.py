"""The sixteen benchmarks of SkySense, read where they lie on disk.

`open_benchmark("dior", root)` gives one split. `reader` says what a record holds.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from skysense_nb.data.benchmarks.reader import Reader, Record, Verification
from skysense_nb.data.catalog import benchmark

READERS = {
    "aid": "class_folders:AID",
    "resisc45": "class_folders:RESISC45",
    "dior": "boxes_dior:DIOR",
    "dior_r": "boxes_dior:DIORR",
    "fair1m": "fair1m:FAIR1M",
    "levir_cd": "levir_cd:LEVIRCD",
    "oscd": "oscd:OSCD",
    "dyna_pla": "dynamic_earth_net:DynaPlanet",
    "dyna_s2": "dynamic_earth_net:DynaS2",
    "dyna_mm": "dynamic_earth_net:DynaMM",
    "pastis": "pastis:PASTIS",
    "ben_s2": "big_earth_net:BENS2",
    "ben_mm": "big_earth_net:BENMM",
    "fmow_s2": "fmow_s2:FMoWS2",
    "isaid": "isaid:ISAID",
    "potsdam": "potsdam:Potsdam",
}
"""Where the reader of each entry of the catalogue is; imported when first used."""

__all__ = ["READERS", "Reader", "Record", "Verification", "open_benchmark"]


def open_benchmark(name: str, root: str | Path, split: str = "train", **options: Any) -> Reader:
    """One split of a benchmark on disk.

    Args:
        name: As in the catalogue.
        root: Folder its archives were unpacked to.
        split: One of the reader's `splits`.
        options: Of the reader, such as the `share` for training.

    Raises:
        ParameterError: An unknown benchmark, split or option.
        DatasetError: The folder is not this benchmark.
    """
    module, reader = READERS[benchmark(name).name].split(":")
    return getattr(import_module(f"skysense_nb.data.benchmarks.{module}"), reader)(root, split, **options)
