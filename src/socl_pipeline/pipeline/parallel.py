"""Run many independent tasks on Dask workers, with a window of open tasks.

Each task writes its own piece to disk and returns a small receipt, so a killed run loses only
what was in flight and a restarted one asks only for the missing pieces. Two workers may write the
same piece: the bytes are the same and appear at once.
"""

import logging
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from dask.distributed import Client, Future, KilledWorker, wait

from socl_pipeline.errors import InputError
from socl_pipeline.faults import retried
from socl_pipeline.pipeline.clusters import dask_client
from socl_pipeline.pipeline.progress import Progress

logger = logging.getLogger(__name__)

TASKS_AHEAD = 4  # open tasks a worker: keeps workers busy without a graph of millions
CHECK_S = 30.0  # between looks for tasks that hang
HANGS_S, HANGS_TIMES = 600.0, 10.0  # a task hangs after both: this long, and so many medians
Task = TypeVar("Task")
Receipt = TypeVar("Receipt")


def run_tasks(
    function: Callable[[Task], Receipt],
    tasks: Sequence[Task],
    *,
    workers: int,
    progress: Progress,
    size: Callable[[Task], int] = lambda task: 1,
    dask: str = "processes",
    memory_mb: int | None = None,
) -> Iterator[Receipt]:
    """Yield the receipts of `function(task)` in the order of completion.

    workers: number of processes; 0 runs in this process, as dask="none" does. size: units of
    progress of a task. dask, memory_mb: where the workers are, see `clusters.dask_client`.
    A task's own exception is raised here; transient ones of the disk are tried again first. The
    tasks of a worker that dies are repeated on another, a task that hangs is also given to
    another. Raises InputError for a task that kills its worker four times, which it names, and
    for a scheduler that goes away.
    """
    if not tasks:
        return
    if workers == 0 or dask == "none":
        for task in tasks:
            yield _attempt(task, function)
            progress.advance(size(task))
        return
    with dask_client(dask, min(workers, len(tasks)), memory_mb) as client:
        open_tasks = _OpenTasks(client, partial(_receipt_or_error, function=function))
        pending = iter(tasks)
        open_tasks.submit(islice(pending, TASKS_AHEAD * max(workers, len(client.nthreads()))))
        while open_tasks:
            for task, receipt in open_tasks.finished():
                yield receipt
                progress.advance(size(task))
                open_tasks.submit(islice(pending, 1))


def _attempt(task: Any, function: Callable[[Any], Any]) -> Any:
    return retried(lambda: function(task))


def _receipt_or_error(task: Any, function: Callable[[Any], Any]) -> Any:
    """Return a task's receipt, or its InputError: what a task raises Dask logs with a traceback."""
    try:
        return _attempt(task, function)
    except InputError as error:
        return error


@dataclass
class _Submission:
    """A task, when it was submitted, and the futures that work on it: two if the first hangs."""

    task: Any
    start: float
    futures: list[Future]
    warned: bool = False


class _OpenTasks:
    """The tasks that Dask has been given and has not answered."""

    def __init__(self, client: Client, function: Callable[[Any], Any]) -> None:
        self._client, self._function = client, function
        self._open: dict[Future, _Submission] = {}
        self._durations: list[float] = []
        self._last_check = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._open)

    def submit(self, tasks: Iterator[Any]) -> None:
        """Hand over tasks."""
        for task in tasks:
            future = self._client.submit(self._function, task, pure=False)
            self._open[future] = _Submission(task, time.monotonic(), [future])

    def finished(self) -> Iterator[tuple[Any, Any]]:
        """Wait a while, and yield tasks that have come to an end with their receipts."""
        try:
            done = wait(list(self._open), timeout=CHECK_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            done = set()
        except CancelledError:
            raise _scheduler_lost() from None
        for future in done:
            if future in self._open:  # not the second answer of a task that was given out twice
                yield self._take(future)
        if time.monotonic() - self._last_check >= CHECK_S:
            self._last_check = time.monotonic()
            self._look_after_slow_tasks()

    def _take(self, future: Future) -> tuple[Any, Any]:
        submission = self._open[future]
        receipt = _result(future, submission.task)
        self._durations.append(time.monotonic() - submission.start)
        for other in submission.futures:
            del self._open[other]
            if other is not future:
                other.cancel()
        return submission.task, receipt

    def _look_after_slow_tasks(self) -> None:
        """Warn if there are no workers, and give tasks that hang to a second one."""
        workers = list(self._client.nthreads())
        if not workers:
            logger.warning("there is no Dask worker now; waiting for one (SLURM: see squeue)")
        if not workers or not self._durations:
            return
        limit = max(HANGS_S, HANGS_TIMES * statistics.median(self._durations))
        old = [s for s in self._open.values() if time.monotonic() - s.start > limit]
        for submission in old:
            if not submission.warned:
                self._repeat(submission, workers)

    def _repeat(self, submission: _Submission, workers: list[str]) -> None:
        key = submission.futures[0].key
        at = [w for w, keys in self._client.processing().items() if key in keys]
        others = [worker for worker in workers if worker not in at]
        submission.warned = True
        logger.warning(
            "%s takes very long%s%s",
            submission.task,
            f" on {', '.join(at)}" if at else "",
            "; it is also given to another worker" if others else "",
        )
        if others:
            again = self._client.submit(self._function, submission.task, pure=False, workers=others)
            submission.futures.append(again)
            self._open[again] = submission


def _result(future: Future, task: Any) -> Any:
    try:
        error = future.exception()
    except CancelledError:
        raise _scheduler_lost() from None
    if error is None:
        receipt = future.result()
        if isinstance(receipt, InputError):
            raise receipt
        return receipt
    if isinstance(error, KilledWorker):
        raise InputError(f"a worker died four times on {task}; is there enough memory?")
    raise error


def _scheduler_lost() -> InputError:
    return InputError(
        "the Dask scheduler went away; finished shards are kept, so run the same command again"
    )
