"""Memory depends on the tile, not on the area, and stays within what was said."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from small_maps import Identity, region, same

from skysense_nb.data.storage import save
from skysense_nb.errors import EnvironmentProblem
from skysense_nb.mapping import embedding, map_scene
from skysense_nb.mapping.imagery import Imagery
from skysense_nb.mapping.memory import SIDES, held_per_cell, largest_tile
from skysense_nb.models.checkpoints import load
from skysense_nb.models.inference import making
from skysense_nb.models.inference.choice import Choice

HERE = Path(__file__).parent

PEAK = """
import re, sys
from pathlib import Path
sys.path[:0] = {paths}
from small_maps import Identity, same
from skysense_nb.data.storage import open_scene
from skysense_nb.mapping import embedding, map_scene
from skysense_nb.models.checkpoints import load
identity = {model!r} == "identity"
model = Identity() if identity else load({model!r}, weights="random")[0]
product = same("s2") if identity else embedding(model.width)
done = map_scene(open_scene({scene!r}), model, product, {out!r}, progress=False, **{options!r})
status = Path("/proc/self/status").read_text()  # getrusage would count the process that started this one
print(done.tiles, int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 2**20)
"""


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc on this system")


def peak_gib(scene: Path, out: Path, model: str, arenas: int | None = None, **options) -> tuple[int, float]:
    """Tiles and peak memory of a run in a process of its own; fewer arenas of the allocator keep less that is free."""
    paths = [str(HERE), str(HERE.parent)]
    code = PEAK.format(paths=paths, scene=str(scene), out=str(out), model=model, options=options)
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | ({"MALLOC_ARENA_MAX": str(arenas)} if arenas else {})
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    tiles, peak = told.stdout.split()[-2:]
    return int(tiles), float(peak)


@needs_proc
def test_a_hundred_times_the_area_needs_no_more_memory(tmp_path):
    found = []
    for rows, columns in ((48, 64), (400, 768)):
        path = save(region(rows, columns, sensors=("s2",)).chunk(y=128, x=128), tmp_path / f"{rows}.zarr")
        options = {"arenas": 1, "tile": 16, "margin_m": 0, "overlap_m": 0}
        found.append(peak_gib(path, tmp_path / f"out{rows}", "identity", **options))
    (few, small), (many, large) = found
    assert (few, many) == (12, 1200) and large < 1.1 * small


@needs_proc
def test_a_run_stays_within_its_budget(tmp_path):
    path = save(region(70, 70, dates=4, sensors=("s2", "s1")).chunk(y=128, x=128), tmp_path / "scene.zarr")
    tiles, peak = peak_gib(path, tmp_path / "out", "skysense-tiny", memory_gb=1.5)
    assert tiles > 1 and 0.8 < peak < 1.5


def test_more_memory_means_larger_tiles_and_too_little_is_refused():
    imagery, model = Imagery(region(dates=4, sensors=("s2",))), load("skysense-tiny", weights="random")[0]
    product = embedding(model.width)
    held = psutil.Process().memory_info().rss / 2**30
    sides = [largest_tile(imagery, model, product, 1, held + more) for more in (0.6, 1.5, 1000)]
    assert sides == sorted(sides) and sides[0] < sides[1] < sides[2] == SIDES[0]
    assert largest_tile(imagery, model, product, 8, held + 1.5) < sides[1]
    with pytest.raises(EnvironmentProblem, match="at least .* GB for tiles of 8 cells, got 0.1 GB"):
        largest_tile(imagery, model, product, 1, 0.1)


def test_what_is_held_is_counted_in_bytes():
    product, model = same("s2"), Identity()
    doubled = same("s2")
    object.__setattr__(doubled, "read", lambda model, sample: torch.cat([sample["s2"], sample["s2"]]) + 0)
    assert held_per_cell(model, product, {"s2": 3}) == 0  # a view of the sample, which counts as read
    assert held_per_cell(model, doubled, {"s2": 3}) == 3 * 10 * 4 * (2 + 2)


@pytest.mark.parametrize("kind", ["packed", "switched", "plain"])
def test_weights_of_the_form_are_not_held_per_cell(kind, monkeypatch):
    model = load("skysense-tiny", weights="random", parts=("s2", "fusion"))[0]
    monkeypatch.setattr(making, "choose", lambda device, dtype: Choice(kind, {}, "fp32"))
    held = held_per_cell(model, embedding(model.width), {"s2": 2})
    assert 0 < held < 25_000  # with the weights it would be 49,000


def test_a_run_goes_on_with_the_tiles_it_began_with(tmp_path):
    scene, model = region(40, 40, sensors=("s2",)), Identity()
    part = map_scene(scene, model, same("s2"), tmp_path, tile=16, stop=lambda: True, progress=False)
    done = map_scene(scene, model, same("s2"), tmp_path, memory_gb=50, progress=False)
    assert not part.finished and done.finished and done.computed == done.tiles - 1
