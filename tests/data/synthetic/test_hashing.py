import numpy as np

from skysense_nb.data.synthetic.hashing import Dice, hashed, mix, unit


def test_mix_is_the_published_finaliser():
    # First output of the reference SplitMix64 generator with seed 0.
    assert mix(np.array([0x9E3779B97F4A7C15], np.uint64))[0] == 0xE220A8397B1DCDAF


def test_keys_matter_and_so_does_their_order():
    assert hashed(1, 2)[0] != hashed(2, 1)[0]
    assert hashed("road")[0] != hashed("rood")[0]
    assert hashed(-3)[0] != hashed(3)[0]


def test_a_part_of_the_grid_hashes_like_the_whole():
    rows, columns = np.arange(-5, 5)[:, None], np.arange(900, 920)[None]
    assert (hashed(7, rows, columns)[2:4, 5:9] == hashed(7, rows[2:4], columns[:, 5:9])).all()


def test_uniform_fills_its_range_evenly():
    values = unit(hashed(3, np.arange(40_000)))
    counts = np.histogram(values, 20, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 43.8  # chi square, 19 degrees of freedom, 0.1 %


def test_neighbours_do_not_correlate():
    grid = unit(hashed(3, np.arange(200)[:, None], np.arange(200)[None]))
    assert abs(np.corrcoef(grid[:, 1:].ravel(), grid[:, :-1].ravel())[0, 1]) < 0.02


def test_normal_and_choice_follow_their_parameters():
    dice = Dice.of(1, "test")
    values = dice.normal("n", 3.0, count=20_000)
    assert abs(values.mean()) < 0.1 and abs(values.std() - 3) < 0.1
    share = np.bincount(dice.choice("c", (1, 3), count=20_000)) / 20_000
    assert np.allclose(share, (0.25, 0.75), atol=0.02)
