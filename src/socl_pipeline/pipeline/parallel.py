"""Run many independent tasks on Dask workers: one-thread processes, a window of open tasks.

Each task writes its own piece to disk and returns a small receipt, so a killed run loses only
what was in flight and a restarted one asks only for the missing pieces.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import cv2
from dask.distributed import Client, LocalCluster, WorkerPlugin, as_completed

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.progress import Progress

logger = logging.getLogger(__name__)

TASKS_AHEAD = 4  # open tasks a worker: keeps workers busy without a graph of millions
Task = TypeVar("Task")
Receipt = TypeVar("Receipt")


class OneThread(WorkerPlugin):
    """Pin OpenCV to one thread; Dask does it for OpenMP and BLAS only."""

    def setup(self, worker: Any) -> None:
        """Runs once in each worker process."""
        cv2.setNumThreads(1)


@contextmanager
def _client(workers: int) -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            # Dask serves its health pages even so: on a free port, to this machine only
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.ERROR,
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(OneThread())
        yield client


def run_tasks(
    function: Callable[[Task], Receipt],
    tasks: Sequence[Task],
    *,
    workers: int,
    progress: Progress,
    size: Callable[[Task], int] = lambda task: 1,
) -> Iterator[Receipt]:
    """Yield the receipts of `function(task)` in the order of completion.

    workers: number of processes; 0 runs in this process. size: units of progress of a task.
    A task's own exception is raised here. A worker that dies is restarted and its tasks repeated;
    a task that kills its worker four times stops the run with an InputError that names it.
    """
    if workers == 0:
        for task in tasks:
            yield function(task)
            progress.advance(size(task))
        return
    if not tasks:
        return
    with _client(min(workers, len(tasks))) as client:
        pending = iter(tasks)
        open_tasks = {}
        queue = as_completed()

        def submit(count: int) -> None:
            for _, task in zip(range(count), pending, strict=False):
                future = client.submit(function, task, pure=False)
                open_tasks[future] = task
                queue.add(future)

        submit(TASKS_AHEAD * workers)
        for future in queue:
            task = open_tasks.pop(future)
            yield _result(future, task)
            progress.advance(size(task))
            submit(1)


def _result(future: Any, task: Any) -> Any:
    error = future.exception()
    if error is None:
        return future.result()
    if type(error).__name__ == "KilledWorker":
        raise InputError(f"a worker died four times on {task}; is there enough memory?")
    raise error
