import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from skysense_nb.__main__ import app
from skysense_nb.errors import EnvironmentProblem, ParameterError
from skysense_nb.runs import bundle
from skysense_nb.runs.bundle import SUMS, make_bundle, miniatures_used, tracked, verify_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """What a bundle needs of the repository, with things that stay behind."""
    root = tmp_path / "checkout"
    for name in ("env/offline/README.md", "env/offline/setup.sh"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((ROOT / name).read_text())
    (root / "env/requirements-py311.txt").write_text("one==1.0\n")
    (root / "env/run.sh").write_text('UV_VERSION=9.9\necho "$SKYSENSE_PYTHON $*"\n')
    for name in (".venv/python", "runs/old", "skysense_nb/runs/kept.py", "notebooks/__pycache__/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def finished(checkout, tmp_path, monkeypatch) -> Path:
    """A bundle whose wheels are two small files."""

    def collect(pins, folder, python, say):
        folder.mkdir(exist_ok=True)
        for pin in pins:
            (folder / f"{pin.name}-{python}.whl").write_text(str(pin))

    monkeypatch.setattr(bundle, "collect_wheels", collect)
    monkeypatch.setattr(bundle, "NEEDED_GIB", {True: 0.0, False: 0.0})
    return make_bundle(tmp_path / "bundle", python="3.11", checkout=checkout, say=lambda line: None)


def set_up(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder.parent / "home")}
    command = ["bash", folder / "setup.sh", *arguments]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)


def test_a_bundle_holds_checkout_wheels_and_sums(finished):
    listed = [line.split("  ")[1] for line in (finished / SUMS).read_text().splitlines()]
    assert listed == [
        "README.md",
        "setup.sh",
        "skysense-nb/env/offline/README.md",
        "skysense-nb/env/offline/setup.sh",
        "skysense-nb/env/requirements-py311.txt",
        "skysense-nb/env/run.sh",
        "skysense-nb/skysense_nb/runs/kept.py",
        "wheels/one-3.11.whl",
        "wheels/uv-3.11.whl",
    ]
    assert "for Python 3.11 on" in (finished / "README.md").read_text()
    assert verify_bundle(finished) == []
    assert [path.name for path in finished.iterdir() if path.name not in bundle.PARTS] == []


def test_damage_is_found_by_the_command_and_by_the_set_up(finished):
    (finished / "wheels/one-3.11.whl").write_text("cut")
    (finished / "skysense-nb/env/run.sh").unlink()
    (finished / "mine.txt").write_text("a file of the participant does not matter")
    done = CliRunner().invoke(app, ["bundle", "--verify", str(finished)])
    assert done.exit_code == 1
    assert done.stdout == "skysense-nb/env/run.sh: missing\nwheels/one-3.11.whl: damaged\n"
    done = set_up(finished)
    assert done.returncode == 1 and "Expected a whole bundle, got missing or damaged files." in done.stderr


def test_the_set_up_lays_miniatures_and_calls_run_with_the_right_python(finished, tmp_path):
    (finished / "miniatures/aid-4").mkdir(parents=True)
    (finished / "miniatures/aid-4/image").write_text("x")
    assert set_up(finished).stdout == "python3.11 demo\n"
    assert set_up(finished, "run", "01", "-p", "a=b c").stdout == "python3.11 run 01 -p a=b c\n"
    assert (tmp_path / "home/.cache/skysense-nb/miniatures/aid-4/image").read_text() == "x"


def test_it_goes_on_with_an_earlier_bundle_and_refuses_anything_else(finished, checkout, monkeypatch):
    options = {"wheels": False, "python": "3.11", "checkout": checkout, "say": lambda line: None}
    (checkout / "env/run.sh").write_text("UV_VERSION=10\n")
    make_bundle(finished, **options)
    assert (finished / "skysense-nb/env/run.sh").read_text() == "UV_VERSION=10\n"
    assert (finished / "wheels/one-3.11.whl").exists() and verify_bundle(finished) == []
    (finished / "skysense-nb/.venv").mkdir()
    with pytest.raises(ParameterError, match="nobody installed in"):
        make_bundle(finished, **options)
    with pytest.raises(ParameterError, match="a new folder or a bundle"):
        make_bundle(checkout, **options)


def test_a_stopped_bundle_has_no_sums(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "NEEDED_GIB", {True: 0.0, False: 0.0})

    def stop(*arguments):
        raise EnvironmentProblem("no network")

    monkeypatch.setattr(bundle, "collect_wheels", stop)
    with pytest.raises(EnvironmentProblem):
        make_bundle(tmp_path / "bundle", python="3.11", checkout=checkout, say=lambda line: None)
    with pytest.raises(ParameterError, match="a finished bundle at .*, got no SHA256SUMS"):
        verify_bundle(tmp_path / "bundle")


def test_a_full_disk_is_said_before_anything_is_written(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "NEEDED_GIB", {True: 1e9, False: 1e9})
    with pytest.raises(EnvironmentProblem, match="GiB of free disk"):
        make_bundle(tmp_path / "bundle", python="3.11", checkout=checkout)
    assert not (tmp_path / "bundle").exists()


def test_where_there_is_git_only_what_it_tracks_goes_along(checkout):
    for command in (["init", "-q"], ["add", "env"]):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    assert {path.parts[0] for path in tracked(checkout, checkout / "bundle")} == {"env"}


def test_a_bundle_inside_a_checkout_without_git_leaves_itself_out(checkout, monkeypatch):
    monkeypatch.setattr(bundle, "NEEDED_GIB", {False: 0.0})
    options = {"wheels": False, "python": "3.11", "checkout": checkout, "say": lambda line: None}
    first = verify_and_list(make_bundle(checkout / "stick", **options))
    assert "skysense-nb/env/run.sh" in first
    assert verify_and_list(make_bundle(checkout / "stick", **options)) == first


def verify_and_list(folder: Path) -> list[str]:
    """Names of the files in a whole bundle."""
    assert verify_bundle(folder) == []
    return [path.relative_to(folder).as_posix() for path in bundle.files_of(folder)]


def test_a_bundle_never_takes_the_place_of_its_checkout(checkout, tmp_path):
    around = tmp_path / "around"
    around.mkdir()
    mine = checkout.rename(around / bundle.CHECKOUT_NAME)
    (mine / ".venv/python").unlink()
    (mine / ".venv").rmdir()
    with pytest.raises(ParameterError, match="a new folder or a bundle at .*, got the checkout in it"):
        make_bundle(around, wheels=False, python="3.11", checkout=mine)
    assert (mine / "env/run.sh").exists()


@pytest.mark.parametrize("name", ["afile", "afile/x", "afile/x/y"])
def test_a_bundle_in_a_file_is_refused(checkout, tmp_path, name):
    (tmp_path / "afile").write_text("mine")
    with pytest.raises(ParameterError, match="a new folder or a bundle at .*, got a file at .*afile"):
        make_bundle(tmp_path / name, python="3.11", checkout=checkout)


def test_stray_dot_files_neither_hinder_nor_count(finished, checkout):
    (finished / f".{SUMS}").write_text("of a stopped call")
    (finished / ".DS_Store").write_text("of a file manager")
    (finished / "wheels/.batch").mkdir()
    (finished / "wheels/.batch/half.whl").write_text("of a download that was killed")
    before = (finished / SUMS).read_text()
    make_bundle(finished, wheels=False, python="3.11", checkout=checkout, say=lambda line: None)
    assert (finished / SUMS).read_text() == before and verify_bundle(finished) == []
    (finished / ".git").mkdir()
    with pytest.raises(ParameterError, match="got .git"):
        make_bundle(finished, wheels=False, python="3.11", checkout=checkout)


def test_a_miniature_whose_copy_was_cut_short_is_copied_again(finished, tmp_path, monkeypatch):
    (finished / "miniatures/aid-4").mkdir(parents=True)
    (finished / "miniatures/aid-4/image").write_text("x")
    programs, usual = tmp_path / "programs", os.environ["PATH"]
    programs.mkdir()
    (programs / "cp").write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last/aid-4"\nexit 1\n')
    (programs / "cp").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{usual}")
    assert set_up(finished).returncode == 1
    monkeypatch.setenv("PATH", usual)
    assert set_up(finished).stdout == "python3.11 demo\n"
    kept = tmp_path / "home/.cache/skysense-nb/miniatures"
    assert [path.relative_to(kept).as_posix() for path in bundle.files_of(kept)] == ["aid-4/image"]


def test_miniatures_are_those_that_notebooks_ask_for(make_notebook, tmp_path):
    parameters = "dataset: str = 'aid'  # which\nplaces: int = 8  # how many\nseed: int = 3  # of it"
    for number, call in enumerate(("dataset, places, seed", "'dior', places, seed")):
        make_notebook(f"folder = kept_miniature({call})", name=f"0{number}_a", parameters=parameters)
    assert miniatures_used(tmp_path) == [("aid", 8, 3), ("dior", 8, 3)]
    series = miniatures_used(ROOT / "notebooks")
    asking = [path for path in (ROOT / "notebooks").glob("*.ipynb") if "kept_miniature(" in path.read_text()]
    assert len(asking) >= len(series) > 5
