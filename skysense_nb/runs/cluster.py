"""A Dask cluster for the runs of a series: workers that see the same folders carry them out."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

from skysense_nb.errors import RunError
from skysense_nb.runs.preparation import LOCK, Prepared
from skysense_nb.runs.runner import FailedRun, carry_out

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10


class OnCluster:
    """Carries out runs of a series on the workers of a cluster, in fresh kernels beside them.

    A run whose worker is lost is tried once more, in a folder of its own.

    Args:
        client: Of the cluster.
        timeout_s: Limit for each notebook in seconds.

    Raises:
        RunError: The cluster has no workers.
    """

    tries = 2

    def __init__(self, client: Client, timeout_s: float) -> None:
        self.client, self.timeout_s = client, timeout_s
        self.jobs = sum(client.nthreads().values())
        if not self.jobs:
            raise RunError.of("a cluster with workers", "none", "Start some with `dask worker`.")
        self.stopped, self.running, self.lock = False, set(), threading.Lock()

    def __call__(self, prepared: Prepared) -> str | None:
        """Waits for a run to end; returns what happened to its worker if that did not live to see it."""
        with self.lock:
            if self.stopped:
                return "interrupted"
            future = self.client.submit(work, prepared, self.timeout_s, pure=False)
            self.running.add(future)
        try:
            error = future.exception()
        except CancelledError:
            return "interrupted"
        finally:
            self.running.discard(future)
        return future.result() if error is None else f"its worker failed with {type(error).__name__}: {error}"

    def stop(self) -> None:
        """Starts nothing more. What runs on a worker comes to its end there, and counts at the next call."""
        with self.lock:
            self.stopped = True
            self.client.cancel(list(self.running))


def work(prepared: Prepared, timeout_s: float) -> str | None:
    """What a worker does: carries out a run, unless one that was lost had begun with it.

    Dask also asks again for a run that has ended, where the worker that ran it is lost afterwards.
    """
    if prepared.finished.exists():
        return None
    if (prepared.folder / LOCK).exists():
        return "the worker that ran it was lost"
    with contextlib.suppress(FailedRun):
        carry_out(prepared, timeout_s=timeout_s)
    return None


def connect(address: str) -> Client:
    """A client of the cluster whose scheduler is at `address`, as `tcp://host:8786`.

    Raises:
        RunError: Nobody answers there.
    """
    from distributed import Client

    try:
        return Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        fix = "Start one with `dask scheduler`, and workers with `dask worker`."
        raise RunError.of(f"a Dask scheduler at {address}", str(error) or "no answer", fix) from error
