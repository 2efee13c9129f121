"""Work on all annotated frames in shards of the points table: the unit of a task and a restart."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pyarrow.parquet as pq

from socl_pipeline.annotation.table import FrameRow, frame_rows, read_point_rows, shard_ranges
from socl_pipeline.errors import InputError
from socl_pipeline.faults import disk_is_full
from socl_pipeline.memory import keep_freed_memory
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.parallel import run_tasks
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.status import disk_usage, format_bytes


class Frames(Protocol):
    """What a task works on: some annotated frames, which it can name."""

    def __len__(self) -> int:
        """Return their number."""


Shard = TypeVar("Shard", bound=Frames)


@dataclass(frozen=True)
class FrameShard:
    """The rows start to stop - 1 of a points table, and how to treat frames that are broken."""

    points: Path
    root: Path
    start: int
    stop: int
    skip_bad_frames: bool

    def __str__(self) -> str:
        return f"frames {self.start} to {self.stop - 1} of {self.points}"

    def rows(self) -> list[FrameRow]:
        """Read the shard's rows."""
        return frame_rows(read_point_rows(self.points, self.start, self.stop), self.root)

    def __len__(self) -> int:
        return self.stop - self.start


def frame_shards(job: Job, shard_frames: int) -> list[FrameShard]:
    """Cut the job's points table into shards."""
    points = job.input("points").resolve()
    root = job.dataset.root.resolve()
    skip = job.on_bad_frame == "skip"
    rows = pq.read_metadata(points).num_rows
    return [
        FrameShard(points, root, start, stop, skip)
        for start, stop in shard_ranges(rows, shard_frames)
    ]


def run_shards(
    job: Job,
    shards: list[Shard],
    is_done: Callable[[Shard], bool],
    work: Callable[[Shard], Any],
) -> None:
    """Run `work` on the shards that are not done, on the job's Dask workers, with progress.

    Both functions travel with each task: they must hold paths and numbers, not what lies there.
    Raises InputError if the disk is full, with an estimate of what is needed.
    """
    missing = [shard for shard in shards if not is_done(shard)]
    total = sum(map(len, shards))
    once = partial(_work_once, folder=Path.cwd(), is_done=is_done, work=work)
    how: dict[str, Any] = {"workers": job.workers, "dask": job.dask, "memory_mb": job.memory_mb}
    with Progress(job.stage.name, total, "frames", total - sum(map(len, missing))) as progress:
        try:
            for _ in run_tasks(once, missing, progress=progress, size=len, **how):
                pass
        except OSError as error:
            if not disk_is_full(error):
                raise
            raise InputError(_disk_full(job, progress.done, total)) from None


def _work_once(
    shard: Shard,
    folder: Path,
    is_done: Callable[[Shard], bool],
    work: Callable[[Shard], Any],
) -> None:
    """Do one shard, in the stage's working folder: paths of the config may be relative to it."""
    with contextlib.chdir(folder):
        if not is_done(shard):  # a worker may have died between its last byte and its receipt
            keep_freed_memory()
            work(shard)


def _disk_full(job: Job, done: int, total: int) -> str:
    folder = job.cache / job.stage.name / job.recipe.key
    used = disk_usage(folder)
    need = (
        f"the {done} of {total} frames that are done take {format_bytes(used)}, so about "
        f"{format_bytes(used / done * (total - done))} more are needed"
        if done
        else "not even the first frames fit"
    )
    return (
        f"{folder}: the disk is full; {need}; free space and run the same command again, what is "
        "finished is kept"
    )
