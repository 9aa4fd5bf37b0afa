"""Many runs into one folder: side by side, each on its own, and never the same one twice.

What is finished is told by the folders of the runs themselves, so a series that was stopped in any way goes on when
it is called again. A notebook that was edited meanwhile runs again, and so does a run that failed.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from skysense_nb.errors import ParameterError, RunError, SkySenseError, writable
from skysense_nb.runs.leftovers import close, close_leftovers
from skysense_nb.runs.library import find_notebook, source_checksum
from skysense_nb.runs.parameters import check_parameters
from skysense_nb.runs.preparation import UNFINISHED, check_limit, device_name, prepare
from skysense_nb.runs.processes import OwnProcesses
from skysense_nb.runs.record import Record, read_record
from skysense_nb.runs.runner import Run

if TYPE_CHECKING:
    from distributed import Client

    from skysense_nb.runs.cluster import OnCluster

WANTED = "series.json"

Identity = tuple[str, str]
"""Key of notebook and parameters, checksum of the notebook's source."""


@dataclass(frozen=True)
class Task:
    """One notebook with the parameters that differ from its defaults."""

    notebook: str | Path
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        task: The task.
        run: Its run, finished or failed.
        kept: Whether it was finished before this call.
    """

    task: Task
    run: Run
    kept: bool = False


def run_series(
    tasks: Iterable[Task],
    out: str | Path = "runs",
    *,
    jobs: int = 1,
    timeout_s: float = 3600,
    on_change: Callable[[Outcome], None] = lambda outcome: None,
    client: Client | None = None,
) -> list[Outcome]:
    """Runs what is not finished yet, and leaves the rest alone.

    Args:
        tasks: What is wanted; the same task twice counts once.
        out: Folder that gets a folder per run, and `series.json`, which lists what is wanted.
        jobs: How many run at a time. Each gets its share of the cores unless `OMP_NUM_THREADS` is set.
        timeout_s: Limit for each notebook in seconds.
        on_change: Called with every outcome as soon as it is known.
        client: Of a Dask cluster that runs them instead, one per thread of its workers.

    Returns:
        An outcome for every task, in their order. A failed run is an outcome like any other.

    Raises:
        ParameterError: A task that cannot be; nothing has started.
        EnvironmentProblem: A device that is not here; nothing has started.
        RunError: `out` cannot be written, or another series is under way there; or a script that is not kept from
            being run by its own processes.

    Example:
        >>> run_series([Task("00"), Task("01", {"seed": 1})], jobs=2)    # doctest: +SKIP
    """
    if jobs < 1:
        raise ParameterError.of("at least one job", f"{jobs}", "Ask for one or more.")
    check_limit(timeout_s)
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a run's process reads the script first
        fix = "Put the call under it."
        raise RunError.of('a script that begins runs under if __name__ == "__main__":', "one without", fix)
    wanted = {identity(task): task for task in tasks}
    with alone(Path(out).resolve()) as folder:
        write_wanted(folder / WANTED, wanted)
        close_leftovers(folder)
        finished = finished_runs(folder)
        outcomes = {name: Outcome(task, finished[name], kept=True) for name, task in wanted.items() if name in finished}
        for outcome in outcomes.values():
            on_change(outcome)

        def tell(name: Identity, run: Run) -> None:
            outcomes[name] = Outcome(wanted[name], run)
            on_change(outcomes[name])

        missing = {name: task for name, task in wanted.items() if name not in finished}
        carry_all(missing, folder, carrier(client, jobs, timeout_s), tell)
    return [outcomes[name] for name in wanted]


def identity(task: Task) -> Identity:
    """What makes two runs the same one: the key of notebook and parameters, and the notebook's source.

    Raises:
        ParameterError: Unknown notebook, unknown parameter, wrong type.
        EnvironmentProblem: The parameter `device` names one that is not here.
    """
    source = find_notebook(task.notebook)
    complete = check_parameters(source, task.parameters)
    device_name(complete.get("device") or "auto")
    return key(source.stem, complete), source_checksum(source)


def key(notebook: str, parameters: dict[str, Any]) -> str:
    """Short stable name of a notebook with all its parameters.

    Example:
        >>> key("07_small", {"seed": 1})
        '07_small-a4bbadc1'
    """
    text = json.dumps(parameters, sort_keys=True)
    return f"{notebook}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def alone(out: Path) -> Iterator[Path]:
    """Makes the folder of a series, and refuses a second one in it.

    Raises:
        RunError: It cannot be written, or another series is under way.
    """
    lock = FileLock(out / ".series.lock", timeout=0)
    with writable(out, RunError):
        try:
            lock.acquire()
        except Timeout as error:
            fix = "Wait for it, or choose another folder."
            raise RunError.of(f"one series in {out}", "another one that is under way", fix) from error
    try:
        yield out
    finally:
        lock.release()


def write_wanted(path: Path, wanted: dict[Identity, Task]) -> None:
    """Lists what is wanted, for whoever looks on."""
    tasks = [
        {"key": name, "notebook": find_notebook(task.notebook).stem, "parameters": task.parameters}
        for (name, _), task in wanted.items()
    ]
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"tasks": tasks}, indent=2) + "\n", encoding="utf-8")
    os.replace(beside, path)


def finished_runs(out: Path) -> dict[Identity, Run]:
    """Runs in a folder that ended well, by what they are; the newest of those that are the same."""
    found = {}
    for path in sorted(out.glob("*/record.json")):
        record = readable(path)
        if record and record.status == "ok" and path.parent.suffix != UNFINISHED:
            found[key(record.notebook, record.parameters), record.source_sha256] = Run(path.parent, record)
    return found


def readable(path: Path) -> Record | None:
    """A record, None where a file of this name is something else."""
    try:
        return read_record(path)
    except RunError:
        return None


def carrier(client: Client | None, jobs: int, timeout_s: float) -> OwnProcesses | OnCluster:
    """Who carries the runs out: processes here, or the workers of a cluster."""
    if client is None:
        return OwnProcesses(jobs, timeout_s)
    from skysense_nb.runs.cluster import OnCluster

    return OnCluster(client, timeout_s)


def carry_all(
    missing: dict[Identity, Task], out: Path, carry: OwnProcesses | OnCluster, tell: Callable[[Identity, Run], None]
) -> None:
    """Has tasks carried out, several at a time, and tells of each as it ends. An interruption ends those under way.

    Raises:
        SkySenseError: What kept a task from being begun, after all others have ended.
    """
    trouble = None
    pool = ThreadPoolExecutor(carry.jobs)
    futures = {pool.submit(attempt, task, out, carry): name for name, task in missing.items()}
    try:
        for future in as_completed(futures):
            try:
                tell(futures[future], future.result())
            except SkySenseError as error:
                trouble = error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        carry.stop()
        pool.shutdown()
    if trouble:
        raise trouble


def attempt(task: Task, out: Path, carry: OwnProcesses | OnCluster) -> Run:
    """Carries out a task, once more where a worker of a cluster was lost.

    Raises:
        RunError: A worker that counts as lost is still at work.
    """
    for _ in range(carry.tries):
        prepared = prepare(task.notebook, task.parameters, out)
        trouble = carry(prepared)
        if trouble is None:
            return Run(prepared.finished, read_record(prepared.finished))
        run = close(prepared.folder, trouble)
        if run is None:
            raise RunError.of("nobody at work in a lost run", str(prepared.folder), "Call the series again later.")
        if carry.stopped:
            break
    return run
