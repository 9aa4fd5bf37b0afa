import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from skysense_nb.data.synthetic.spectra import DEEP, Calendar, sea_color

DAYS = [f"2023-{month:02d}-10" for month in range(2, 12)]
TRAIN = ((8.0, 48.0), (10.0, 50.0), (15.0, 49.5), (20.0, 51.0))
TEST = ((5.5, 50.0), (14.0, 52.3))


def field_pixels(world, near, per_parcel=3):
    """Series (N, T, 10) and crop of a few pure Sentinel pixels of every parcel around a place."""
    scene = world.scene(
        *world.find("fields", near), size_m=2560, modalities=("s2",), s2_dates=DAYS, clouds=False
    )  # fmt: skip
    series = scene["s2"]["image"].values
    height, width = series.shape[2:]

    def blocks(name):
        layer = scene["labels"][name].values
        return layer.reshape(height, 8, width, 8).transpose(0, 2, 1, 3).reshape(height, width, 64)

    parcel, crop = blocks("parcel"), blocks("crop")[..., 0]
    row, column = np.nonzero((parcel == parcel[..., :1]).all(-1) & (crop > 0))
    order = np.random.default_rng(0).permutation(len(row))
    row, column = row[order], column[order]
    owner = parcel[row, column, 0]
    chosen = np.concatenate([np.flatnonzero(owner == one)[:per_parcel] for one in np.unique(owner)])
    return series[:, :, row[chosen], column[chosen]].transpose(2, 0, 1), crop[row[chosen], column[chosen]]


@pytest.mark.slow
def test_one_date_confuses_crops_that_the_series_separates(world):
    train, test = ([field_pixels(world, near) for near in places] for places in (TRAIN, TEST))
    (pixels, crops), (others, truth) = (
        [np.concatenate(column) for column in zip(*parts, strict=True)] for parts in (train, test)
    )
    kinds = np.unique(crops)

    def scores(choose):
        forest = RandomForestClassifier(100, random_state=0, min_samples_leaf=2)
        forest.fit(pixels[:, choose].reshape(len(pixels), -1), crops)
        return f1_score(truth, forest.predict(others[:, choose].reshape(len(others), -1)), labels=kinds, average=None)

    series = scores(slice(None))
    for date in (4, 5, 6):  # June, July, August
        single = scores([date])
        confused = single < 0.7
        assert confused.sum() >= 3
        assert (series[confused] > 0.85).all()
    assert series.min() > 0.85


def test_the_growing_year_turns_in_july_in_the_south():
    dates = np.array(["2023-03-01", "2023-10-01"], "datetime64[ns]")
    assert Calendar(0, 32632, dates).years.tolist() == [2023, 2023]
    assert Calendar(0, 32732, dates).years.tolist() == [2023, 2024]
    assert Calendar(0, 32632, dates).day_of_year.tolist() == [60, 274]


def test_deep_sea_hides_its_bottom_and_red_light_goes_first():
    shallow, middle, deep = sea_color(np.array([0.1, 3.0, 40.0]))
    assert np.allclose(deep, DEEP, rtol=0.05)
    assert (shallow > middle).all()
    assert middle[2] / shallow[2] < middle[1] / shallow[1]
