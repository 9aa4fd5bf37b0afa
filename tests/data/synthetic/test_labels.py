import numpy as np
import pytest
import shapely

from skysense_nb.data.synthetic.classes import KINDS, SHIP, STORAGE_TANK, VEHICLE, WATER


def cover_under_boxes(scene, kind):
    labels = scene["labels"]
    boxes = labels["object_box"].values[labels["object_class"].values == kind]
    x, y = boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)
    return np.array(
        [labels["land_cover"].sel(x=a, y=b, method="nearest").item() for a, b in zip(x, y, strict=True)]
    )  # fmt: skip


def test_ships_float_and_cars_do_not(world):
    scene = world.scene(*world.find("harbour"), modalities=("s1",), s1_dates=1)
    ships, cars, tanks = (cover_under_boxes(scene, kind) for kind in (SHIP, VEHICLE, STORAGE_TANK))
    assert len(ships) > 20 and (ships == WATER).all()
    assert len(cars) > 3 and (cars != WATER).all()
    assert len(tanks) > 3 and (tanks == 12).all()


def test_horizontal_boxes_are_the_hulls_of_the_oriented_ones(village):
    labels = village["labels"]
    corners, boxes = labels["object_corners"].values, labels["object_box"].values
    assert len(boxes) > 10
    assert np.allclose(shapely.bounds(shapely.polygons(corners)), boxes)
    sides = np.linalg.norm(np.roll(corners, -1, 1) - corners, axis=-1)
    assert np.allclose(sides[:, 0], sides[:, 2]) and np.allclose(sides[:, 1], sides[:, 3])


def test_objects_are_dated_and_vehicles_move_between_flights(village):
    labels = village["labels"]
    days = np.unique(labels["object_time"].values)
    assert (days == village["hr"]["time"].values).all()
    first, second = (
        {tuple(box) for box in labels["object_box"].values[labels["object_time"].values == day]} for day in days
    )
    assert len(first & second) < 0.1 * len(first)


def test_objects_stand_out_in_the_aerial_image(world):
    scene = world.scene(*world.find("sea"), modalities=("hr",))
    labels = world.scene(*world.find("harbour"), modalities=("hr",))
    image = labels["hr"]["image"].values[0].mean(0)
    left, top = labels["hr"]["x"].values[0], labels["hr"]["y"].values[0]
    ships = labels["labels"]["object_corners"].values[labels["labels"]["object_class"].values == SHIP]
    inside = shapely.centroid(shapely.polygons(ships))
    column = ((shapely.get_x(inside) - left) / 0.3125).round().astype(int)
    row = ((top - shapely.get_y(inside)) / 0.3125).round().astype(int)
    assert np.median(image[row, column]) > np.median(scene["hr"]["image"].values[0].mean(0)) + 20


@pytest.mark.parametrize("kind", ["village", "airfield", "industry"])
def test_change_is_the_difference_of_two_covers(world, kind):
    place, first, last = world.find(kind), "2018-07-01", "2026-07-01"
    covers = [
        world.scene(*place, modalities=("s1",), s1_dates=[day])["labels"]["land_cover"].values for day in (first, last)
    ]
    labels = world.scene(*place, modalities=("s1",), s1_dates=[first, last])["labels"]
    change = labels["change"].values == 1
    assert change.any()
    np.testing.assert_array_equal(change, covers[0] != covers[1])
    np.testing.assert_array_equal(labels["change_from"].values[change], covers[0][change])
    np.testing.assert_array_equal(labels["change_to"].values[change], covers[1][change])
    day = labels["change_date"].values
    assert (np.isnat(day) == ~change).all()
    assert day[change].min() > np.datetime64(first) and day[change].max() <= np.datetime64(last)


def test_the_change_date_separates_before_from_after(world):
    place = world.find("village")
    labels = world.scene(*place, modalities=("s1",), s1_dates=["2018-07-01", "2026-07-01"])["labels"]
    day = np.unique(labels["change_date"].values[labels["change"].values == 1])[0]
    here = labels["change_date"].values == day
    eve, same = (
        world.scene(*place, modalities=("s1",), s1_dates=[when])["labels"]["land_cover"].values[here]
        for when in (day - np.timedelta64(1, "D"), day)
    )
    assert (eve != same).all()


def test_a_scene_of_one_day_shows_no_change(world):
    scene = world.scene(*world.find("village"), size_m=160, modalities=("s2",), s2_dates=["2023-06-01"])
    assert not scene["labels"]["change"].any()


def test_new_houses_change_the_aerial_image(world):
    scene = world.scene(*world.find("village"), modalities=("hr",), hr_dates=["2018-06-20", "2026-06-20"])
    change = scene["labels"]["change"].values == 1
    before, after = scene["hr"]["image"].values.astype(float).reshape(2, 3, 512, 4, 512, 4).mean((3, 5))
    difference = np.abs(after - before).mean(0)
    assert difference[change].mean() > 2 * np.median(difference[~change])


def test_crops_lie_in_fields_and_parcels_are_of_one_crop(world):
    labels = world.scene(*world.find("fields"), modalities=("s1",), s1_dates=1)["labels"]
    crop, parcel, cover = (labels[name].values for name in ("crop", "parcel", "land_cover"))
    assert ((crop > 0) == (cover == 8)).all()
    for one in np.unique(parcel[crop > 0])[1:]:
        assert len(np.unique(crop[(parcel == one) & (crop > 0)])) == 1


def test_tags_and_labels_describe_the_rasters(world):
    scene = world.scene(*world.find("city"), modalities=("s1",), s1_dates=1)
    shares = dict(zip(scene.attrs["tags"], scene.attrs["tag_shares"], strict=True))
    assert shares["building=yes"] == pytest.approx((scene["labels"]["land_cover"].values == 12).mean(), abs=1e-5)
    assert {"building", "road", "vehicle"} <= set(scene.attrs["multi_label"])
    assert scene.attrs["scene_class"] in KINDS
