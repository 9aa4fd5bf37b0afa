"""Wheels are collected by the real pip, from a folder of tiny ones."""

import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from skysense_nb.errors import EnvironmentProblem
from skysense_nb.runs import wheels
from skysense_nb.runs.wheels import collect_wheels, missing, wanted_wheels

ONE, TWO = Requirement("one==1.0"), Requirement("Two.Parts==2.0")


def wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any") -> Path:
    """Writes an empty package."""
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder of wheels, the only place pip looks at."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    wheel(folder, "one", "1.0")
    wheel(folder, "one", "2.0")
    return folder


def test_what_is_there_is_kept_and_the_rest_is_fetched_after_a_stop(index, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "BATCH", 1)
    folder, told = tmp_path / "wheels", []
    with pytest.raises(EnvironmentProblem, match="wheels of Two.Parts==2.0, got .*finished wheels are kept"):
        collect_wheels([ONE, TWO], folder, "3.11", told.append)
    assert [path.name for path in folder.iterdir()] == ["one-1.0-py3-none-any.whl"]
    wheel(index, "two_parts", "2.0", "cp311-none-any")
    new = collect_wheels([ONE, TWO], folder, "3.11", told.append)
    assert [path.name for path in new] == ["two_parts-2.0-cp311-none-any.whl"]
    assert told[-1] == "Wheels 1 to 1 of 1 ..."
    assert collect_wheels([ONE, TWO], folder, "3.11") == []


def test_a_wheel_of_another_version_python_or_name_does_not_count(tmp_path):
    for name, version, tag in [("one", "1.1", "py3-none-any"), ("one", "1.0", "cp312-none-any")]:
        wheel(tmp_path, name, version, tag)
    (tmp_path / "one.whl").write_bytes(b"")
    assert missing([ONE], tmp_path, "3.11") == [ONE]
    assert missing([ONE], tmp_path, "3.12") == []
    wheel(tmp_path, "one", "1.0+cpu")
    assert missing([ONE], tmp_path, "3.11") == []


def test_everything_the_set_up_installs_is_wanted():
    names = {pin.name: str(pin.specifier) for pin in wanted_wheels("3.12")}
    assert names["uv"].startswith("==") and {"torch", "jupyterlab", "setuptools"} <= names.keys()


def test_what_a_killed_call_left_is_removed(index, tmp_path):
    left = tmp_path / "wheels/.tmpabc"
    left.mkdir(parents=True)
    wheel(left, "two_parts", "2.0")
    collect_wheels([ONE], tmp_path / "wheels", "3.11", lambda line: None)
    assert [path.name for path in (tmp_path / "wheels").iterdir()] == ["one-1.0-py3-none-any.whl"]
