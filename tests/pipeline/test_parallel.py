"""Tasks on Dask workers. Functions are nested so that workers get them by value."""

import os

import pytest

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.parallel import TASKS_AHEAD, run_tasks
from socl_pipeline.pipeline.progress import Progress

TASKS = 25


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_receipt_once(workers):
    assert TASKS > 2 * TASKS_AHEAD, "more tasks than are open at a time"

    def square(task):
        import os

        return task, task**2, os.getpid()

    progress = Progress("test", TASKS, "units")
    receipts = list(
        run_tasks(square, range(TASKS), workers=workers, progress=progress, size=lambda t: t + 1)
    )
    assert sorted(r[:2] for r in receipts) == [(t, t**2) for t in range(TASKS)]
    assert progress.done == TASKS * (TASKS + 1) // 2
    processes = {r[2] for r in receipts}
    assert (os.getpid() in processes) == (workers == 0)
    assert len(processes) <= max(workers, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_tasks(workers, progress):
    assert list(run_tasks(str, [], workers=workers, progress=progress)) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_an_exception_of_a_task_surfaces(workers, progress):
    def fail(task):
        from socl_pipeline.errors import InputError

        if task == 2:
            raise InputError("frame 2 is broken")
        return task

    with pytest.raises(InputError, match=r"^frame 2 is broken$"):
        list(run_tasks(fail, [1, 2, 3], workers=workers, progress=progress))


def test_a_task_that_kills_its_worker_is_named(progress):
    def kill(task):
        import os

        os._exit(1)

    with pytest.raises(InputError, match="a worker died four times on shard seven"):
        list(run_tasks(kill, ["shard seven"], workers=1, progress=progress))


def test_a_worker_that_dies_once_costs_nothing(tmp_path, progress):
    marker = str(tmp_path / "died")

    def die_once(task):
        import os
        from pathlib import Path

        if task == 3 and not Path(marker).exists():
            Path(marker).touch()
            os._exit(1)
        return task

    receipts = run_tasks(die_once, range(6), workers=1, progress=progress)
    assert sorted(receipts) == list(range(6))


def test_opencv_has_one_thread_in_workers(progress):
    def threads(task):
        import cv2

        return cv2.getNumThreads()

    assert list(run_tasks(threads, [0], workers=1, progress=progress)) == [1]
