import numpy as np

from skysense_nb.data.synthetic import clouds


def test_clear_is_where_the_sky_leaves_the_ground_as_it_is(world):
    place, dates = world.find("fields"), [f"2023-{month:02d}-08" for month in range(1, 13)]
    cloudy, plain = (
        world.scene(*place, modalities=("s2",), s2_dates=dates, clouds=flag)["s2"] for flag in (True, False)
    )
    ratio = cloudy["image"].sel(band="B2").values / plain["image"].sel(band="B2").values
    clear = cloudy["clear"].values
    assert plain["clear"].all() and 0.05 < clear.mean() < 0.95
    assert ratio[clear].min() > 0.85 and np.median(ratio[clear]) == 1
    assert (np.abs(ratio[~clear] - 1) > 0.03).mean() > 0.95


def test_shadows_point_away_from_the_sun():
    morning = clouds.Sun.at(32632, 172)
    east, north = morning.shadow
    assert east < 0 < north  # the sun stands in the south-east
    assert clouds.Sun.at(32732, 172).shadow[1] < 0
    assert np.hypot(*morning.shadow) < np.hypot(*clouds.Sun.at(32632, 355).shadow)


def test_a_rainy_climate_is_cloudier_than_a_dry_one():
    x, y = np.meshgrid(np.arange(0, 400_000.0, 50_000), np.arange(0, 400_000.0, 50_000))
    mean = [
        np.mean([clouds.coverage(0, 32632, day, x, y, climate).mean() for day in range(60)]) for climate in (0.1, 0.6)
    ]
    assert abs(mean[0] - 0.1) < 0.08 and abs(mean[1] - 0.6) < 0.12
