import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from skysense_nb.data.synthetic.classes import BROADLEAF, ORCHARD

SUMMER = {"hr_dates": ["2023-06-20"], "s2_dates": ["2023-06-20"], "clouds": False, "modalities": ("hr", "s2")}


@pytest.mark.parametrize("kind", ["village", "fields", "harbour"])
def test_both_optical_sensors_see_the_same_ground(world, kind):
    scene = world.scene(*world.find(kind), size_m=320, **SUMMER)
    aerial = scene["hr"]["image"].values[0].astype(float)
    blocks = aerial.reshape(3, 32, 32, 32, 32).mean((2, 4))
    satellite = scene["s2"]["image"].sel(band=["B4", "B3", "B2"]).values[0].astype(float)
    for left, right in zip(blocks, satellite, strict=True):
        assert np.corrcoef(left.ravel(), np.sqrt(right).ravel())[0, 1] > 0.75


def stands(world, near):
    """One-date spectra and aerial texture of the Sentinel pixels that are wholly orchard or broadleaf forest."""
    spectra, texture, truth = [], [], []
    for kind in ("orchard", "forest"):
        scene = world.scene(*world.find(kind, near), **SUMMER)
        cover = scene["labels"]["land_cover"].values
        cells = cover.reshape(64, 8, 64, 8).transpose(0, 2, 1, 3).reshape(64, 64, 64)
        pure = (cells == cells[..., :1]).all(-1) & np.isin(cells[..., 0], [ORCHARD, BROADLEAF])
        gray = scene["hr"]["image"].values[0].mean(0).reshape(64, 32, 64, 32).transpose(0, 2, 1, 3)[pure]
        power = np.abs(np.fft.rfft2(gray - gray.mean((1, 2), keepdims=True)))
        spectra.append(scene["s2"]["image"].values[0][:, pure].T)
        texture.append(
            np.stack(
                [power[:, a : a + 2, b : b + 2].mean((1, 2)) for a in range(0, 16, 2) for b in range(0, 16, 2)], -1
            )
        )
        truth.append(cells[..., 0][pure])
    return np.concatenate(spectra), np.log1p(np.concatenate(texture)), np.concatenate(truth)


def test_orchards_differ_from_forest_in_texture_rather_than_in_spectrum(world):
    places = [stands(world, near) for near in ((9.0, 49.0), (16.0, 50.0), (21.0, 51.0))]
    scores = []
    for feature in (0, 1):
        train = [np.concatenate([place[index] for place in places[:2]]) for index in (feature, 2)]
        forest = RandomForestClassifier(60, random_state=0, class_weight="balanced", min_samples_leaf=5).fit(*train)
        guess, truth = forest.predict(places[2][feature]), places[2][2]
        scores.append(np.mean([(guess[truth == kind] == kind).mean() for kind in (ORCHARD, BROADLEAF)]))
    spectrum, texture = scores
    assert spectrum < 0.8 < 0.85 < texture


def test_light_comes_from_the_sun_side(world):
    """Shadows lie to the north-west of the morning sun in the south-east: east and south edges of roofs are lit."""
    scene = world.scene(*world.find("industry"), size_m=320, **SUMMER)
    roof = scene["labels"]["land_cover"].values == 12
    gray = scene["hr"]["image"].values[0].mean(0).reshape(256, 4, 256, 4).mean((1, 3))
    beyond_north = ~roof & np.roll(roof, -3, 0)
    beyond_south = ~roof & np.roll(roof, 3, 0)
    assert gray[beyond_north].mean() + 15 < gray[beyond_south].mean()
