import numpy as np

from skysense_nb.data.synthetic.noise import between, gradient_noise, lattice_noise


def test_lattice_noise_of_a_window_is_a_cut_of_a_larger_one():
    xs, ys = np.arange(400_000, 400_100, 1.25), np.arange(5_000_100, 5_000_000, -1.25)
    whole = lattice_noise(5, xs, ys, 9.0)
    assert (whole[10:30, 40:60] == lattice_noise(5, xs[40:60], ys[10:30], 9.0)).all()


def test_lattice_noise_is_smooth_and_bounded():
    line = lattice_noise(5, np.arange(0, 500, 0.1), np.array([3.0, 3.1]), 10.0)
    assert np.abs(line).max() <= 1
    assert np.abs(np.diff(line, axis=1)).max() < 2 * 1.5 * 0.1 / 10 + 1e-6  # steepest cubic ramp from −1 to 1


def test_gradient_noise_vanishes_on_its_lattice():
    column, row = np.meshgrid(np.arange(-3, 4.0), np.arange(-3, 4.0))
    x, y = 0.8 * column + 0.6 * row, -0.6 * column + 0.8 * row  # undoes the turn
    assert np.abs(gradient_noise(1, 50 * x, 50 * y, 50.0)).max() < 1e-6


def test_between_reproduces_a_plane():
    lattice = np.add.outer(10.0 * np.arange(4), np.arange(5.0))
    x, y = np.array([0.25, 1.5, 3.75]), np.array([0.5, 2.25])
    grid = between(lattice, x.astype(int), y.astype(int), x % 1, y % 1)
    assert np.allclose(grid, 10 * y[:, None] + x)
