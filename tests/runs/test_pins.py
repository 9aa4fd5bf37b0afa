import pytest

from skysense_nb.errors import EnvironmentProblem, ParameterError
from skysense_nb.runs.pins import lock_file, pinned


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "env").mkdir()
    lines = "one==1.0\ntwo==2.0 ; python_full_version < '3.13'\nthree==3.0 ; sys_platform == 'nowhere'\n"
    (tmp_path / "env/requirements-py312.txt").write_text(lines)
    return tmp_path


def test_pins_are_those_of_a_python_on_this_platform(checkout):
    assert [str(pin) for pin in pinned("3.12", checkout)] == ["one==1.0", "two==2.0"]
    assert [str(pin) for pin in pinned("3.13", checkout)] == ["one==1.0"]


def test_a_python_without_pins_and_a_folder_without_them_are_refused(checkout):
    with pytest.raises(ParameterError, match="a Python among 3.11, 3.12, 3.13, got '3.9'"):
        lock_file("3.9", checkout)
    with pytest.raises(EnvironmentProblem, match="no such file"):
        lock_file("3.11", checkout)
