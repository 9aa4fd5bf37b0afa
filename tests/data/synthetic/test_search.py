import numpy as np
import pytest

from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.classes import KINDS, LAND_COVER, OBJECTS
from skysense_nb.errors import SceneError

EXPECTED = {
    "sea": "water", "coast": "water", "harbour": "quay", "fields": "cropland", "orchard": "orchard",
    "village": "garden", "city": "building", "industry": "building", "airfield": "runway", "quarry": "bare ground",
}  # fmt: skip


def look(world, kind, near=None):
    return world.scene(*world.find(kind, near), modalities=("s1",), s1_dates=1)


@pytest.mark.parametrize("kind", KINDS)
def test_find_delivers_what_it_says(world, kind):
    scene = look(world, kind)
    assert scene.attrs["scene_class"] == kind
    if kind in EXPECTED:
        assert EXPECTED[kind] in scene.attrs["multi_label"]


def test_find_river_delivers_flowing_water(world):
    scene = look(world, "river")
    assert "waterway=river" in scene.attrs["tags"]
    middle = scene["labels"]["land_cover"].values[250:262, 250:262]
    assert LAND_COVER[int(np.median(middle))].name in ("water", "road")


@pytest.mark.parametrize(("kind", "thing"), [("harbour", "ship"), ("airfield", "airplane"), ("city", "vehicle")])
def test_things_are_where_they_belong(world, kind, thing):
    assert thing in look(world, kind).attrs["multi_label"]


def test_find_is_the_same_for_everyone_and_stays_near():
    near = (23.0, 41.0)
    lon, lat = World(4).find("airfield", near)
    assert (lon, lat) == World(4).find("airfield", near) != World(5).find("airfield", near)
    assert abs(lon - near[0]) < 1 and abs(lat - near[1]) < 1


def test_unknown_kinds_are_refused(world):
    with pytest.raises(
        SceneError, match="Expected a kind among sea, coast, .*river, got 'volcano'. Choose one of these"
    ):
        world.find("volcano")


def test_ids_are_positions():
    for table in (LAND_COVER, OBJECTS):
        assert [one.id for one in table] == list(range(len(table)))
        assert len({one.color for one in table}) == len({one.name for one in table}) == len(table)
