"""How cells are executed: papermill's client with one clock for the whole notebook and an eye on the kernel.

papermill alone limits each cell (or nothing), and after a time-out or a dead kernel its notebook says
that every cell completed. The `Watch` keeps what really happened.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from nbclient.exceptions import CellTimeoutError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines

ENGINE = "skysense"
POLL_S = 0.05
OUTPUT_S = 120
"""How long the outputs of a cell that has ended may still take to come: tens of thousands of lines do."""

STARTS = 3
"""How often a kernel is started that dies before the first cell, as where another program takes its port meanwhile."""


@dataclass
class Watch:
    """What happened while a notebook ran.

    Attributes:
        timeout_s: Limit for the whole notebook in seconds.
        cell: Position of the code cell that started last, None before the first.
        running: Whether that cell has not ended yet.
        seconds: Wall time per code cell that started, by position.
        kernel_peak_mib: Largest resident size of the kernel and its children.
        kernel: The kernel's process.
    """

    timeout_s: float
    cell: int | None = None
    running: bool = False
    seconds: dict[int, float] = field(default_factory=dict)
    kernel_peak_mib: float = 0.0
    kernel: subprocess.Popen | None = None
    began: float = field(default_factory=time.monotonic)
    cell_began: float = 0.0

    def left_s(self, cell: Any = None) -> int:
        """Seconds until the limit, rounded up; at least one, because zero means no limit to the client."""
        return max(1, math.ceil(self.timeout_s - (time.monotonic() - self.began)))

    @property
    def is_over(self) -> bool:
        """Whether the limit has been reached."""
        return time.monotonic() - self.began >= self.timeout_s

    def on_execute(self, cell: Any, cell_index: int) -> None:
        """Called by the client before a code cell goes to the kernel.

        Raises:
            CellTimeoutError: No time is left for it.
        """
        if self.is_over:
            raise CellTimeoutError("no time is left")
        self.cell, self.running, self.cell_began = cell_index, True, time.monotonic()

    def on_executed(self, **reply: Any) -> None:
        """Called by the client when a code cell has ended, well or badly."""
        if self.running:
            self.seconds[self.cell] = time.monotonic() - self.cell_began
            self.running = False

    def end_children(self) -> None:
        """Ends what the kernel's cells started and left behind; the kernel leads their group."""
        if self.kernel is not None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.kernel.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def memory(self, client: PapermillNotebookClient) -> Iterator[None]:
        """Polls the kernel's resident size until the block ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self.poll, args=(client, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def poll(self, client: PapermillNotebookClient, stop: threading.Event) -> None:
        """Body of the polling thread."""
        while not stop.wait(POLL_S):
            self.kernel = getattr(getattr(client.km, "provisioner", None), "process", None) or self.kernel
            if self.kernel is not None:
                self.kernel_peak_mib = max(self.kernel_peak_mib, resident_mib(self.kernel.pid))


def last_words(exit_code: int) -> str:
    """How a process came to its end: its exit code, or the signal that ended it as a negative number.

    Example:
        >>> last_words(-9)
        'was killed by SIGKILL, as the system does when memory runs out'
    """
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    name = next((one.name for one in signal.Signals if one == -exit_code), f"signal {-exit_code}")
    return f"was killed by {name}" + (", as the system does when memory runs out" if name == "SIGKILL" else "")


def resident_mib(pid: int) -> float:
    """Resident size of a process and its children in MiB, 0 once it is gone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total / 2**20


def kernel_environment() -> dict[str, str]:
    """Environment of the kernel: ours, without a matplotlib backend that would swallow the figures."""
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return {"OMP_WAIT_POLICY": "PASSIVE", **inherited}


class WatchedEngine(Engine):
    """papermill engine that reports to a `Watch`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, watch: Watch, folder: Path, **ignored: Any
    ) -> None:
        """Executes the notebook with `folder` as its working directory; the client's exceptions pass through."""
        for left in reversed(range(STARTS)):
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                extra_arguments=["--log-level=CRITICAL"],  # it warns of its own loopback socket on every start
                timeout_func=watch.left_s,
                iopub_timeout=OUTPUT_S,
                on_cell_execute=watch.on_execute,
                on_cell_executed=watch.on_executed,
            )
            with watch.memory(client):
                try:
                    client.execute(env=kernel_environment(), cwd=str(folder))
                    return
                except RuntimeError:
                    if watch.cell is not None or not left:
                        raise
                finally:
                    watch.end_children()


logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of parameters whose annotation it cannot read
papermill_engines.register(ENGINE, WatchedEngine)
