"""env/run.sh in a throw-away copy of the repository, with only the tools that a bare machine has."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "env", "dirname", "cat", "df", "awk", "du", "cut", "id", "sha256sum", "rm")
BASE_PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"

# Stands in for the environment's python: answers questions itself, but only repeats what it is asked to run.
FAKE_PYTHON = """#!/usr/bin/env bash
[[ "$1" == -m ]] || exec REAL "$@"
echo "${*:2} OMP=${OMP_NUM_THREADS:-} ${OMP_WAIT_POLICY:-} MPL=${MPLBACKEND-unset}"
exit 5
"""


@pytest.fixture
def bare(tmp_path) -> Path:
    """A folder with the shell tools and no Python, the whole PATH of these tests."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    return folder


@pytest.fixture
def checkout(tmp_path) -> Path:
    """What run.sh needs of the repository, at a path with spaces."""
    root = tmp_path / "a checkout"
    for name in ("env/run.sh", "env/requirements-py311.txt", "env/requirements-py312.txt", "pyproject.toml", ".ci/run"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "notebooks").mkdir()
    return root


def call(checkout: Path, bare: Path, *arguments: str, script: str = "env/run.sh", **extra: str):
    """Runs the script from another folder, with nothing in the environment but `extra`."""
    return subprocess.run(
        [bare / "bash", checkout / script, *arguments],
        cwd="/",
        env={"PATH": str(bare), "HOME": str(checkout), "PIP_CONFIG_FILE": os.devnull, **extra},
        capture_output=True,
        text=True,
        timeout=300,
    )


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def install_fake(checkout: Path) -> None:
    """Makes .venv look installed: a fake python and the stamp of the pins."""
    executable(checkout / ".venv/bin/python", FAKE_PYTHON.replace("REAL", str(BASE_PYTHON)))
    lock = "requirements-py311.txt" if sys.version_info[:2] == (3, 11) else "requirements-py312.txt"
    parts = [(checkout / name).read_bytes() for name in (f"env/{lock}", "pyproject.toml", "env/run.sh")]
    digest = hashlib.sha256(b"".join([*parts, str(checkout).encode(), b"\n"])).hexdigest()
    (checkout / ".venv/skysense-stamp").write_text(f"{digest}  -\n")


def test_no_python_is_one_sentence(checkout, bare):
    executable(bare / "python3.12", "#!/usr/bin/env bash\necho 'pyenv: python3.12: command not found' >&2; exit 127\n")
    executable(bare / "python3", "#!/usr/bin/env bash\nexit 1\n")
    done = call(checkout, bare, "demo")
    assert done.returncode == 1
    assert done.stderr == (
        "skysense: Expected Python 3.11, 3.12 or 3.13 with its venv module, got none. Install one "
        "(Debian and Ubuntu: apt-get install python3 python3-venv), or name it in SKYSENSE_PYTHON.\n"
    )
    assert not (checkout / ".venv").exists()


def test_a_named_python_that_does_not_run_is_not_replaced_by_another(checkout, bare):
    done = call(checkout, bare, "demo", SKYSENSE_PYTHON="python3.99")
    assert done.returncode == 1
    assert done.stderr == (
        "skysense: Expected Python 3.11, 3.12 or 3.13 in SKYSENSE_PYTHON, got 'python3.99'. "
        "Give the path of one that runs.\n"
    )
    assert not (checkout / ".venv").exists()


def test_a_full_disk_is_one_sentence(checkout, bare):
    done = call(checkout, bare, "demo", SKYSENSE_PYTHON=str(BASE_PYTHON), SKYSENSE_DISK_GB="9999999")
    assert done.returncode == 1
    assert done.stderr.startswith(f"skysense: Expected 9999999 GB of free disk for {checkout}/.venv, got ")
    assert done.stderr.endswith(" GB. Free some space.\n")
    assert not (checkout / ".venv").exists()


def test_no_network_ends_with_one_sentence_and_leaves_no_stamp(checkout, bare):
    nowhere = "http://127.0.0.1:9/simple"
    (bare / "python3").symlink_to(BASE_PYTHON)
    done = call(checkout, bare, "demo", PIP_INDEX_URL=nowhere, UV_DEFAULT_INDEX=nowhere, SKYSENSE_DISK_GB="0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "skysense: Expected to download the pinned packages, got no usable answer from the package index. "
        "Check the network (or the proxy and index settings of pip), then call this again."
    )
    assert not (checkout / ".venv/skysense-stamp").exists()


def test_nothing_is_installed_when_no_pin_changed(checkout, bare):
    install_fake(checkout)
    done = call(checkout, bare, "shell", "bash", "-c", "echo $VIRTUAL_ENV")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{checkout}/.venv\n", "")


@pytest.mark.parametrize("changed", ["pyproject.toml", "env/run.sh", "lock", "place"])
def test_a_changed_pin_or_a_moved_checkout_installs_again(checkout, bare, changed, tmp_path):
    install_fake(checkout)
    if changed == "place":
        checkout = checkout.rename(tmp_path / "moved")
    else:
        for path in checkout.glob("env/requirements-*.txt") if changed == "lock" else [checkout / changed]:
            path.write_text(path.read_text() + "\n")
    done = call(checkout, bare, "shell", "true", SKYSENSE_DISK_GB="0")
    assert done.returncode == 1
    assert "skysense: Installing the pinned packages with pip" in done.stderr
    assert not (checkout / ".venv/skysense-stamp").exists()


FAKE_UV = """#!/usr/bin/env bash
printf '<%s>' "$@" >>"$HOME/uv.log"
"""


@pytest.mark.parametrize("way", ["beside", "named", "none"])
def test_packages_come_from_a_folder_of_wheels_and_nowhere_else(checkout, bare, way, tmp_path):
    install_fake(checkout)
    (checkout / ".venv/skysense-stamp").unlink()
    executable(bare / "uv", FAKE_UV)
    folder = tmp_path / ("wheels" if way == "beside" else "some wheels")
    folder.mkdir()
    (folder / "one-1.0-py3-none-any.whl").write_bytes(b"")
    extra = {"SKYSENSE_WHEELS": str(folder)} if way == "named" else {}
    call(checkout, bare, "shell", "true", SKYSENSE_DISK_GB="0", **extra)
    source = f"{checkout}/../wheels" if way == "beside" else folder
    asked = (checkout / "uv.log").read_text().split("<pip><install>")[1]
    assert asked.endswith(".txt>" + (f"<--no-index><--find-links><{source}>" if way != "none" else ""))


def test_a_folder_without_the_wheels_is_one_sentence(checkout, bare, tmp_path):
    (bare / "python3").symlink_to(BASE_PYTHON)
    done = call(checkout, bare, "demo", SKYSENSE_WHEELS=str(tmp_path / "none"), SKYSENSE_DISK_GB="0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"skysense: Expected a wheel of every pinned package in {tmp_path}/none, got the error above. Check the folder"
    )
    assert not (checkout / ".venv/skysense-stamp").exists()


def test_exit_codes_pass_through(checkout, bare):
    install_fake(checkout)
    assert call(checkout, bare, "shell", "bash", "-c", "exit 7").returncode == 7
    assert call(checkout, bare, "test").returncode == 5
    assert call(checkout, bare, script=".ci/run").returncode == 5


def test_test_runs_pytest_with_one_thread_and_no_backend(checkout, bare):
    install_fake(checkout)
    done = call(checkout, bare, "test", "tests/runs", "-x", MPLBACKEND="Agg")
    shared = "--numprocesses 2 --dist loadscope --no-loadscope-reorder"
    assert done.stdout == f"pytest -rs {shared} tests/runs -x OMP=1 PASSIVE MPL=unset\n"


def test_demo_and_run_go_through_the_command_line(checkout, bare):
    install_fake(checkout)
    executable(checkout / ".venv/bin/skysense-nb", "#!/usr/bin/env bash\nprintf '<%s>' \"$@\"\n")
    assert call(checkout, bare, "demo").stdout == f"<run><--out><{checkout}/runs><00_start_here>"
    done = call(checkout, bare, "run", "01", "-p", "bands=[B4, B8]")
    assert done.stdout == f"<run><--out><{checkout}/runs><01><-p><bands=[B4, B8]>"


def test_lab_opens_the_index_with_our_settings(checkout, bare):
    install_fake(checkout)
    executable(checkout / ".venv/bin/jupyter", '#!/usr/bin/env bash\necho "$PWD|$JUPYTER_CONFIG_PATH|$*"\n')
    folder, settings, options = call(checkout, bare, "lab", "--port=9000").stdout.strip().split("|")
    assert (folder, settings) == (f"{checkout}/notebooks", f"{checkout}/env/jupyter")
    assert options.startswith("lab ") and options.endswith("--port=9000 00_start_here.ipynb")


@pytest.mark.parametrize(("arguments", "message"), [(["dance"], "got 'dance'."), (["run"], "Try: run 00_start_here.")])
def test_a_wrong_call_is_one_sentence(checkout, bare, arguments, message):
    done = call(checkout, bare, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(message)


def test_help_names_every_verb(checkout, bare):
    done = call(checkout, bare, "help")
    assert done.returncode == 0
    assert all(f"\n  {verb} " in done.stdout for verb in ("demo", "lab", "run", "test", "shell"))
