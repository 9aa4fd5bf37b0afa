import hashlib
import json
import os
import re
import stat

import nbformat
import psutil
import pytest

from skysense_nb.errors import EnvironmentProblem, ParameterError, RunError
from skysense_nb.runs import engine
from skysense_nb.runs.record import read_record
from skysense_nb.runs.runner import FailedRun, run

PICTURE = "import matplotlib.pyplot as plt\nplt.plot([seed, 1])\nplt.show()"
NUMBERS = "from skysense_nb.runs import record_input, report\nreport(twice=2 * seed)"


def only_folder(out):
    (folder,) = out.iterdir()
    return folder


def test_a_run_leaves_notebook_page_and_record(make_notebook, tmp_path):
    (tmp_path / "in.bin").write_bytes(b"x")
    path = make_notebook(PICTURE, NUMBERS, f"digest = record_input({str(tmp_path / 'in.bin')!r})")
    before = path.read_bytes()
    done = run(path, {"seed": 21}, tmp_path / "out", timeout_s=120)

    assert path.read_bytes() == before
    assert done.folder == only_folder(tmp_path / "out")
    assert re.fullmatch(r"07_small-\d{8}-\d{6}-[0-9a-f]{4}", done.folder.name)
    assert sorted(p.name for p in done.folder.iterdir()) == ["07_small.html", "07_small.ipynb", "record.json"]

    record = read_record(done.folder)
    assert record == done.record
    assert (record.status, record.failure, record.seed) == ("ok", None, 21)
    assert record.parameters["seed"] == 21 and record.parameters["bands"] == ["B2", "B3"]
    assert record.metrics == {"twice": 42.0}
    assert record.inputs == {"in.bin": hashlib.sha256(b"x").hexdigest()}
    assert [cell.index for cell in record.cells] == [1, 2, 3, 4, 5]
    assert record.cells[2].first_line == "import matplotlib.pyplot as plt"
    assert 0 < sum(cell.seconds for cell in record.cells) <= record.wall_s
    assert record.peak_memory_mib["kernel"] > 20
    assert {"skysense-nb", "torch", "papermill"} <= set(record.packages)


def test_the_page_holds_its_pictures_and_asks_nobody_for_anything(make_notebook, tmp_path):
    widget = "import ipywidgets\nipywidgets.IntSlider(description='dates')"
    page = run(make_notebook(PICTURE, widget), out=tmp_path / "out", timeout_s=120).page.read_text()
    assert page.count('src="data:image/png;base64,') == 1
    assert "Interactive in JupyterLab" in page
    assert not re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", page)


def test_memory_is_the_kernels_own(make_notebook, tmp_path):
    size = 1200
    held = f"import time\nheld = bytearray({size} * 2**20)\nheld[::4096] = b'1' * len(held[::4096])\ntime.sleep(0.5)"
    small = run(make_notebook("1", name="small"), out=tmp_path / "out", timeout_s=120).record
    large = run(make_notebook(held, name="large"), out=tmp_path / "out", timeout_s=120).record
    difference = large.peak_memory_mib["kernel"] - small.peak_memory_mib["kernel"]
    assert size * 0.95 < difference < size * 1.3


def test_a_failing_cell_is_named_and_what_ran_is_kept(make_notebook, tmp_path):
    path = make_notebook(NUMBERS, "\nvalue = 1 / seed\n", "print('never')")
    with pytest.raises(FailedRun) as caught:
        run(path, {"rate": 1.0}, tmp_path / "out", timeout_s=120)
    folder = only_folder(tmp_path / "out")
    failure = read_record(folder).failure
    assert (failure.cell, failure.error, failure.message) == (4, "ZeroDivisionError", "division by zero")
    assert str(caught.value) == (
        "Expected 07_small to run to its end, got ZeroDivisionError in cell 4 (value = 1 / seed): division by zero. "
        f"See {folder / '07_small.html'}."
    )
    assert caught.value.run.record.status == "failed"
    assert caught.value.run.record.metrics == {"twice": 0.0}
    cells = nbformat.read(folder / "07_small.ipynb", as_version=4).cells
    assert [cell.metadata.papermill.status for cell in cells[3:]] == ["completed", "failed", "pending"]
    assert cells[4].source.strip() == failure.first_line
    assert "ZeroDivisionError" in (folder / "07_small.html").read_text()


def test_the_limit_holds_for_the_whole_notebook(make_notebook, tmp_path):
    nap = "import time; time.sleep(1.5)"
    with pytest.raises(FailedRun, match="got TimeoutError in cell [345] "):
        run(make_notebook(nap, nap, nap, nap, nap, nap), out=tmp_path / "out", timeout_s=3)
    record = read_record(only_folder(tmp_path / "out"))
    assert record.failure.message == "the notebook took longer than the limit of 3 s"
    assert [cell.index for cell in record.cells][-1] == record.failure.cell
    cells = nbformat.read(only_folder(tmp_path / "out") / "07_small.ipynb", as_version=4).cells
    assert cells[record.failure.cell].metadata.papermill.status == "failed"
    assert cells[record.failure.cell].outputs[-1].ename == "TimeoutError"
    assert cells[-1].metadata.papermill.status == "pending"


def test_many_short_cells_do_not_outlast_the_limit(make_notebook, tmp_path):
    nap = "import time; time.sleep(0.9)"
    with pytest.raises(FailedRun, match="longer than the limit of 2 s"):
        run(make_notebook(*[nap] * 12), out=tmp_path / "out", timeout_s=2)
    assert len(read_record(only_folder(tmp_path / "out")).cells) < 6


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
def test_what_is_no_limit_starts_nothing(make_notebook, tmp_path, limit):
    with pytest.raises(ParameterError, match="a limit in seconds above 0"):
        run(make_notebook("1"), out=tmp_path / "out", timeout_s=limit)
    assert not (tmp_path / "out").exists()


def test_a_notebook_that_leaves_in_the_middle_has_failed(make_notebook, tmp_path):
    with pytest.raises(FailedRun, match="SystemExit in cell 2 .import sys; sys.exit.0..: the cells behind it did not"):
        run(make_notebook("import sys; sys.exit(0)", NUMBERS), out=tmp_path / "out", timeout_s=120)


def test_leaving_in_the_last_cell_is_fine(make_notebook, tmp_path):
    assert run(make_notebook(NUMBERS, "import sys; sys.exit(0)"), out=tmp_path / "out", timeout_s=120).record.metrics


def test_what_a_killed_kernel_had_started_ends_with_it(make_notebook, tmp_path):
    path = tmp_path / "child"
    child = "import os, signal, subprocess\nchild = subprocess.Popen(['sleep', '300'])"
    child += f"\nopen({str(path)!r}, 'w').write(str(child.pid))"
    with pytest.raises(FailedRun, match="SIGKILL"):
        run(make_notebook(child, "os.kill(os.getpid(), signal.SIGKILL)"), out=tmp_path / "out", timeout_s=120)
    psutil.wait_procs([psutil.Process(int(path.read_text()))] if psutil.pid_exists(int(path.read_text())) else [], 5)
    assert not psutil.pid_exists(int(path.read_text()))


def test_a_kernel_that_dies_while_it_starts_leaves_a_record(make_notebook, tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("import os; os._exit(3)")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    with pytest.raises(FailedRun, match="Kernel died before replying"):
        run(make_notebook("1"), out=tmp_path / "out", timeout_s=120)
    assert read_record(only_folder(tmp_path / "out")).failure.cell is None


def test_braces_in_a_path_are_no_parameters(make_notebook, tmp_path):
    done = run(make_notebook(NUMBERS), {"seed": 3}, tmp_path / "o{seed}{1}", timeout_s=120)
    assert done.folder.parent.name == "o{seed}{1}" and done.record.metrics == {"twice": 6.0}


def test_a_dead_kernel_is_a_failure_of_the_right_cell(make_notebook, tmp_path):
    path = make_notebook(NUMBERS, "import os; os._exit(1)", "print('never')")
    with pytest.raises(FailedRun, match="got DeadKernelError in cell 3 .import os; os._exit.1..: the kernel died"):
        run(path, out=tmp_path / "out", timeout_s=120)
    record = read_record(only_folder(tmp_path / "out"))
    assert record.metrics == {"twice": 0.0}
    assert "DeadKernelError" in (only_folder(tmp_path / "out") / "07_small.html").read_text()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [({"sead": 1}, ParameterError), ({"seed": "1"}, ParameterError)],
)
def test_wrong_parameters_start_nothing(make_notebook, tmp_path, parameters, error):
    with pytest.raises(error):
        run(make_notebook(), parameters, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_here_starts_nothing(make_notebook, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = make_notebook(parameters='device: str = "auto"')
    with pytest.raises(EnvironmentProblem, match="Expected the device 'cuda'"):
        run(path, {"device": "cuda"}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be(make_notebook, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as caught:
        run(make_notebook(), out=tmp_path / "file")
    assert str(caught.value).startswith(f"Expected a writable folder at {tmp_path / 'file'}, got a file.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_an_output_folder_without_permission(make_notebook, tmp_path):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(RunError, match="Expected a writable folder at .*locked, got Permission denied"):
        run(make_notebook(), out=tmp_path / "locked")


def test_the_kernel_works_in_the_folder_of_the_run(make_notebook, tmp_path):
    done = run(make_notebook("open('made.txt', 'w').write('x')"), out=tmp_path / "out", timeout_s=120)
    assert (done.folder / "made.txt").read_text() == "x"


def test_a_record_that_is_none(tmp_path):
    (tmp_path / "record.json").write_text(json.dumps({"notebook": "x"}))
    with pytest.raises(RunError, match="Expected the record of a run at .*record.json"):
        read_record(tmp_path)


def test_a_kernel_that_dies_before_the_first_cell_is_started_again(make_notebook, tmp_path, monkeypatch):
    begin, tries, deaths = engine.PapermillNotebookClient.execute, [], 2

    def execute(client, **options):
        tries.append(client)
        if len(tries) <= deaths:
            raise RuntimeError("Kernel died before replying to kernel_info")
        begin(client, **options)

    monkeypatch.setattr(engine.PapermillNotebookClient, "execute", execute)
    done = run(make_notebook("print('here')"), out=tmp_path / "out", timeout_s=120)
    assert (done.record.status, len(tries)) == ("ok", 3)
    deaths = 9
    with pytest.raises(FailedRun, match="RuntimeError before the first cell: Kernel died before replying"):
        run(make_notebook("print('here')"), out=tmp_path / "out", timeout_s=120)
    assert len(tries) == 3 + engine.STARTS


def test_the_time_that_is_left_is_never_rounded_down():
    watch = engine.Watch(timeout_s=12.0)
    watch.began -= 0.6
    assert watch.left_s() == 12 and not watch.is_over
    watch.began -= 20
    assert watch.left_s() == 1 and watch.is_over
