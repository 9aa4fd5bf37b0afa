"""Every road to the environment installs the same versions."""

import json
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from jupyterlab.labapp import LabApp
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {"3.11": ROOT / "env/requirements-py311.txt", "3.12": ROOT / "env/requirements-py312.txt"}


def requirements(path: Path) -> list[Requirement]:
    lines = [line.strip() for line in path.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def applying(path: Path, python: str) -> dict[str, str]:
    """Name to version of the lines of a lock that hold for Linux on x86 with this Python."""
    here = {"python_version": python, "python_full_version": f"{python}.7", "sys_platform": "linux"}
    here |= {"platform_machine": "x86_64", "os_name": "posix"}
    found = {}
    for line in requirements(path):
        if line.marker is None or line.marker.evaluate(here):
            assert canonicalize_name(line.name) not in found, f"{line.name} is pinned twice"
            found[canonicalize_name(line.name)] = str(line.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_locks_satisfy_what_was_asked_for(python):
    lock = applying(LOCKS.get(python, LOCKS["3.12"]), python)
    for asked in requirements(ROOT / "env/requirements.in"):
        assert lock[canonicalize_name(asked.name)] in asked.specifier, asked


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_lock_holds_pins_only(lock):
    pin = re.compile(r"[a-z0-9.-]+==[\w.]+( ; [\w\s'().<>=!*]+)?")
    assert [line for line in lock.read_text().splitlines() if not pin.fullmatch(line)] == []


def test_this_environment_is_the_locked_one():
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lock = applying(LOCKS.get(python, LOCKS["3.12"]), python)
    asked = {canonicalize_name(line.name) for line in requirements(ROOT / "env/requirements.in")}
    assert {name: metadata.version(name) for name in asked} == {name: lock[name] for name in asked}


def test_the_package_declares_what_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    asked = {canonicalize_name(line.name) for line in requirements(ROOT / "env/requirements.in")}
    assert {canonicalize_name(Requirement(line).name) for line in declared} == asked


def test_conda_and_docker_install_the_same_lock():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert "python=3.12" in conda
    assert "--requirement env/requirements-py312.txt" in conda[-1]["pip"]
    docker = (ROOT / "env/Dockerfile").read_text()
    assert "FROM python:3.12-slim" in docker
    assert "--requirement env/requirements-py312.txt" in docker
    (version,) = re.findall(r"UV_VERSION=([\d.]+)", (ROOT / "env/run.sh").read_text())
    assert f"uv=={version}" in docker


def test_lab_settings_exist_in_this_jupyterlab():
    server = json.loads((ROOT / "env/jupyter/jupyter_server_config.json").read_text())
    assert set(server) == {"LabApp"}
    assert set(server["LabApp"]) <= set(LabApp.class_trait_names())

    schemas = Path(sys.prefix) / "share/jupyter/lab/schemas"
    overrides = json.loads((ROOT / "env/jupyter/labconfig/default_setting_overrides.json").read_text())
    for plugin, settings in overrides.items():
        package, name = plugin.split(":")
        schema = json.loads((schemas / package / f"{name}.json").read_text())["properties"]
        assert set(settings) <= set(schema)
        for key, value in settings.items():
            assert value in schema[key].get("enum", [value])


@pytest.mark.parametrize("route", ["conda", "docker", "ci"])
def test_no_route_names_a_host_for_packages(route):
    path = {"conda": "environment.yml", "docker": "env/Dockerfile", "ci": ".ci/run"}[route]
    assert not re.search(r"https?://|index-url|find-links", (ROOT / path).read_text())
