"""A run that was stopped, killed or could not write goes on, and ends with the same bytes."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_maps import Identity, convolved, region, same

from skysense_nb.data.storage import open_scene, save
from skysense_nb.errors import RunError
from skysense_nb.mapping import map_scene
from skysense_nb.mapping.writers import WRITERS

HERE = Path(__file__).parent
OPTIONS = {"tile": 8, "batch": 2, "progress": False}

KILLED = """
import os, sys
sys.path[:0] = {paths}
from small_maps import Identity, convolved
from skysense_nb.data.storage import open_scene
from skysense_nb.mapping import map_scene
map_scene(open_scene({scene!r}), Identity(), convolved(), {out!r}, tile=8, batch=2, progress=False,
          stop=lambda: print("piece", flush=True))
"""


def content(folder: Path) -> bytes:
    return (folder / "conv.tif").read_bytes()


@pytest.mark.parametrize("after", [0, 2, 9])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, after):
    path = save(region(), tmp_path / "scene.zarr")
    map_scene(open_scene(path), Identity(), convolved(), tmp_path / "whole", **OPTIONS)
    code = KILLED.format(paths=[str(HERE), str(HERE.parent)], scene=str(path), out=str(tmp_path / "out"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for _ in range(after + 1):
        assert process.stdout.readline() == "piece\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = len(list((tmp_path / "out" / "pieces").glob("*.npz")))
    done = map_scene(open_scene(path), Identity(), convolved(), tmp_path / "out", **OPTIONS)
    assert after < left < done.tiles / 2 and done.computed == done.tiles - 2 * left
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_stopped_run_keeps_what_it_has(tmp_path):
    scene, asked = region(), iter([False, False, True])
    part = map_scene(scene, Identity(), convolved(), tmp_path / "a", stop=lambda: next(asked), **OPTIONS)
    assert not part.finished and part.computed == 6 and "not finished" in str(part)
    assert not list((tmp_path / "a").glob("*.tif"))
    done = map_scene(scene, Identity(), convolved(), tmp_path / "a", **OPTIONS)
    map_scene(scene, Identity(), convolved(), tmp_path / "b", **OPTIONS)
    assert done.computed == done.tiles - 6 and content(tmp_path / "a") == content(tmp_path / "b")


def test_a_finished_map_is_given_back_at_once(tmp_path):
    model = Identity()
    map_scene(region(), model, same("s2"), tmp_path / "out", **OPTIONS)
    before, calls = (tmp_path / "out" / "s2.tif").stat().st_mtime_ns, model.calls
    again = map_scene(region(), model, same("s2"), tmp_path / "out", **OPTIONS)
    assert again.finished and again.computed == 0 and model.calls == calls
    assert (tmp_path / "out" / "s2.tif").stat().st_mtime_ns == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != ".lock") == [
        "map.json",
        "pieces",
        "plan.json",
        "s2.tif",
    ]


CHANGES = {
    "imagery": lambda: (region(seed=1), Identity(), convolved(), {}),
    "model": lambda: (region(), Identity(seed=1), convolved(), {}),
    "product": lambda: (region(), Identity(), same("hr"), {}),
    "tiling": lambda: (region(), Identity(), convolved(), {"tile": 10}),
    "form": lambda: (region(), Identity(), convolved(), {"form": "zarr"}),
}


@pytest.mark.parametrize("part", CHANGES)
def test_another_run_does_not_go_on_in_a_folder(tmp_path, part):
    map_scene(region(), Identity(), convolved(), tmp_path, stop=lambda: True, **OPTIONS)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"}
    scene, model, product, options = CHANGES[part]()
    with pytest.raises(RunError, match=f"^Expected the {part} with which .* nothing was touched"):
        map_scene(scene, model, product, tmp_path, **(OPTIONS | options))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"} == kept


def test_a_file_that_was_changed_is_noticed_where_no_window_looked(tmp_path):
    path = save(region(rows=60, columns=60, sensors=("s2",)), tmp_path / "scene.zarr")
    map_scene(open_scene(path), Identity(), same("s2"), tmp_path / "out", stop=lambda: True, **OPTIONS)
    chunk = next(file for file in (path / "s2" / "image").iterdir() if file.name[0].isdigit())
    time.sleep(0.01)
    chunk.write_bytes(chunk.read_bytes())
    with pytest.raises(RunError, match="Expected the imagery"):
        map_scene(open_scene(path), Identity(), same("s2"), tmp_path / "out", **OPTIONS)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="an empty folder or a run"):
        map_scene(region(), Identity(), convolved(), tmp_path, **OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_second_process_in_the_folder_is_refused(tmp_path):
    def while_it_runs():
        with pytest.raises(RunError, match="another one that is under way"):
            map_scene(region(), Identity(), convolved(), tmp_path, **OPTIONS)
        return True

    assert map_scene(region(), Identity(), convolved(), tmp_path, stop=while_it_runs, **OPTIONS).computed == 2


def test_a_full_disk_keeps_the_finished_tiles(tmp_path, monkeypatch):
    saved, calls = np.savez, []

    def full_after_two(*args, **kwargs):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved(*args, **kwargs)

    monkeypatch.setattr(np, "savez", full_after_two)
    with pytest.raises(RunError, match="No space left on device. Make room and call this again"):
        map_scene(region(), Identity(), convolved(), tmp_path, **OPTIONS)
    assert sorted(path.name for path in (tmp_path / "pieces").iterdir()) == ["000000.npz", "000001.npz"]
    monkeypatch.undo()
    assert map_scene(region(), Identity(), convolved(), tmp_path, **OPTIONS).finished


@pytest.mark.parametrize("form", ["cog", "zarr"])
def test_a_full_disk_while_the_raster_is_written_keeps_the_tiles(tmp_path, monkeypatch, form):
    writer = WRITERS[form]

    def full(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "write", full)
    with pytest.raises(RunError, match="No space left"):
        map_scene(region(), Identity(), convolved(), tmp_path, form=form, **OPTIONS)
    assert not (tmp_path / "map.json").exists()
    monkeypatch.undo()
    done = map_scene(region(), Identity(), convolved(), tmp_path, form=form, **OPTIONS)
    assert done.finished and done.computed == 0


def test_tiles_that_cannot_be_read_are_listed_and_tried_again(tmp_path):
    path = save(region(rows=40, columns=40, sensors=("s2",)).chunk(y=10, x=10), tmp_path / "scene.zarr")
    chunk = path / "s2" / "image" / "0.0.2.2"
    good = chunk.read_bytes()
    told = chunk.stat()
    chunk.write_bytes(bytes(len(good)))
    os.utime(chunk, ns=(told.st_atime_ns, told.st_mtime_ns))
    options = OPTIONS | {"tile": 10, "margin_m": 0, "overlap_m": 0}
    first = map_scene(open_scene(path), Identity(), same("s2"), tmp_path / "out", **options)
    assert list(first.gaps) == [(20, 20)] and first.gaps[20, 20].startswith("not read: ") and "1 gap" in str(first)
    found = np.isnan(first.open().values).any(0)
    assert found[20:30, 20:30].all() and found.sum() == 100
    assert json.loads((tmp_path / "out" / "map.json").read_text())["gaps"][0]["row"] == 20
    chunk.write_bytes(good)
    os.utime(chunk, ns=(told.st_atime_ns, told.st_mtime_ns))
    again = map_scene(open_scene(path), Identity(), same("s2"), tmp_path / "out", **options)
    assert again.gaps == {} and again.computed == 2 and not np.isnan(again.open().values).any()


def test_a_run_that_could_read_nothing_is_no_map_and_is_tried_again(tmp_path):
    path = save(region(rows=10, columns=10, sensors=("s2",)).chunk(y=10, x=10), tmp_path / "scene.zarr")
    chunk = path / "s2" / "image" / "0.0.0.0"
    good, told = chunk.read_bytes(), chunk.stat()
    chunk.write_bytes(bytes(len(good)))
    os.utime(chunk, ns=(told.st_atime_ns, told.st_mtime_ns))
    options = OPTIONS | {"tile": 10, "margin_m": 0, "overlap_m": 0}
    with pytest.raises(RunError, match="Expected a tile that can be read, got none of 1 .not read: "):
        map_scene(open_scene(path), Identity(), same("s2"), tmp_path / "out", **options)
    chunk.write_bytes(good)
    os.utime(chunk, ns=(told.st_atime_ns, told.st_mtime_ns))
    done = map_scene(open_scene(path), Identity(), same("s2"), tmp_path / "out", **options)
    assert done.finished and done.gaps == {}
