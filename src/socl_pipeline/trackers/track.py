"""Stage `track`: run a tracker over every sequence of a benchmark, sequences in parallel."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.pipeline.artifact import atomic_path, scratch_folder
from socl_pipeline.pipeline.parallel import run_tasks
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job
from socl_pipeline.settings import AnyTrackerSettings, ResultsTrackerSettings
from socl_pipeline.trackers.build import build_tracker
from socl_pipeline.trackers.foreign import convert
from socl_pipeline.trackers.run import run_sequence

SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.string()),
        pa.field("frame", pa.int32(), metadata={"unit": "0-based index in the sequence"}),
        *(pa.field(c, pa.float64(), metadata={"unit": "px, 0-based"}) for c in "xywh"),
        pa.field("seconds", pa.float64(), metadata={"unit": "s, without reading the frame"}),
    ]
)


@dataclass(frozen=True)
class _Sequence:
    """A task: one sequence."""

    dataset: Dataset
    name: str
    settings: AnyTrackerSettings
    model: Path | None
    output: Path

    def __str__(self) -> str:
        return f"sequence {self.name}"


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Track all sequences; returns their number and the tracker's speed."""
    if isinstance(job.config.tracker(job.names["tracker"]), ResultsTrackerSettings):
        return convert(job, path, SCHEMA)
    benchmark = job.benchmark
    names = benchmark.names()
    pieces = scratch_folder(path)
    tasks = [
        _Sequence(
            dataset=benchmark,
            name=name,
            settings=job.config.tracker(job.names["tracker"]),
            model=job.input("model").resolve() if job.inputs else None,
            output=(pieces / f"{name}.parquet").resolve(),
        )
        for name in names
    ]
    missing = [t for t in tasks if not t.output.exists()]
    with Progress("track", len(tasks), "sequences", len(tasks) - len(missing)) as progress:
        for _ in run_tasks(_track, missing, workers=job.workers, progress=progress):
            pass
    table = pa.concat_tables([pq.read_table(t.output, schema=SCHEMA) for t in tasks])
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(job.recipe.metadata()), temporary)
    boxes = np.stack([table[c].to_numpy() for c in "xywh"], axis=1)
    return {
        "sequences": len(names),
        "frames": table.num_rows,
        # the clock is not part of the result: equal boxes are the same tracks
        "digest": hashlib.sha256("\n".join(names).encode() + boxes.tobytes()).hexdigest(),
    }


def _track(task: _Sequence) -> int:
    torch.set_num_threads(1)  # one process is one core
    video = task.dataset.read(task.name)
    tracker = build_tracker(task.settings, task.model)
    frames = (read_image(path) for path in video.frames)
    boxes, seconds = run_sequence(tracker, frames, video.boxes[0])
    columns = [
        pa.array([task.name] * len(boxes), pa.string()),
        pa.array(np.arange(len(boxes)), pa.int32()),
        *(pa.array(boxes[:, i]) for i in range(4)),
        pa.array(seconds),
    ]
    with atomic_path(task.output) as temporary:
        pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), temporary)
    return len(boxes)
