import numpy as np
import pytest

from skysense_nb.data.synthetic.classes import CROPS
from skysense_nb.data.synthetic.phenology import CROP_GROWTH, cover

DAYS = np.arange(0.0, 365.0)[None]


@pytest.mark.parametrize("crop", range(1, len(CROPS)))
def test_shares_are_shares(crop):
    plants = cover(CROP_GROWTH[crop], DAYS)
    total = plants.green + plants.dry + plants.flower + plants.flood
    for part in (plants.green, plants.dry, plants.flower, plants.flood, total):
        assert part.min() >= -1e-9 and part.max() <= 1 + 1e-9


@pytest.mark.parametrize("crop", range(1, len(CROPS)))
def test_the_year_has_no_jump(crop):
    green = cover(CROP_GROWTH[crop], np.arange(0.0, 366.0)[None]).green[0]
    mown = len(CROP_GROWTH[crop].cuts) > 0
    assert np.abs(np.diff(green)).max() < (0.65 if mown else 0.08)


def test_barley_ripens_before_wheat_and_maize_last():
    last_green = [np.flatnonzero(cover(CROP_GROWTH[crop], DAYS[:, :240]).green[0] > 0.5).max() for crop in (2, 1, 4)]
    assert last_green[0] + 10 < last_green[1] < last_green[2]


def test_rice_stands_in_water_before_it_is_green():
    plants = cover(CROP_GROWTH[9], DAYS)
    assert plants.flood[0, 145] > 0.8 and plants.flood[0, 230] < 0.05 and plants.green[0, 215] > 0.8
