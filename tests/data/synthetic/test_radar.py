import numpy as np

from skysense_nb.data.synthetic import radar
from skysense_nb.data.synthetic.window import Window


def test_speckle_has_mean_one_and_the_stated_looks():
    power = radar.speckle(np.array([9], np.uint64), Window(32632, 500_000, 5_400_000, 503_000, 5_403_000))
    assert abs(power.mean() - 1) < 0.01
    assert abs(power.mean() ** 2 / power.var() - radar.LOOKS) < 0.25  # equivalent number of looks


def test_homogeneous_meadow_shows_the_same_looks(world):
    scene = world.scene(*world.find("sea"), size_m=640, modalities=("s1",), s1_dates=6)
    power = 10 ** (scene["s1"]["image"].values.astype(float) / 10)
    deep = scene["labels"]["land_cover"].values[::8, ::8] == 1
    looks = [image[deep].mean() ** 2 / image[deep].var() for image in power.reshape(-1, *deep.shape)]
    assert abs(np.median(looks) - radar.LOOKS) < 0.5
    both = power.reshape(6, 2, -1)[:, :, deep.ravel()]
    assert abs(np.mean([np.corrcoef(*one)[0, 1] for one in both])) < 0.1  # VV and VH speckle are independent


def test_incidence_grows_away_from_the_satellite():
    xs = np.array([10_000.0, 200_000.0])
    east, west = radar.incidence_deg(xs, np.array([True, False]))
    assert east[0] < east[1] and west[0] > west[1]
    assert np.all((east > 30) & (east < 46))


def test_water_is_darker_than_fields_and_towns_brighter(world):
    scene = world.scene(*world.find("harbour"), modalities=("s1",), s1_dates=4)
    cover = scene["labels"]["land_cover"].values[4::8, 4::8]
    vv = scene["s1"]["image"].sel(band="VV").mean("time").values
    assert vv[cover == 12].mean() > vv[cover == 8].mean() > vv[cover == 1].mean()
