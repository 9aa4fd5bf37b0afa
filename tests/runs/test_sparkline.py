import re

import pytest

from skysense_nb.runs.sparkline import EDGE, HEIGHT, WIDTH, sparkline


def points(values) -> list[tuple[float, float]]:
    (path,) = re.findall(r'points="([^"]*)"', sparkline(values))
    return [tuple(map(float, point.split(","))) for point in path.split()]


def test_time_runs_to_the_right_and_larger_is_higher():
    found = points([1.0, 3.0, 2.0])
    assert [x for x, _ in found] == [EDGE, WIDTH / 2, WIDTH - EDGE]
    assert [y for _, y in found] == [HEIGHT - EDGE, EDGE, HEIGHT / 2]


def test_numbers_that_do_not_move_are_a_line_in_the_middle():
    assert {y for _, y in points([5.0, 5.0, 5.0])} == {HEIGHT / 2}


def test_the_dot_is_the_newest_and_the_words_say_it_too():
    drawn = sparkline([2.0, 1.0, 1.5])
    assert f'<circle cx="{WIDTH - EDGE}.0" cy="{HEIGHT / 2}"' in drawn
    assert "<title>3 runs, from 2 to 1.5; lowest 1, highest 2</title>" in drawn and 'role="img"' in drawn


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_run_has_no_line(values):
    assert sparkline(values) == ""
