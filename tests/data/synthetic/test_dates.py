import numpy as np
import pytest

from skysense_nb.data.synthetic.dates import resolve
from skysense_nb.data.synthetic.window import Window
from skysense_nb.errors import SceneError

HERE = Window(32632, 500_000, 5_400_000, 500_640, 5_400_640)


def test_passes_keep_the_rhythm_of_the_satellite():
    for name, step in (("s2", 5), ("s1", 6)):
        days = resolve(name, 12, 2023, 0, HERE).astype("datetime64[D]").astype(int)
        assert len(days) == 12 and (np.diff(days) > 0).all() and (np.diff(days) % step == 0).all()


def test_chosen_days_are_fairer_than_the_others(world):
    def clear(near, count):
        options = {"modalities": ("s2",), "s2_dates": count, "size_m": 160}
        return float(world.scene(*world.find("fields", near), **options)["s2"]["clear"].mean())

    places = ((8.0, 48.0), (14.0, 51.0), (21.0, 50.0))
    chosen, every = (np.mean([clear(near, count) for near in places]) for count in (10, 73))
    assert every + 0.1 < chosen < 0.97


def test_flights_are_two_years_apart_in_local_summer():
    south = Window(32733, *(500_000, 6_000_000, 500_640, 6_000_640))
    assert [str(day)[:10] for day in resolve("hr", 2, 2023, 0, HERE)] == ["2021-06-20", "2023-06-20"]
    assert [str(day)[:10] for day in resolve("hr", 1, 2023, 0, south)] == ["2023-01-12"]


def test_own_dates_are_sorted():
    assert [str(day)[:10] for day in resolve("s2", ["2022-05-02", "2021-01-09"], 2023, 0, HERE)] == [
        "2021-01-09", "2022-05-02",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("dates", "year", "message"),
    [
        (0, 2023, "Expected 1 to 73 dates of s2, got 0. Ask for fewer."),
        (3, 1990, "Expected a year in 2018–2026, got 1990. The world changes only in these years."),
        ([], 2023, "Expected at least one date of s2, got []. Leave the sensor out of modalities instead."),
        (["soon"], 2023, "Expected dates of s2 such as '2023-06-01', got ['soon']. Pass a count or a list of dates."),
    ],
)
def test_impossible_dates_are_refused(dates, year, message):
    with pytest.raises(SceneError) as error:
        resolve("s2", dates, year, 0, HERE)
    assert str(error.value) == message
