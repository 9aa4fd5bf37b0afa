import numpy as np
import pytest
import xarray as xr

from skysense_nb.data.scene import bounds, modalities, pixel_size
from skysense_nb.data.storage import open_scene, save
from skysense_nb.data.synthetic import World
from skysense_nb.errors import SceneError

DATES = {
    "hr_dates": ["2020-06-20", "2023-06-20"],
    "s2_dates": ["2023-03-01", "2023-06-10", "2023-09-02"],
    "s1_dates": ["2022-01-01", "2023-06-01"],
}
LAYERS = ("land_cover", "crop", "parcel", "change", "change_from", "change_to", "change_date")


def rasters(scene):
    found = {name: scene[name]["image"] for name in modalities(scene)}
    if "s2" in found:
        found["clear"] = scene["s2"]["clear"]
    return found | {name: scene["labels"][name] for name in LAYERS}


def assert_equal(left, right):
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_same_seed_same_world_other_seed_other_world():
    place = World(3).find("fields")
    one, two = (World(3).scene(*place, size_m=80, s2_dates=2, s1_dates=1) for _ in range(2))
    other = World(4).scene(*place, size_m=80, s2_dates=2, s1_dates=1)
    assert_equal(rasters(one), rasters(two))
    for name in ("hr", "s2", "s1"):
        assert (one[name]["image"].values != other[name]["image"].values).mean() > 0.5


@pytest.mark.parametrize("kind", ["village", "harbour", "industry", "forest", "river"])
def test_neighbouring_windows_join_without_a_seam(world, kind):
    whole = world.scene(*world.find(kind), size_m=160, **DATES)
    crs, (left, bottom, right, top) = whole["s2"]["image"].rio.crs, bounds(whole["s2"]).bbox
    for axis, edges in {
        "x": ((left, bottom, left + 70, top), (left + 70, bottom, right, top)),
        "y": ((left, bottom + 50, right, top), (left, bottom, right, bottom + 50)),
    }.items():
        parts = [rasters(world.window(edge, crs, **DATES)) for edge in edges]
        joined = {name: xr.concat([part[name] for part in parts], axis) for name in parts[0]}
        assert_equal(joined, rasters(whole))


def test_large_windows_are_their_tiles(world):
    """A window over several cells and several internal tiles equals the small scene inside it."""
    options = {"modalities": ("s2", "s1"), "s2_dates": ["2023-05-01"], "s1_dates": ["2023-05-01"]}
    large = world.scene(*world.find("city"), size_m=2560, **options)
    left, _, _, top = bounds(large["s2"]).bbox
    small = world.window((left + 1200, top - 1360, left + 1360, top - 1200), large["s2"]["image"].rio.crs, **options)
    cut = {
        name: image.sel(x=slice(left + 1200, left + 1360), y=slice(top - 1200, top - 1360))
        for name, image in rasters(large).items()
    }
    assert_equal(cut, rasters(small))


def test_boxes_of_two_halves_are_the_boxes_of_the_whole(world):
    whole = world.scene(*world.find("city"), size_m=160, modalities=("s1",), s1_dates=1)
    left, bottom, right, top = bounds(whole["s1"]).bbox
    crs = whole["s1"]["image"].rio.crs
    halves = [
        world.window(edge, crs, modalities=("s1",), s1_dates=1)["labels"]["object_box"].values
        for edge in ((left, bottom, left + 80, top), (left + 80, bottom, right, top))
    ]
    assert {tuple(box) for half in halves for box in half} == {
        tuple(box) for box in whole["labels"]["object_box"].values
    }


def test_sentinel_and_labels_do_not_depend_on_the_aerial_image(world, village):
    alone = world.scene(
        *world.find("village"), size_m=320, hr_dates=2, s2_dates=4, s1_dates=2, clouds=False, modalities=("s2", "s1")
    )
    both = rasters(village)
    assert_equal({name: both[name] for name in ("s2", "s1", "clear", "land_cover", "crop", "parcel")}, rasters(alone))
    assert "hr" not in alone.children


def test_grids_fit_into_each_other(village):
    assert [pixel_size(village[name]) for name in ("hr", "s2", "s1")] == [0.3125, 10, 10]
    assert [bounds(village[name]).bbox == bounds(village["s2"]).bbox for name in ("hr", "s1")] == [True, True]
    assert village["hr"]["image"].dtype == np.uint8 and village["s1"]["image"].dtype == np.float32
    assert village["labels"]["land_cover"].shape == (256, 256)
    assert set(village["s1"]["orbit"].values.tolist()) <= {"ascending", "descending"}


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_files_keep_pixels_truth_and_names(village, tmp_path, ending):
    again = open_scene(save(village, tmp_path / f"village.{ending}"))
    assert_equal(rasters(village), rasters(again))
    for name in ("object_box", "object_corners", "object_class", "object_time"):
        np.testing.assert_array_equal(village["labels"][name], again["labels"][name])
    assert list(again["labels"]["land_cover"].attrs["class_names"])[1] == "water"
    assert list(again.attrs["tags"]) == village.attrs["tags"]
    assert again.attrs["scene_class"] == "village"


def test_seasons_turn_around_on_the_southern_hemisphere():
    def greenness(near, month):
        place = World(0).find("forest", near)
        scene = World(0).scene(
            *place, size_m=320, modalities=("s2",), s2_dates=[f"2023-{month}-15"], clouds=False
        )  # fmt: skip
        leafy = scene["labels"]["land_cover"].values[4::8, 4::8] == 6
        red, near_infrared = (
            scene["s2"]["image"].sel(band=band).values[0].astype(float)[leafy] for band in ("B4", "B8")
        )
        return ((near_infrared - red) / (near_infrared + red)).mean()

    north, south = (10.0, 51.0), (171.0, -46.0)
    assert greenness(north, "07") > greenness(north, "01") + 0.3
    assert greenness(south, "01") > greenness(south, "07") + 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.scene(7, 51, size_m=45), "Expected a size that is a multiple of 20 m, got 45."),
        (lambda w: w.scene(7, 89), "Expected a longitude in −180…180 and a latitude in −80…84, got (7, 89)."),
        (lambda w: w.scene(7, 51, modalities=("s3",)), "Expected modalities among hr, s2, s1, got ('s3',)."),
        (lambda w: w.window((0, 0, 100, 100), 3857), "Expected a UTM zone such as EPSG:32632, got '3857'."),
        (
            lambda w: w.window((5, 0, 105, 100), 32632),
            "Expected edges that are multiples of 10 m, got (5, 0, 105, 100).",
        ),
        (lambda w: w.window((0, 0, 0, 100), 32632), "Expected a window of at least 20 × 20 m, got 0 × 100 m."),
    ],
)
def test_impossible_requests_are_refused(world, call, message):
    with pytest.raises(SceneError) as error:
        call(world)
    assert str(error.value).startswith(message)


def test_labels_depend_on_the_period_not_on_the_sensors():
    world = World(seed=0)
    days = ["2019-06-01", "2025-06-01"]
    where, dates = world.find("village"), {"hr_dates": days, "s2_dates": days, "s1_dates": days}
    whole = world.scene(*where, 320, **dates)["labels"].to_dataset()
    assert whole["change"].any()
    for sensors in (("s2",), ("s1",), ("s1", "s2")):
        part = world.scene(*where, 320, **dates, modalities=sensors)["labels"].to_dataset()
        for name in LAYERS:
            xr.testing.assert_identical(part[name], whole[name])
