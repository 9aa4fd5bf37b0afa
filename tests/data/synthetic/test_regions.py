"""Places inside a square: where they should be, in turn, the same for everyone."""

import pytest

from skysense_nb.data.synthetic import World
from skysense_nb.data.synthetic.regions import places_within
from skysense_nb.errors import ParameterError

SQUARE = (20.0, 49.0, 20.9, 49.6)


def test_places_lie_inside_and_kinds_take_turns():
    places = places_within(SQUARE, ["village", "forest", "fields"], 7)
    assert [place.kind for place in places] == ["village", "forest", "fields"] * 2 + ["village"]
    assert all(20.0 < place.lon < 20.9 and 49.0 < place.lat < 49.6 for place in places)
    assert len({(place.lon, place.lat) for place in places}) == 7
    scene = World(0).scene(places[1].lon, places[1].lat, size_m=40, s2_dates=1, s1_dates=1, modalities=("s2",))
    assert scene.attrs["scene_class"] == "forest"


def test_the_same_seed_draws_the_same_and_more_go_on_from_fewer():
    assert places_within(SQUARE, ["village"], 3) == places_within(SQUARE, ["village"], 5)[:3]
    assert places_within(SQUARE, ["village"], 3, seed=1) != places_within(SQUARE, ["village"], 3)


def test_ground_without_such_places_is_refused():
    with pytest.raises(
        ParameterError, match=r"^Expected 1 places of kind airfield, got 0 in 400 tries\. Allow more kinds"
    ):
        places_within((20.0, 49.0, 20.001, 49.001), ["airfield"], 1)
