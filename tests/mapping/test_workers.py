"""The same map from several processes, also when one of them is lost."""

import os
import shutil
import signal
from functools import partial

import geopandas
import pytest
from small_maps import Identity, convolved, region
from squares import OPTIONS as SQUARES
from squares import bright, on_every_border, scene_of

from skysense_nb.data.storage import open_scene, save
from skysense_nb.errors import ParameterError, RunError
from skysense_nb.mapping import embedding, local_cluster, map_detections, map_scene
from skysense_nb.models import load

OPTIONS = {"tile": 8, "batch": 2, "progress": False}


@pytest.fixture(scope="module")
def client():
    """Two processes on this machine."""
    from distributed import Client

    with local_cluster(2) as cluster, Client(cluster) as client:
        yield client


def test_a_form_is_no_model_to_map_with(tmp_path):
    model, _ = load("skysense-tiny", weights="random", parts=("s2",))
    with pytest.raises(ParameterError, match="got an inference form. Pass the model itself"):
        map_scene(region(sensors=("s2",)), model.for_inference(quiet=True), embedding(128), tmp_path, **OPTIONS)


def test_workers_make_the_map_of_one_process(tmp_path, client):
    path = save(region(), tmp_path / "scene.zarr")
    here = map_scene(open_scene(path), Identity(), convolved(), tmp_path / "one", **OPTIONS)
    many = map_scene(open_scene(path), Identity, convolved(), tmp_path / "many", client=client, **OPTIONS)
    assert many.computed == many.tiles == here.tiles and many.gaps == {}
    assert (tmp_path / "many" / "conv.tif").read_bytes() == (tmp_path / "one" / "conv.tif").read_bytes()
    assert list(client.run(loaded).values()) == [["identity"], ["identity"]]


def loaded() -> list[str]:
    from skysense_nb.mapping.workers import LOADED

    return [model.name for model in LOADED.values()]


def test_a_folder_that_is_begun_anew_gets_the_new_weights(tmp_path, client):
    scene = region()
    for seed in (0, 1):
        shutil.rmtree(tmp_path / "many", ignore_errors=True)
        loader = partial(Identity, seed=seed)
        map_scene(scene, loader, convolved(), tmp_path / "many", client=client, **OPTIONS)
    map_scene(scene, Identity(seed=1), convolved(), tmp_path / "one", **OPTIONS)
    assert (tmp_path / "many" / "conv.tif").read_bytes() == (tmp_path / "one" / "conv.tif").read_bytes()


def other_in_workers() -> Identity:
    """Other weights in every process."""
    return Identity(seed=os.getpid())


def test_workers_with_other_weights_are_refused(tmp_path, client):
    with pytest.raises(RunError, match="in every worker"):
        map_scene(region(), other_in_workers, convolved(), tmp_path, client=client, **OPTIONS)
    assert list((tmp_path / "pieces").iterdir()) == []


def test_a_lost_worker_costs_no_tile(tmp_path, client):
    scene, asked = region(), []

    def lose_one():
        if not asked:
            os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        asked.append(1)

    map_scene(scene, Identity(), convolved(), tmp_path / "one", **OPTIONS)
    done = map_scene(scene, Identity, convolved(), tmp_path / "many", client=client, stop=lose_one, **OPTIONS)
    assert done.finished and done.gaps == {} and len(asked) == done.tiles / 2
    assert (tmp_path / "many" / "conv.tif").read_bytes() == (tmp_path / "one" / "conv.tif").read_bytes()


def test_a_stopped_run_of_workers_goes_on_in_one_process(tmp_path, client):
    scene = region()
    part = map_scene(scene, Identity, convolved(), tmp_path / "a", client=client, stop=lambda: True, **OPTIONS)
    assert not part.finished and part.computed == 2
    assert map_scene(scene, Identity(), convolved(), tmp_path / "a", **OPTIONS).finished


def test_detections_of_workers_are_those_of_one_process(tmp_path, client):
    scene = scene_of(on_every_border())
    here = map_detections(scene, Identity(), bright, tmp_path / "one", **SQUARES)
    many = map_detections(scene, Identity, bright, tmp_path / "many", client=client, **SQUARES)
    assert many.computed == many.tiles > 4
    found, expected = (geopandas.read_file(done.files["detections"]) for done in (many, here))
    assert len(found) == len(on_every_border()) and found.equals(expected)
