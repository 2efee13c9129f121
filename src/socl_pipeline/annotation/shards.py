"""Work on all annotated frames in shards of the points table: the unit of a task and a restart."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from socl_pipeline.annotation.table import FrameRow, frame_rows, read_point_rows, shard_ranges
from socl_pipeline.pipeline.parallel import run_tasks
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job


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
    shards: list[FrameShard],
    is_done: Callable[[FrameShard], bool],
    work: Callable[[FrameShard], Any],
) -> None:
    """Run `work` on the shards that are not done, on the job's Dask workers, with progress."""
    missing = [shard for shard in shards if not is_done(shard)]
    total = sum(map(len, shards))
    with Progress(job.stage.name, total, "frames", total - sum(map(len, missing))) as progress:
        for _ in run_tasks(work, missing, workers=job.workers, progress=progress, size=len):
            pass
