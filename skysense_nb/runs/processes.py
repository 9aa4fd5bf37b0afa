"""A process of its own for each run of a series, so that none takes another one along, or the whole series.

The processes are forked from one server that has papermill, nbconvert and torch imported already: several seconds
less per notebook. The kernel is a fresh process in any case.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

import psutil

from skysense_nb.runs.engine import last_words
from skysense_nb.runs.preparation import Prepared
from skysense_nb.runs.runner import FailedRun, carry_out

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([FailedRun.__module__, "torch"])


class OwnProcesses:
    """Carries out runs of a series on this machine, each in its own process.

    Args:
        jobs: How many run at a time; they share the processor's cores.
        timeout_s: Limit for each notebook in seconds.
    """

    tries = 1

    def __init__(self, jobs: int, timeout_s: float) -> None:
        self.jobs, self.timeout_s = jobs, timeout_s
        self.threads = max(1, (os.cpu_count() or 1) // jobs)
        self.stopped, self.running, self.lock = False, set(), threading.Lock()

    def __call__(self, prepared: Prepared) -> str | None:
        """Waits for a run to end; returns what happened to its process if it did not live to see that."""
        environment = {"OMP_NUM_THREADS": str(self.threads), **os.environ}
        process = CONTEXT.Process(target=work, args=(prepared, self.timeout_s, environment), daemon=True)
        with self.lock:
            if self.stopped:
                return "interrupted"
            process.start()
            self.running.add(process)
        process.join()
        self.running.discard(process)
        if prepared.finished.exists():
            return None
        return "interrupted" if self.stopped else f"its process {last_words(process.exitcode)}"

    def stop(self) -> None:
        """Interrupts what runs and starts nothing more."""
        with self.lock:
            self.stopped = True
            for process in list(self.running):  # those that end meanwhile leave it
                process.terminate()


def work(prepared: Prepared, timeout_s: float, environment: dict[str, str]) -> None:
    """Body of a process: carries out one run; SIGTERM interrupts it, so that it still writes its record.

    A terminal sends Ctrl-C to every process at once, and only the one that started the series may answer.
    """
    os.environ.update(environment)  # the fork server's own is from when it started
    threading.Thread(target=die_with_the_series, daemon=True).start()
    signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which the kernel would inherit
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(FailedRun, KeyboardInterrupt):
        carry_out(prepared, timeout_s=timeout_s)


def die_with_the_series() -> None:
    """Waits until the process that started the series is gone, then ends the kernel and this process.

    The kernel looks after itself when this process is killed: it ends once its parent is another one.
    """
    wait([multiprocessing.parent_process().sentinel])
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    os._exit(1)
