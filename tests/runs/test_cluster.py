import pytest
from distributed import Client, LocalCluster

from skysense_nb.errors import RunError
from skysense_nb.runs.cluster import connect
from skysense_nb.runs.record import read_record
from skysense_nb.runs.series import Task, run_series


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client


def test_a_cluster_runs_a_series_and_a_lost_worker_costs_its_runs_only(make_notebook, tmp_path, client):
    flag = tmp_path / "lost"
    kill = f"""import os, pathlib, signal, time
if not pathlib.Path({str(flag)!r}).exists():
    pathlib.Path({str(flag)!r}).touch()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)"""
    sources = {
        "broken": "1 / seed",
        "lost": kill,
        "fine": "from skysense_nb.runs import report\nreport(twice=2 * seed)",
    }
    tasks = [Task(make_notebook(source, name=name)) for name, source in sources.items()]
    broken, lost, fine = (one.run.record for one in run_series(tasks, tmp_path / "out", client=client))
    assert (broken.failure.error, lost.status, fine.metrics) == ("ZeroDivisionError", "ok", {"twice": 0.0})
    folders = sorted((tmp_path / "out").glob("*/record.json"))
    assert [path.parent.name.split("-")[0] for path in folders] == ["broken", "fine", "lost", "lost"]
    told = [str(read_record(path).failure) for path in folders[2:]]
    assert sorted(told)[1].startswith("Stopped in cell 2 (import os, pathlib") and told.count("None") == 1
    assert sorted(told)[1].endswith("the worker that ran it was lost")
    again = run_series(tasks[1:], tmp_path / "out", client=client)
    assert [one.kept for one in again] == [True, True]


def test_nobody_at_the_address(monkeypatch):
    monkeypatch.setattr("skysense_nb.runs.cluster.CONNECT_S", 0.5)
    with pytest.raises(RunError, match="Expected a Dask scheduler at tcp://127.0.0.1:9"):
        connect("tcp://127.0.0.1:9")
