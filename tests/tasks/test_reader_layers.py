"""Layers over a reader: dates are chosen, clouds cover what they should, and nothing else changes."""

import numpy as np
import pytest
import torch

from skysense_nb.data.synthetic.clouds import CLOUD
from skysense_nb.data.synthetic.hashing import Dice
from skysense_nb.errors import ParameterError
from skysense_nb.tasks.clouded import Clouded, opacity
from skysense_nb.tasks.displayed import Displayed
from skysense_nb.tasks.feature_files import settings
from skysense_nb.tasks.seasons import Season

S2_DAYS = np.array(["2018-12-20", "2019-03-01", "2019-05-01", "2019-07-01"], "datetime64[D]")
S1_DAYS = np.array(["2019-03-20", "2019-06-10"], "datetime64[D]")


class One:
    """One record whose pixels tell their date."""

    class_names, entry = ("no", "yes"), None

    def __init__(self, number=0, side=32):
        s2 = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 10, side, side)
        s1 = -torch.arange(2.0).view(2, 1, 1, 1).expand(2, 2, side, side)
        hr = torch.full((1, 4, 2 * side, 2 * side), 500.0)
        dates = {"s2_date": S2_DAYS, "s1_date": S1_DAYS, "hr_date": S2_DAYS[:1]}
        self.record = {"id": f"{number}", "s2": s2, "s1": s1, "hr": hr, **dates}

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.record


def kept(record, name):
    return (record[name][:, 0, 0, 0].abs().tolist(), record[f"{name}_date"].astype(str).tolist())


def test_a_season_so_far_has_the_dates_up_to_a_day_and_images_stay_with_their_dates():
    record = Season(One(), until="2019-05-01")[0]
    assert kept(record, "s2") == ([0.0, 1.0, 2.0], ["2018-12-20", "2019-03-01", "2019-05-01"])
    assert kept(record, "s1") == ([0.0], ["2019-03-20"])
    assert len(Season(One(), until="2020-01-01")[0]["s2"]) == 4


def test_every_sensor_keeps_at_least_its_first_date():
    assert kept(Season(One(), until="2017-01-01")[0], "s1") == ([0.0], ["2019-03-20"])


def test_the_nearest_date_is_found_across_the_turn_of_the_year():
    record = Season(One(), nearest="2019-01-10")[0]
    assert kept(record, "s2") == ([0.0], ["2018-12-20"]) and kept(record, "s1") == ([0.0], ["2019-03-20"])
    assert kept(Season(One(), nearest="2019-06-30")[0], "s2") == ([3.0], ["2019-07-01"])


@pytest.mark.parametrize("options", [{}, {"until": "2019-01-01", "nearest": "2019-01-01"}, {"nearest": "in May"}])
def test_a_season_is_asked_for_in_one_way(options):
    with pytest.raises(ParameterError):
        Season(One(), **options)


def test_different_seasons_and_skies_have_different_keys():
    layers = (Season(One(), until="2019-05-01"), Season(One(), nearest="2019-05-01"), Season(One(), until="2019-06-01"))
    layers += (Clouded(One(), 0.5), Clouded(One(), 0.6), Clouded(One(), 0.5, seed=1), Clouded(One()))
    assert len({repr(settings(layer)) for layer in layers}) == len(layers)


@pytest.mark.parametrize("cover", [0.0, 0.25, 0.8, 1.0])
def test_clouds_cover_the_share_that_was_asked_for(cover):
    changed = (Clouded(One(), cover)[0]["s2"] != One().record["s2"]).any(1)
    assert changed.float().mean().item() == pytest.approx(cover, abs=0.02)


def test_radar_sees_through_and_the_record_of_the_reader_stays():
    reader = One()
    before = reader.record["s2"].clone()
    record = Clouded(reader, 0.7)[0]
    assert record["s1"] is reader.record["s1"] and torch.equal(reader.record["s2"], before)


def test_under_thick_cloud_only_cloud_is_seen_in_the_right_bands():
    record = Clouded(One(), 1.0)[0]
    assert torch.allclose(record["s2"][2, :, 5, 5], 10_000 * torch.from_numpy(CLOUD).float())
    red, green, blue, infrared = (record["hr"][0, :, 5, 5] / 10_000).tolist()
    assert (red, green, blue, infrared) == pytest.approx((CLOUD[2], CLOUD[1], CLOUD[0], CLOUD[6]))


def test_all_sensors_have_their_clouds_in_the_same_place():
    record, clear = Clouded(One(), 0.5)[0], One().record
    coarse = (record["s2"][0, 0] != clear["s2"][0, 0]).float()
    fine = (record["hr"][0, 0] != clear["hr"][0, 0]).float().view(32, 2, 32, 2).mean((1, 3))
    assert (coarse - fine).abs().mean() < 0.03


def test_clouds_of_records_differ_and_come_again():
    one, again, other = (Clouded(One(number), 0.5)[0]["s2"] for number in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_without_a_share_records_have_all_kinds_of_skies():
    changed = [(Clouded(One(number))[0]["s2"] != One().record["s2"]).any(1) for number in range(60)]
    covers = [pixels.float().mean().item() for pixels in changed]
    assert min(covers) < 0.15 and max(covers) > 0.85 and 0.35 < np.mean(covers) < 0.65


def test_images_that_are_no_reflectance_are_refused():
    reader = One()
    reader.record["hr"] = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ParameterError, match="uint8"):
        Clouded(reader, 0.5)[0]
    with pytest.raises(ParameterError, match="0 to 1"):
        Clouded(reader, 50)


def test_reflectances_are_shown_as_the_tone_curve_says_without_infrared():
    shown = Displayed(One(), white=2000, gamma=0.5)[0]["hr"]
    assert shown.shape[1] == 3 and torch.allclose(shown, torch.tensor(255 * 0.25**0.5))
    assert Displayed(One(), white=400)[0]["hr"].max() == 255


def test_what_is_displayed_already_is_refused_and_records_without_hr_stay():
    reader = One()
    reader.record["hr"] = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ParameterError, match="uint8"):
        Displayed(reader)[0]
    del reader.record["hr"]
    assert Displayed(reader)[0] is reader.record
    with pytest.raises(ParameterError, match="above 0"):
        Displayed(reader, white=0)


def test_edges_are_soft():
    sky = opacity(Dice.of("a sky"), (64, 64), 0.5)
    assert ((sky > 0) & (sky < 1)).mean() > 0.02 and sky.max() == 1
