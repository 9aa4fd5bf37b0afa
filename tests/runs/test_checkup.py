import importlib.metadata
import json
import shutil
import sys

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.models.checkpoints import BUNDLED
from skysense_nb.runs import checkup
from skysense_nb.runs.checkup import Verdict, as_lines

MACHINE = {"python": "3.11.7", "memory_free_gib": 8.0, "disk_free_gib": 20.0, "cores": 2}


def test_this_machine_is_fit():
    assert [one for one in checkup.examine_machine(MACHINE) if one.level != "ok"] == []


@pytest.mark.parametrize(
    ("fact", "value", "level"),
    [
        ("python", "3.10.1", "problem"),
        ("memory_free_gib", 2.0, "warning"),
        ("memory_free_gib", 1.0, "problem"),
        ("disk_free_gib", 0.1, "problem"),
        ("cores", 1, "warning"),
    ],
)
def test_a_lack_is_named_with_a_next_step(fact, value, level):
    (wrong,) = [one for one in checkup.examine_machine(MACHINE | {fact: value}) if one.level != "ok"]
    assert wrong.level == level and str(value) in wrong.found.replace("one", "1") and wrong.next_step


def test_packages_are_compared_with_the_pins():
    missing, other = Requirement("no-such-package==1.0"), Requirement("numpy==1.0")
    assert checkup.check_packages([other, missing]).level == "problem"
    verdict = checkup.check_packages([other])
    assert verdict.level == "warning" and verdict.found.endswith("instead of ==1.0")


def kernel(tmp_path, monkeypatch, program):
    """Registers a kernel where Jupyter looks first."""
    folder = tmp_path / "kernels/mine"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": [program, "-m"], "display_name": "", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))


def test_a_kernel_of_another_environment_is_a_problem(tmp_path, monkeypatch):
    assert "ipykernel install" in checkup.check_kernel("mine").next_step
    kernel(tmp_path, monkeypatch, "/elsewhere/bin/python")
    verdict = checkup.check_kernel("mine")
    assert (
        verdict.level == "problem" and "/elsewhere/bin/python" in verdict.found and str(tmp_path) in verdict.next_step
    )


def test_a_kernel_of_this_environment_is_ok(tmp_path, monkeypatch):
    kernel(tmp_path, monkeypatch, sys.executable)
    assert checkup.check_kernel("mine").level == "ok"


def test_widgets_need_their_half_in_jupyterlab(tmp_path):
    assert checkup.check_widgets(tmp_path).level == "problem"
    folder = tmp_path / "share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"dependencies": {"@jupyterlab/application": "^2.0.0"}}')
    assert "does not fit" in checkup.check_widgets(tmp_path).found


def test_widgets_that_are_not_installed_are_a_problem(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    verdict = checkup.check_widgets()
    assert (verdict.level, verdict.found) == ("problem", "ipywidgets is missing") and verdict.next_step


def test_a_folder_that_cannot_be_written_leads_to_copies(tmp_path):
    assert "skysense-nb exercises" in checkup.check_folder(tmp_path / "none").next_step


def test_damaged_weights_are_found(tmp_path):
    names = list(json.loads((BUNDLED / "checksums.json").read_text()))
    assert names == sorted(path.name for path in BUNDLED.glob("*.safetensors"))
    shutil.copy(BUNDLED / names[0], tmp_path)
    (tmp_path / names[1]).write_bytes(b"cut short")
    assert checkup.check_weights(tmp_path).found == f"missing or damaged: {names[1]}"


@pytest.mark.parametrize("content", [None, "{cut"])
def test_weights_without_checksums_are_a_problem(tmp_path, monkeypatch, content):
    monkeypatch.setattr(checkup, "BUNDLED", tmp_path)
    if content:
        (tmp_path / "checksums.json").write_text(content)
    verdict = checkup.check_weights()
    assert verdict.level == "problem" and "checksums" in verdict.found and "git checkout" in verdict.next_step


@pytest.mark.parametrize("now", [0.0, 5e9])
def test_a_clock_years_off_is_a_warning(now):
    assert checkup.check_clock(now).level == "warning"


def test_the_worst_is_last():
    some = [Verdict("a", "problem", "x", "Do y."), Verdict("b", "ok", "z"), Verdict("c", "warning", "v", "Do w.")]
    assert as_lines(some) == "ok       b: z\nwarning  c: v. Do w.\nproblem  a: x. Do y."


def test_the_command_says_so_and_exits_1_on_a_problem(monkeypatch):
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert told["fit"] and {"python", "packages", "cores"} <= told.keys()
    assert [one["level"] for one in told["checks"]] == ["ok"] * len(told["checks"])
    monkeypatch.setattr(checkup, "check_clock", lambda now: Verdict("clock", "problem", "stopped", "Wind it."))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1 and done.stdout.endswith("problem  clock: stopped. Wind it.\n")
