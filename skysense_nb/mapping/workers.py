"""The work of many processes: Dask workers that each load the model once and keep pieces in one folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from skysense_nb.errors import ParameterError, RunError
from skysense_nb.mapping.job import Job, named
from skysense_nb.mapping.ledger import Ledger
from skysense_nb.models.digest import weights_digest
from skysense_nb.models.inference import InferenceModel
from skysense_nb.models.multimodal import MultiModalModel

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(2**29), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
"""Dask has glibc give back every freed 64 KiB; maps of features then cost more page faults than arithmetic."""

LOADED: dict[str, MultiModalModel] = {}
"""In a worker: the model it works with, under its name and digest."""


def local_cluster(workers: int) -> LocalCluster:
    """Processes on this machine, one thread each, that nobody else can reach; close it after use.

    Example:
        >>> with local_cluster(2) as cluster, Client(cluster) as client:                # doctest: +SKIP
        ...     map_scene(region, loader, product, "runs/region", client=client)
    """
    from distributed import LocalCluster

    here = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    return LocalCluster(n_workers=workers, threads_per_worker=1, env=ALLOCATOR, silence_logs="ERROR", **here)


def model_of(model: MultiModalModel | Callable[[], MultiModalModel]) -> MultiModalModel:
    """The model, loaded if it is a function that loads it.

    Raises:
        ParameterError: An inference form, which a map makes for itself.
    """
    if isinstance(model, InferenceModel):
        raise ParameterError.of("a model, or a function that loads one", "an inference form", "Pass the model itself.")
    return model if isinstance(model, MultiModalModel) else model()


def compute_on(client: Client, job: Job, ledger: Ledger, todo: list[int]) -> Iterator[int]:
    """Shares pieces among the workers of a cluster; yields their numbers as they are kept.

    A piece of a worker that is lost goes to another one. On GPU machines start one worker per GPU and pass a function
    that loads the model onto it.
    """
    from distributed import as_completed

    shared = client.scatter(job, broadcast=True)
    futures = client.map(
        compute_in_worker, todo, job=shared, ledger=ledger, pure=False, key=f"tiles of {ledger.folder}"
    )
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        client.cancel(futures)


def compute_in_worker(number: int, job: Job, ledger: Ledger) -> int:
    """One piece, read, computed and kept."""
    model = loaded_once(job, ledger.identity["model"])
    ledger.write(number, job.compute(job.read(number, model), model), job.product.kept_dtype)
    return number


def loaded_once(job: Job, wanted: str) -> MultiModalModel:
    """The model of a run, loaded when this worker first meets it.

    Raises:
        RunError: The worker has other weights than the run began with.
    """
    if wanted not in LOADED:
        model = model_of(job.model)
        if (got := named(model, weights_digest(model))) != wanted:
            fix = "Let the function load the same file everywhere, or seed it."
            raise RunError.of(f"{wanted} in every worker", got, fix)
        LOADED.clear()
        LOADED[wanted] = model
    return LOADED[wanted]
