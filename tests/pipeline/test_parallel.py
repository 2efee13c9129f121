"""Tasks on Dask workers. Functions are nested so that workers get them by value."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from socl_pipeline import faults
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline import clusters, parallel
from socl_pipeline.pipeline.parallel import TASKS_AHEAD, run_tasks
from socl_pipeline.pipeline.progress import Progress

TASKS = 25


@pytest.mark.parametrize("workers", [0, 2])
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
def test_an_exception_of_a_task_surfaces_and_is_all_that_is_said(workers, progress, capfd):
    def fail(task):
        from socl_pipeline.errors import InputError

        if task == 2:
            raise InputError("frame 2 is broken")
        return task

    with pytest.raises(InputError, match=r"^frame 2 is broken$"):
        list(run_tasks(fail, [1, 2, 3], workers=workers, progress=progress))
    assert "Traceback" not in capfd.readouterr().err, "of Dask's worker"


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


def test_everything_has_one_thread_in_workers(progress):
    def threads(task):
        import os

        import cv2

        names = ("OMP", "MKL", "OPENBLAS", "NUMBA")
        return [cv2.getNumThreads(), *(os.environ[f"{name}_NUM_THREADS"] for name in names)]

    assert list(run_tasks(threads, [0], workers=1, progress=progress)) == [[1, *"1111"]]


@pytest.fixture
def start(tmp_path):
    """A function that starts a Dask scheduler or worker by its command line; both end with us."""
    started = []
    common = ["--no-dashboard", "--scheduler-file", str(tmp_path / "scheduler.json")]

    def start(program, *arguments, package=None):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{program}", *common, *arguments],
            env=os.environ | ({"PYTHONPATH": str(package)} if package else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def scheduler(start, tmp_path):
    """A Dask scheduler that runs: `file`, `address` and `process`."""
    file = tmp_path / "scheduler.json"
    process = start("scheduler", "--port", "0", "--host", "127.0.0.1")
    wait_until(lambda: file.exists() and file.stat().st_size)
    return SimpleNamespace(
        file=str(file), address=json.loads(file.read_text())["address"], process=process
    )


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_scheduler_that_runs_survives_a_lost_worker_and_is_missed_when_it_goes(
    scheduler, start, tmp_path, monkeypatch, progress
):
    monkeypatch.setattr(clusters, "CONNECT_S", 2.0)
    workers = [start("worker", "--nthreads", "1", "--no-nanny") for _ in range(2)]

    def pid_of_worker(task):
        import os
        import time

        time.sleep(0.2)
        return task, os.getpid()

    receipts = run_tasks(
        pid_of_worker, range(12), workers=1, progress=progress, dask=scheduler.file
    )
    seen = [next(receipts)]
    os.kill(workers[0].pid, signal.SIGKILL)
    seen += receipts
    assert sorted(task for task, _ in seen) == list(range(12))
    assert {pid for _, pid in seen} <= {worker.pid for worker in workers}

    receipts = run_tasks(
        pid_of_worker, range(100), workers=1, progress=progress, dask=scheduler.address
    )
    next(receipts)
    os.kill(scheduler.process.pid, signal.SIGKILL)
    with pytest.raises(InputError, match="the Dask scheduler went away; finished shards are kept"):
        list(receipts)


def test_workers_without_this_version_of_the_package_are_named(
    scheduler, start, tmp_path, progress
):
    (tmp_path / "other/socl_pipeline").mkdir(parents=True)
    (tmp_path / "other/socl_pipeline/__init__.py").write_text('__version__ = "9.9"\n')
    start("worker", "--nthreads", "1", "--no-nanny", package=tmp_path / "other")
    with pytest.raises(InputError, match=r"tcp://.* has socl_pipeline 9\.9, this is "):
        list(run_tasks(str, [1], workers=1, progress=progress, dask=scheduler.address))


def test_a_scheduler_without_workers_is_named(scheduler, monkeypatch, progress):
    monkeypatch.setattr(clusters, "WORKERS_S", 0.2)
    with pytest.raises(InputError, match="the scheduler has no workers"):
        list(run_tasks(str, [1], workers=1, progress=progress, dask=scheduler.address))


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("tcp://127.0.0.1:9", r"--dask tcp://127\.0\.0\.1:9: no Dask scheduler answers there"),
        ("foo://127.0.0.1:9", r"--dask foo://127\.0\.0\.1:9: no Dask scheduler answers there"),
        ("proceses", r"--dask proceses: neither a place nor a file; expected none, processes"),
    ],
)
def test_a_place_that_is_not_there_is_one_sentence(place, sentence, monkeypatch, progress):
    monkeypatch.setattr(clusters, "CONNECT_S", 0.5)
    with pytest.raises(InputError, match=sentence) as caught:
        list(run_tasks(str, [1], workers=1, progress=progress, dask=place))
    assert "\n" not in str(caught.value)


def test_slurm_without_dask_jobqueue_is_one_sentence(monkeypatch, progress):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(InputError, match=r"needs dask-jobqueue: pip install"):
        list(run_tasks(str, [1], workers=1, progress=progress, dask="slurm"))


def test_slurm_where_there_is_none_is_one_sentence(monkeypatch, progress):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="there is no sbatch here"):
        list(run_tasks(str, [1], workers=1, progress=progress, dask="slurm"))


def test_jobs_that_slurm_refuses_are_one_sentence(tmp_path, monkeypatch, progress):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: no such queue' >&2\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"SLURM refuses .*\(sbatch: error: no such queue\); mend"):
        list(run_tasks(str, [1], workers=1, progress=progress, dask="slurm"))


def test_none_works_in_this_process(progress):
    def pid(task):
        return os.getpid()

    receipts = run_tasks(pid, [1, 2], workers=3, progress=progress, dask="none")
    assert list(receipts) == [os.getpid()] * 2


def test_a_worker_above_its_memory_is_restarted_and_its_task_repeated(tmp_path, progress):
    marker = str(tmp_path / "greedy")

    def eat_once(task):
        import time
        from pathlib import Path

        if not Path(marker).exists():
            Path(marker).touch()
            hoard = bytearray(2**30)
            time.sleep(60)
            return len(hoard)
        return task

    memory = clusters.STAGE_MB + 700
    receipts = run_tasks(eat_once, [5], workers=1, progress=progress, memory_mb=memory)
    assert list(receipts) == [5]
    with pytest.raises(InputError, match=r"--memory-mb 200: too little.* give 2000 for 2 workers"):
        clusters.worker_bytes(200, 2)


def test_a_task_that_hangs_is_given_to_another_worker(tmp_path, monkeypatch, progress):
    # not caplog: a LocalCluster silences the root logger's handlers
    warnings = []
    monkeypatch.setattr(parallel.logger, "warning", lambda text, *a: warnings.append(text % a))
    monkeypatch.setattr(parallel, "CHECK_S", 0.2)
    monkeypatch.setattr(parallel, "HANGS_S", 0.5)
    monkeypatch.setattr(parallel, "HANGS_TIMES", 2.0)
    marker = str(tmp_path / "hung")

    def hang_once(task):
        import time
        from pathlib import Path

        if task == "shard two" and not Path(marker).exists():
            Path(marker).touch()
            time.sleep(5)
        return task

    tasks = ["shard one", "shard two", "shard three"]
    receipts = run_tasks(hang_once, tasks, workers=2, progress=progress)
    assert sorted(receipts) == sorted(tasks)
    assert len(warnings) == 1
    assert re.fullmatch(
        r"shard two takes very long on tcp://\S+; it is also given to another worker", warnings[0]
    )


def test_a_disk_that_stutters_is_tried_again(monkeypatch, progress):
    monkeypatch.setattr(faults, "PAUSES_S", (0.0, 0.0))
    calls = []

    def stutter(task):
        calls.append(task)
        if len(calls) < 3:
            raise OSError(errno.ESTALE, "Stale file handle")
        return task

    assert list(run_tasks(stutter, ["a"], workers=0, progress=progress)) == ["a"]
    assert calls == ["a"] * 3


@pytest.mark.parametrize("error", [InputError("broken"), FileNotFoundError(errno.ENOENT, "no")])
def test_what_does_not_pass_by_itself_is_not_tried_again(error, monkeypatch, progress):
    monkeypatch.setattr(faults, "PAUSES_S", (0.0, 0.0))
    calls = []

    def fail(task):
        calls.append(task)
        raise error

    with pytest.raises(type(error)):
        list(run_tasks(fail, ["a"], workers=0, progress=progress))
    assert calls == ["a"]
