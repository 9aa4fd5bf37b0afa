"""What a model that changes nothing maps is what was there, at every pixel."""

import numpy as np
import pytest
import torch
import xarray as xr
from odc.geo.xr import xr_reproject
from small_maps import Identity, convolved, region, same
from small_scenes import make_image

from skysense_nb.data.sample import to_sample
from skysense_nb.data.scene import build
from skysense_nb.mapping import map_scene
from skysense_nb.mapping.imagery import Imagery
from skysense_nb.mapping.tiles import BLENDS, Tiling

SHAPES = {"square": (20, 20), "wide": (7, 40), "tall": (33, 5), "smaller than a tile": (5, 6)}
EXACT = {"none": 0, "mean": 0, "linear": 2e-6, "cosine": 2e-6}


def mapped(scene, product, folder, **options) -> xr.DataArray:
    done = map_scene(scene, Identity(), product, folder, progress=False, **({"tile": 8} | options))
    assert done.finished and set(done.gaps.values()) <= {"no usable date"}
    return done.open().load()


def whole(scene, name) -> np.ndarray:
    """What the model would read if the scene were one tile, C H W."""
    return to_sample(scene)[name][0, 0].numpy()


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_shape_and_blend(tmp_path, shape, blend):
    scene = region(*shape)
    for name in ("hr", "s2"):
        found = mapped(scene, same(name), tmp_path / name, blend=blend, batch=3)
        assert np.abs(found.values - whole(scene, name)).max() <= EXACT[blend]
        assert found.odc.geobox == scene[name]["image"].odc.geobox


@pytest.mark.parametrize("ratio", [1, 3, 32])
def test_every_ratio_of_pixel_sizes(tmp_path, ratio):
    scene = region(20, 21, hr_pixel=10 / ratio)
    s2 = mapped(scene, same("s2"), tmp_path / "s2")
    hr = mapped(scene, same("hr"), tmp_path / "hr", blend="none")
    assert np.array_equal(s2.values, whole(scene, "s2")) or np.abs(s2.values - whole(scene, "s2")).max() < 2e-6
    assert hr.shape == (3, 640, 672) and np.abs(hr.values - whole(scene, "hr")).max() < 1e-5


def test_a_scene_that_is_turned_by_its_projection(tmp_path):
    turned = {
        name: xr_reproject(scene_node["image"], "EPSG:3035", resolution=pixel).rio.write_crs("EPSG:3035")
        for (name, scene_node), pixel in zip(region(30, 30, 1.25).children.items(), (1.25, 10), strict=True)
    }
    scene = build(**turned, clip=True)
    for name in ("hr", "s2"):
        found, expected = mapped(scene, same(name), tmp_path / name), whole(scene, name)
        gaps = np.isnan(found.values)
        assert 0 < gaps.mean() < 0.5 and np.abs(np.where(gaps, 0, found.values - expected)).max() < 1e-5
        assert (np.where(gaps, expected, 0) == 0).all()


def test_high_resolution_alone_whose_edge_is_no_whole_cell(tmp_path):
    scene = build(hr=make_image("hr", 300, 421, 1, 0.3).clip(1, 255))
    found = mapped(scene, same("hr"), tmp_path, tile=4)
    inside = found.values[:, :300, :421]
    assert found.shape == (3, 320, 448) and np.abs(inside - whole(scene, "hr")).max() < 2e-6
    assert np.isnan(found.values[:, 300:]).all() and np.isnan(found.values[..., 421:]).all()


@pytest.mark.parametrize("form", ["cog", "zarr"])
def test_holes_stay_holes_and_nothing_else_does(tmp_path, form):
    scene = region(sensors=("s2", "s1"))
    hole = np.zeros((20, 35), bool)
    hole[3:14, 10:30] = True
    for name in ("s2", "s1"):
        scene[name]["image"].values[..., hole] = np.nan
    found = mapped(scene, same("s2"), tmp_path, form=form)
    assert np.array_equal(np.isnan(found.values), np.broadcast_to(hole, found.shape))
    assert np.abs(np.where(hole, 0, found.values - whole(scene, "s2"))).max() < 2e-6


def test_a_hole_in_one_sensor_is_none_in_the_map(tmp_path):
    scene = region(sensors=("s2", "s1"))
    scene["s1"]["image"].values[..., 3:14, 10:30] = np.nan
    found = mapped(scene, same("s2"), tmp_path)
    assert np.abs(found.values - whole(scene, "s2")).max() < 2e-6


def test_a_convolution_by_tiles_is_that_of_the_whole_image(tmp_path):
    scene, model = region(), Identity()
    found = mapped(scene, convolved(), tmp_path, margin_m=10, overlap_m=0, blend="none")
    with torch.inference_mode():
        expected = model.convolution(to_sample(scene)["hr"][:, 0])[0].numpy()
    assert np.abs(found.values - expected).max() < 1e-5


def test_without_a_margin_it_is_not(tmp_path):
    scene, model = region(), Identity()
    found = mapped(scene, convolved(), tmp_path, margin_m=0, overlap_m=0, blend="none")
    with torch.inference_mode():
        expected = model.convolution(to_sample(scene)["hr"][:, 0])[0].numpy()
    wrong = np.abs(found.values - expected).max(0) > 1e-3
    assert wrong.any() and not wrong[:, : 8 * 32 - 2][: 8 * 32 - 2].any()


def test_sensors_that_the_model_does_not_read_are_left_on_disk(tmp_path):
    scene, model = region(), Identity()
    scene["hr"] = scene["hr"].to_dataset().map(lambda image: image * np.nan, keep_attrs=True)
    model.modalities = ("s2",)
    done = map_scene(scene, model, same("s2"), tmp_path, tile=8, progress=False)
    assert Imagery(scene, None, ("s2",)).read(Tiling((20, 35), 8).tiles()[0]).sky.modalities == ["s2"]
    assert np.abs(done.open().values - whole(scene.sky.only(("s2",)), "s2")).max() < 2e-6


def test_only_the_dates_of_the_period_are_read(tmp_path):
    scene = region(dates=4, sensors=("s2",))
    day = str(scene["s2"]["time"].values[2])[:10]
    found = mapped(scene, same("s2"), tmp_path, period=(day, day), blend="none")
    assert np.array_equal(found.values, to_sample(scene)["s2"][0, 2].numpy())


def test_a_tile_has_the_days_and_clouds_of_its_ground(tmp_path, place):
    imagery = Imagery(place.sky.only(("s2",)))
    left, right = Tiling((12, 16), 8, blend="none").tiles()[:2]
    samples = [to_sample(imagery.read(tile)) for tile in (left, right)]
    assert [sample["s2_valid"][0].tolist() for sample in samples] == [[True, False, *[True] * 4], [True] * 6]
    assert samples[0]["s2_day"].tolist() == to_sample(place.sky.only(("s2",)))["s2_day"].tolist()
