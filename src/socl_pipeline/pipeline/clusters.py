"""Where Dask's workers are: processes of this machine, jobs of SLURM, or a scheduler that runs.

Whatever the place, one worker process is one core: all threads inside are pinned to one.
"""

import logging
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import dask
from dask.distributed import Client, LocalCluster, WorkerPlugin

from socl_pipeline import __version__
from socl_pipeline.errors import InputError

PLACES = "none, processes, slurm, an address such as tcp://host:8786, or a scheduler file"
CONNECT_S = 20.0  # a scheduler that runs answers in milliseconds
WORKERS_S = 120.0  # ... but its first worker may still be importing from a network disk
STAGE_MB = 600  # the stage itself beside its workers, compiler and points table included
SLURM_CORE_MB = 1500  # asked from SLURM for a core, if Dask's configuration names no memory


# Each worker keeps an hour of its call stacks, and other logs for long: nobody looks at them here,
# and memory must be constant.
CONSTANT_MEMORY = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 1000,
    "distributed.admin.system-monitor.log-length": 120,
}


class OneThread(WorkerPlugin):
    """Pin OpenCV and numba to one thread; Dask does it for OpenMP and BLAS only."""

    name = "socl-one-thread"

    def setup(self, worker: Any) -> None:
        """Runs once in each worker process, before it imports what the tasks need."""
        os.environ["NUMBA_NUM_THREADS"] = "1"
        cv2.setNumThreads(1)


@contextmanager
def dask_client(place: str, workers: int, memory_mb: int | None = None) -> Iterator[Client]:
    """Give a client of Dask workers at a place; those that it started end with the block.

    place: `processes`, `slurm`, the address of a scheduler or the file that one has written.
    workers: how many to start; a scheduler that runs has its own. memory_mb: MiB that this stage
    and its worker processes share; without it each core has its share of the machine's.
    Raises InputError if the place is not known, does not answer or has no usable workers.
    """
    with dask.config.set(CONSTANT_MEMORY), _client(place, workers, memory_mb) as client:
        client.register_plugin(OneThread())
        yield client


@contextmanager
def _client(place: str, workers: int, memory_mb: int | None) -> Iterator[Client]:
    if place == "processes":
        with _local_cluster(workers, memory_mb) as cluster, Client(cluster) as client:
            yield client
    elif place == "slurm":
        with _slurm_cluster(workers) as cluster, Client(cluster) as client:
            yield client
    else:
        with _connect(place) as client:
            _check_workers(client, place)
            yield client


def _local_cluster(workers: int, memory_mb: int | None) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit="auto" if memory_mb is None else worker_bytes(memory_mb, workers),
        dashboard_address=None,
        # Dask serves its health pages even so: on a free port, to this machine only
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.ERROR,
    )


def worker_bytes(memory_mb: int, workers: int) -> int:
    """Return the bytes of each of `workers` processes beside a stage, of memory_mb MiB in all.

    Raises InputError if that is less than the stage itself takes.
    """
    if memory_mb <= STAGE_MB:
        raise InputError(
            f"--memory-mb {memory_mb}: too little, the stage itself takes {STAGE_MB}; give "
            f"{STAGE_MB + 700 * workers} for {workers} workers"
        )
    return (memory_mb - STAGE_MB) * 2**20 // workers


def _slurm_cluster(workers: int) -> Any:
    """Ask SLURM for jobs of one-thread workers, and again for those that end before the work."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise InputError(
            "--dask slurm needs dask-jobqueue: pip install -e '.[slurm]', or use --dask processes"
        ) from None
    if shutil.which("sbatch") is None:
        raise InputError(
            "--dask slurm: there is no sbatch here to ask SLURM for workers; run this on a node "
            "that may submit jobs, or use --dask processes"
        )
    cores = int(dask.config.get("jobqueue.slurm.cores", None) or 1)
    memory = dask.config.get("jobqueue.slurm.memory", None) or f"{SLURM_CORE_MB * cores}MiB"
    logs = dask.config.get("jobqueue.slurm.log-directory", None) or "work/dask_logs"
    prologue = dask.config.get("jobqueue.slurm.job-script-prologue", None) or []
    cluster = SLURMCluster(
        cores=cores,
        processes=cores,
        memory=memory,
        log_directory=str(Path(logs).resolve()),
        job_script_prologue=[*prologue, *_exports(CONSTANT_MEMORY)],
        silence_logs=logging.ERROR,
    )
    try:
        _check_job(cluster.job_script())
    except InputError:
        cluster.close()
        raise
    jobs = math.ceil(workers / cores)
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _exports(config: Mapping[str, Any]) -> list[str]:
    """Return shell lines that hand Dask settings to a worker that starts elsewhere."""
    names = {key: key.upper().replace(".", "__").replace("-", "_") for key in config}
    return [f"export DASK_{names[key]}={value}" for key, value in config.items()]


def _check_job(script: str) -> None:
    """Raise InputError if SLURM would refuse the workers' jobs: Dask would wait for ever."""
    command = ["sbatch", "--test-only"]
    result = subprocess.run(command, input=script, capture_output=True, text=True, timeout=100)
    if result.returncode:
        reason = " ".join(result.stderr.split())
        raise InputError(
            f"--dask slurm: SLURM refuses the jobs of the workers ({reason}); mend jobqueue.slurm "
            "in Dask's configuration"
        )


def _connect(place: str) -> Client:
    if Path(place).is_file():
        where = {"scheduler_file": place}
    elif "://" in place:
        where = {"address": place}
    else:
        raise InputError(f"--dask {place}: neither a place nor a file; expected {PLACES}")
    try:
        return Client(**where, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--dask {place}: no Dask scheduler answers there ({_first_line(error)}); start one "
            "with `dask scheduler`, or use --dask processes"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _check_workers(client: Client, place: str) -> None:
    """Raise InputError if a scheduler has no workers, or they lack this version of the package."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError:
        raise InputError(
            f"--dask {place}: the scheduler has no workers (waited {WORKERS_S:g} s); start some "
            "with `dask worker --nthreads 1` and its address"
        ) from None

    def version() -> str:  # nested, so that it travels by value: they may not have the package
        try:
            from socl_pipeline import __version__
        except ImportError:
            return "no socl_pipeline"
        return f"socl_pipeline {__version__}"

    found = client.run(version) | {"the scheduler": client.run_on_scheduler(version)}
    for where, has in found.items():
        if has != f"socl_pipeline {__version__}":
            raise InputError(
                f"--dask {place}: {where} has {has}, this is {__version__}; start scheduler and "
                "workers in the same environment as the stage"
            )
