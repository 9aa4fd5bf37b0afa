"""The command line over many notebooks: killed, interrupted, compared, swept."""

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import psutil
import pytest

from skysense_nb.commands.series import verdicts
from skysense_nb.runs import expectations
from skysense_nb.runs.expectations import Drift
from skysense_nb.runs.preparation import prepare
from skysense_nb.runs.record import read_record
from skysense_nb.runs.runner import Run
from skysense_nb.runs.series import Outcome, Task

NUMBERS = "from skysense_nb.runs import report\nreport(twice=2 * seed)"
WAITS = """import os, pathlib, time
place = pathlib.Path({place!r})
(place / "kernel.pid").write_text(str(os.getpid()))
while not (place / "go").exists():
    time.sleep(0.05)"""


@pytest.fixture
def place(make_notebook, tmp_path) -> Path:
    """A folder with a series of four quick notebooks, the third of which waits for a file `go` in its second cell."""
    folder = tmp_path / "place"
    (folder / "notebooks").mkdir(parents=True)
    sources = {name: [NUMBERS] for name in ("01_one", "02_two", "04_four")}
    for name, cells in (sources | {"03_waits": [NUMBERS, WAITS.format(place=str(folder))]}).items():
        shutil.move(make_notebook(*cells, name=name), folder / "notebooks" / f"{name}.ipynb")
    return folder


def start(place: Path, *arguments: str) -> subprocess.Popen:
    """The command, which hears Ctrl-C even where these tests run in the background of a shell."""
    options = {"cwd": place, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    hear = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen([sys.executable, "-m", "skysense_nb", "run", *arguments], preexec_fn=hear, **options)


def call(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    process = start(place, *arguments)
    out, err = process.communicate(timeout=180)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def wait_until(true) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("this never came true")


def folders(place: Path, status: str) -> set[str]:
    """Names of the runs with a status; every record.json must read as one."""
    found = [path.parent.name for path in (place / "runs").glob("*/record.json") if read_record(path).status == status]
    return set(found)


def held_up(place: Path) -> bool:
    """Whether the quick notebooks are done and the kernel of the third one waits."""
    done = {name.split("-")[0] for name in folders(place, "ok")}
    return (place / "kernel.pid").exists() and done == {"01_one", "02_two", "04_four"}


def test_a_runner_that_was_killed_goes_on_and_repeats_nothing(place):
    runner = start(place, "--all", "--jobs", "2")
    wait_until(lambda: held_up(place))
    before, (unfinished,) = folders(place, "ok"), folders(place, "failed")
    assert unfinished.endswith(".unfinished")
    kernel = psutil.Process(int((place / "kernel.pid").read_text()))
    family = [kernel, *psutil.Process(runner.pid).children(recursive=True)]
    runner.kill()
    runner.communicate()
    wait_until(lambda: not any(one.is_running() for one in family))

    (place / "go").touch()
    done = call(place, "--all", "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(one["notebook"], one["kept"], one["status"]) for one in told] == [
        ("01_one", True, "ok"),
        ("02_two", True, "ok"),
        ("03_waits", False, "ok"),
        ("04_four", True, "ok"),
    ]
    after = folders(place, "ok")
    assert before < after and len(after) == 4
    (stopped,) = folders(place, "failed")
    assert stopped == unfinished.removesuffix(".unfinished")
    record = read_record(place / "runs" / stopped)
    assert (record.failure.cell, record.failure.message) == (3, "the runner was stopped")
    assert record.metrics == {"twice": 0.0}
    cells = nbformat.read(place / "runs" / stopped / "03_waits.ipynb", as_version=4).cells
    assert [cell.metadata.papermill.status for cell in cells[2:]] == ["completed", "failed"]
    assert list((place / "runs").glob("*.unfinished")) == []


def test_ctrl_c_keeps_what_has_finished_and_marks_what_ran(place):
    runner = start(place, "--all", "--jobs", "2")
    wait_until(lambda: held_up(place))
    runner.send_signal(signal.SIGINT)
    _, err = runner.communicate(timeout=300)
    assert runner.returncode == 130
    assert "the same call goes on from there" in err and "Traceback" not in err
    assert len(folders(place, "ok")) == 3
    (interrupted,) = folders(place, "failed")
    record = read_record(place / "runs" / interrupted)
    assert str(record.failure) == "KeyboardInterrupt in cell 3 (import os, pathlib, time): interrupted"
    assert not psutil.pid_exists(int((place / "kernel.pid").read_text()))


def test_several_notebooks_are_compared_and_told_in_tables(place):
    (place / "go").touch()
    broken = nbformat.read(place / "notebooks" / "02_two.ipynb", as_version=4)
    broken.cells[-1].source = "1 / seed"
    nbformat.write(broken, place / "notebooks" / "02_two.ipynb")
    done = call(place, "01", "02", "--compare")
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:1] for line in lines[:3]] == [["ok"], ["failed"], []]
    assert ["01_one", "ok"] in [line[:2] for line in lines]
    assert "ZeroDivisionError in cell 2 (1 / seed): division by zero" in done.stdout
    assert lines[-2:] == [["01_one", "nothing", "expected"], ["02_two", "failed"]]


def test_what_drifted_is_told_by_name(make_notebook, tmp_path, monkeypatch):
    record = prepare(make_notebook(NUMBERS), {}, tmp_path).record
    fine = record.model_copy(update={"status": "ok", "metrics": {"miou": 0.4, "loss": 1.0}})
    outcome = Outcome(Task("07_small"), Run(tmp_path, fine))
    monkeypatch.setattr(expectations, "compare", lambda record: [Drift("miou", "0.5 ± 0.02", "0.4")])
    assert verdicts(outcome) == [("miou", "0.5 ± 0.02", "0.4", "drifted")]
    monkeypatch.setattr(expectations, "compare", lambda record: [])
    assert verdicts(outcome) == [("all 2", "", "", "as expected")]


def test_a_sweep_from_a_file_and_from_the_command_line(place):
    text = "notebook: 01\nparameters: {preset: small}\nsweep: {rate: [0.5], seed: 0..9}\n"
    (place / "sweep.yaml").write_text(text)
    done = call(place, "--sweep-file", "sweep.yaml", "--sweep", "seed=1..2", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert ["twice", "3", "±", "1.4"] in [line.split() for line in done.stdout.splitlines()]
    out = place / "runs" / "01_one-sweep"
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    head, *rows = (out / "sweep.csv").read_text().splitlines()
    assert head == "rate,seed,status,twice,wall_s,kernel_mib"
    assert [row.split(",")[:4] for row in rows] == [["0.5", "1", "ok", "2.0"], ["0.5", "2", "ok", "4.0"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Expected names of notebooks, or --all, got nothing."),
        (["01", "--all"], "Expected names of notebooks, or --all, got --all and 01."),
        (["01", "05"], "Expected one notebook among 01_one, 02_two, 03_waits, 04_four, got '05'."),
        (["01", "02", "-p", "sead=1"], "Did you mean 'seed'?"),
        (["01", "--sweep", "sead=1,2"], "Did you mean 'seed'?"),
        (["01", "--sweep", "seed=a,b"], "Expected seed as int, got 'a' (str)."),
        (["01", "02", "--sweep", "seed=1,2"], "Expected one notebook to sweep, got 01, 02."),
        (
            ["01", "--sweep", "seed=1,2", "--compare"],
            "Expected a sweep of one notebook, got --all or --compare as well.",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_starts_nothing(place, arguments, message):
    done = call(place, *arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (place / "runs").exists()
