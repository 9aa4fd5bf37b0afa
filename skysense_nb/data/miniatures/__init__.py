"""Small synthetic copies of the benchmarks, laid out on disk exactly as the real ones.

They are for learning the path from files to scores where the data cannot be had, and for tests: every quirk of the
real files is in them. Asked for a number of places they are something to train and test heads on instead: samples of
that many places, with enough of every class. What is on the pictures is the synthetic world, so no score on them means
anything about real ones.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from skysense_nb.data.benchmarks.reader import Record
from skysense_nb.data.catalog import benchmark
from skysense_nb.errors import DatasetError

WRITERS = {
    "aid": "class_folders:write_aid",
    "resisc45": "class_folders:write_resisc45",
    "dior": "boxes_dior:write_dior",
    "dior_r": "boxes_dior:write_dior_r",
    "fair1m": "fair1m:write_fair1m",
    "levir_cd": "levir_cd:write_levir_cd",
    "oscd": "oscd:write_oscd",
    "dyna_pla": "dynamic_earth_net:write_dyna_pla",
    "dyna_s2": "dynamic_earth_net:write_dyna_s2",
    "dyna_mm": "dynamic_earth_net:write_dyna_mm",
    "pastis": "pastis:write_pastis",
    "ben_s2": "big_earth_net:write_ben_s2",
    "ben_mm": "big_earth_net:write_ben_mm",
    "fmow_s2": "fmow_s2:write_fmow_s2",
    "isaid": "isaid:write_isaid",
    "potsdam": "potsdam:write_potsdam",
}
"""Where the writer of each entry of the catalogue is; imported when first used."""

__all__ = ["WRITERS", "write_miniature"]


def write_miniature(name: str, folder: str | Path, seed: int = 0, places: int | None = None) -> dict[str, Record]:
    """Writes a small synthetic copy of a benchmark.

    Args:
        name: As in the catalogue.
        folder: Must not exist; it appears when all is written. It is the `root` for `open_benchmark`.
        seed: Of the synthetic world; with `places`, of the draw of places in the world of the bundled weights, on
            ground whose labels these were not trained with.
        places: None: a few samples with every quirk of the files. A number, at least 4: samples of so many places, of
            all splits together, to train and test heads on; one of each place, or up to three for DIOR, DIOR-R and
            FAIR1M. No place is in two splits.

    Returns:
        What a reader must find: a record per id, of all splits; up to about 1 MB for each.

    Raises:
        ParameterError: An unknown benchmark, or a number of places that it cannot have.
        DatasetError: The folder exists.
    """
    module, writer = WRITERS[benchmark(name).name].split(":")
    folder = Path(folder)
    if folder.exists():
        raise DatasetError.of(f"a new folder at {folder}", "one that exists", "Choose another, or delete it.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        whole = Path(beside) / name
        whole.mkdir()
        write = getattr(import_module(f"skysense_nb.data.miniatures.{module}"), writer)
        truth = write(whole, seed) if places is None else write(whole, seed, places)
        whole.rename(folder)
    return truth
