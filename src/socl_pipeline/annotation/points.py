"""Stage `points`: one row per annotated frame, with its click and, on some frames, its box."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from socl_pipeline.annotation.clicks import noisy_points, sample_frames, sample_videos
from socl_pipeline.boxes import centers
from socl_pipeline.datasets.video import Problem, Video, file_size
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.settings import PointSettings

logger = logging.getLogger(__name__)

# Rows to a Parquet row group: a shard of frames reads one or two of them. Of 1.4 M rows that
# takes 15 ms instead of 0.5 s for one group of them all.
ROW_GROUP = 1 << 15

SCHEMA = pa.schema(
    [
        pa.field("video", pa.dictionary(pa.int32(), pa.string()), metadata={"unit": "name"}),
        pa.field("frame", pa.int32(), metadata={"unit": "0-based index in the video"}),
        pa.field("path", pa.string(), metadata={"unit": "relative to the dataset's root"}),
        pa.field("bytes", pa.int64(), metadata={"unit": "size of the file"}),
        pa.field("width", pa.int32(), metadata={"unit": "px"}),
        pa.field("height", pa.int32(), metadata={"unit": "px"}),
        pa.field("x", pa.float32(), metadata={"unit": "px, 0-based"}),
        pa.field("y", pa.float32(), metadata={"unit": "px, 0-based"}),
        *(
            pa.field(f"box_{c}", pa.float32(), metadata={"unit": "px, null without a box"})
            for c in "xywh"
        ),
    ]
)


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write the points table of a dataset; returns counts, cost and what was left out."""
    dataset = job.dataset
    settings = job.config.dataset(job.names["dataset"]).points
    names = dataset.names()
    videos: list[Video] = []
    problems: list[Problem] = []
    with Progress("points", len(names), "videos") as progress:
        for name in names:
            try:
                video = dataset.read(name)
                videos.append(video)
                problems += video.problems
            except InputError as error:
                problems.append(Problem(name, None, str(error)))
            progress.advance()
    _report_problems(problems, fail=job.on_bad_frame == "fail")
    table = points_table(videos, settings, dataset.root)
    if not table.num_rows:
        raise InputError(f"{dataset.root}: no frame is left to annotate; look at the settings")
    with atomic_path(path) as temporary:
        plain = table.replace_schema_metadata(job.recipe.metadata())
        pq.write_table(plain, temporary, row_group_size=ROW_GROUP)
    return {
        "videos": len(table["video"].unique()),
        "frames": table.num_rows,
        "boxes": table.num_rows - table["box_x"].null_count,
        "annotation_hours": round(table.num_rows * settings.seconds_per_frame / 3600, 3),
        "skipped": [vars(p) for p in problems],
        # how the table came about is not part of it: equal rows leave what follows as it is
        "digest": table_digest(table),
    }


def points_table(videos: list[Video], settings: PointSettings, root: Path) -> pa.Table:
    """Return the points of the annotated frames as a table of SCHEMA.

    A frame is annotated if its target is present and nothing is wrong with it. The click is the
    dataset's own, or else the centre of its box; noise is added to either.
    """
    usable = {v.name: sample_frames(_usable(v), settings.frame_fraction) for v in videos}
    chosen = sample_videos(
        [v.name for v in videos],
        [len(usable[v.name]) for v in videos],
        count=settings.videos,
        hours=settings.hours,
        seconds_per_frame=settings.seconds_per_frame,
        seed=settings.seed,
    )
    chosen_set = set(chosen)
    batches = [
        _video_rows(v, usable[v.name], settings, root) for v in videos if v.name in chosen_set
    ]
    return pa.Table.from_batches(batches, SCHEMA).unify_dictionaries()


def table_digest(table: pa.Table) -> str:
    """Return a hash of a table's rows, whatever its metadata."""
    sink = pa.BufferOutputStream()
    plain = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return hashlib.sha256(sink.getvalue()).hexdigest()


def _usable(video: Video) -> np.ndarray:
    """Return the indices of frames with a click or a box and without a problem."""
    has_click = ~np.isnan(video.points[:, 0]) | ~np.isnan(video.boxes[:, 0])
    bad = [p.frame for p in video.problems if p.frame is not None]
    has_click[bad] = False
    return np.flatnonzero(has_click & ~video.absent)


def _video_rows(
    video: Video, frames: np.ndarray, settings: PointSettings, root: Path
) -> pa.RecordBatch:
    clicks = np.where(np.isnan(video.points), centers(video.boxes), video.points)
    points = noisy_points(clicks, settings.noise_px, settings.seed, video.name)
    points = np.clip(points, 0, [video.width, video.height])[frames]
    has_box = ~np.isnan(video.boxes[frames, 0])
    if np.isnan(video.points).all():  # clicks simulated from boxes: keep only the sparse ones
        has_box &= np.arange(len(frames)) % settings.sparse_box_every == 0
    boxes = video.boxes[frames]
    columns = [
        pa.DictionaryArray.from_arrays(np.zeros(len(frames), np.int32), [video.name]),
        pa.array(frames, pa.int32()),
        pa.array([video.frames[i].relative_to(root).as_posix() for i in frames], pa.string()),
        pa.array([file_size(video.frames[i]) for i in frames], pa.int64()),
        pa.array(np.full(len(frames), video.width), pa.int32()),
        pa.array(np.full(len(frames), video.height), pa.int32()),
        *(pa.array(points[:, i], pa.float32()) for i in range(2)),
        *(pa.array(boxes[:, i], pa.float32(), mask=~has_box) for i in range(4)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _report_problems(problems: list[Problem], *, fail: bool) -> None:
    if problems and fail:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(
            f"{problems[0].reason}{more}; mend it, or pass --on-bad-frame skip to leave it out"
        )
    for problem in problems:
        logger.warning("left out: %s", problem.reason)
