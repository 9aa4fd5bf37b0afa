import json
import os
import subprocess
import sys

import nbformat
import pytest
from filelock import FileLock

from skysense_nb.errors import ParameterError, RunError
from skysense_nb.runs.record import read_record
from skysense_nb.runs.series import Task, attempt, key, run_series

NUMBERS = """from skysense_nb.runs import report
import os
import subprocess
import sys
report(twice=2 * seed, threads=int(os.environ["OMP_NUM_THREADS"]))"""


def statuses(outcomes):
    return [(one.run.record.status, one.kept) for one in outcomes]


def test_what_has_finished_is_kept_and_the_rest_runs(make_notebook, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    fine, broken = make_notebook(NUMBERS, name="01_fine"), make_notebook("1 / seed", name="02_broken")
    tasks, out, seen = [Task(fine), Task(fine, {"seed": 4}), Task(broken), Task(fine)], tmp_path / "out", []
    first = run_series(tasks, out, jobs=2, timeout_s=60, on_change=seen.append)
    assert statuses(first) == [("ok", False), ("ok", False), ("failed", False)]
    assert sorted(map(id, seen)) == sorted(map(id, first))
    assert [one.run.record.metrics.get("twice") for one in first] == [0.0, 8.0, None]
    assert {one.run.record.metrics["threads"] for one in first[:2]} == {max(1, os.cpu_count() // 2)}
    wanted = json.loads((out / "series.json").read_text())["tasks"]
    assert [(one["notebook"], one["parameters"]) for one in wanted[:2]] == [("01_fine", {}), ("01_fine", {"seed": 4})]
    assert [one["key"] for one in wanted] == [key(one.run.record.notebook, one.run.record.parameters) for one in first]

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    again = run_series([*tasks, Task(fine, {"seed": 5})], out, timeout_s=60)
    assert statuses(again) == [("ok", True), ("ok", True), ("failed", False), ("ok", False)]
    assert [one.run.folder for one in again[:2]] == [one.run.folder for one in first[:2]]
    assert again[3].run.record.metrics["threads"] == 7

    notebook = nbformat.read(fine, as_version=4)
    notebook.cells[-1].source += "  # edited"
    nbformat.write(notebook, fine)
    assert statuses(run_series([Task(fine)], out, timeout_s=60)) == [("ok", False)]


def test_no_failure_takes_another_run_along(make_notebook, tmp_path):
    sources = {
        "exits": ["import os; os._exit(3)"],
        "killed": ["import os, signal; os.kill(os.getpid(), signal.SIGKILL)"],
        "orphaned": [NUMBERS, "import signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)"],
        "slow": ["import time; time.sleep(60)"],
        "fine": [NUMBERS],
    }
    tasks = [Task(make_notebook(*cells, name=name)) for name, cells in sources.items()]
    outcomes = run_series(tasks, tmp_path / "out", jobs=2, timeout_s=15)
    by_memory = "was killed by SIGKILL, as the system does when memory runs out"
    told = {one.run.record.notebook: one.run.record.failure for one in outcomes}
    assert (told["exits"].cell, told["exits"].error) == (2, "DeadKernelError")
    assert told["exits"].message == "the kernel died: it ended with exit code 3"
    assert (told["killed"].cell, told["killed"].message) == (2, f"the kernel died: it {by_memory}")
    assert (told["orphaned"].cell, told["orphaned"].message) == (3, f"its process {by_memory}")
    assert (told["slow"].cell, told["slow"].error) == (2, "TimeoutError")
    assert told["fine"] is None
    orphaned = outcomes[2].run
    assert orphaned.record == read_record(orphaned.folder)
    assert orphaned.record.metrics["twice"] == 0.0
    states = [cell.metadata.papermill.status for cell in nbformat.read(orphaned.notebook, as_version=4).cells]
    assert states == ["completed", "completed", "completed", "failed"]
    assert by_memory in orphaned.page.read_text()
    assert list((tmp_path / "out").glob("*.unfinished")) == []


def test_a_notebook_that_becomes_unreadable_takes_no_other_along(make_notebook, tmp_path):
    second = make_notebook(NUMBERS, name="second")
    first = make_notebook(f"open({str(second)!r}, 'w').close()", name="first")
    third, out = make_notebook(NUMBERS, name="third"), tmp_path / "out"
    with pytest.raises(ParameterError, match="second"):
        run_series([Task(first), Task(second), Task(third)], out, timeout_s=60)
    done = {read_record(path.parent).notebook for path in out.glob("*/record.json")}
    assert done == {"first", "third"}


def test_a_script_that_would_run_itself_is_told(make_notebook, tmp_path):
    script = tmp_path / "script.py"
    call = f"run_series([Task({str(make_notebook(NUMBERS))!r})], 'out', timeout_s=60)"
    script.write_text(f"from skysense_nb.runs.series import Task, run_series\n{call}\n")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert 'Expected a script that begins runs under if __name__ == "__main__":' in done.stderr


def test_a_lost_run_is_tried_as_often_as_its_carrier_says(make_notebook, tmp_path):
    class Losing:
        tries, stopped = 2, False

        def __call__(self, prepared):
            return "the worker that ran it was lost"

    run = attempt(Task(make_notebook(NUMBERS)), tmp_path / "out", Losing())
    assert str(run.record.failure) == "Stopped before the first cell: the worker that ran it was lost"
    assert len(list((tmp_path / "out").glob("07_small-*/record.json"))) == 2


@pytest.mark.parametrize("parameters", [{"sead": 1}, {"seed": "1"}])
def test_one_wrong_task_starts_nothing(make_notebook, tmp_path, parameters):
    path = make_notebook(NUMBERS)
    with pytest.raises(ParameterError):
        run_series([Task(path), Task(path, parameters)], tmp_path / "out")
    with pytest.raises(ParameterError, match="Expected at least one job, got 0"):
        run_series([Task(path)], tmp_path / "out", jobs=0)
    assert not (tmp_path / "out").exists()


def test_one_series_in_a_folder(make_notebook, tmp_path):
    path = make_notebook(NUMBERS)
    with FileLock(tmp_path / ".series.lock"), pytest.raises(RunError, match="Expected one series in"):
        run_series([Task(path)], tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Expected a writable folder at .*file"):
        run_series([Task(path)], tmp_path / "file")
