"""Stage `track`: run a tracker over every sequence of a benchmark, sequences in parallel.

Each run over a sequence is a file of its own in the scratch folder, and so is the sequence when
all its runs are done: a killed stage repeats only the runs that were under way. A tracker that
crashes on a sequence has no boxes there from the crash on; the stage goes on, and says so.
"""

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from socl_pipeline.benchmarks.formats.tracks import table_of
from socl_pipeline.benchmarks.track_table import digest_tracks, read_tracks
from socl_pipeline.benchmarks.tracks import CRASHED, Run
from socl_pipeline.benchmarks.vot.regions import truth_regions
from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path, scratch_folder
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.parallel import run_tasks
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.settings import AnyTrackerSettings, ResultsTrackerSettings
from socl_pipeline.trackers.base import Image, Tracker
from socl_pipeline.trackers.build import build_tracker
from socl_pipeline.trackers.foreign import convert
from socl_pipeline.trackers.repetitions import is_deterministic, repeat, seed_generators
from socl_pipeline.trackers.run import Pass, run_once, run_with_restarts
from socl_pipeline.trackers.running import Running, running_of

logger = logging.getLogger(__name__)

SCHEMA = pa.schema(
    [
        pa.field("sequence", pa.string()),
        pa.field("repetition", pa.int16(), metadata={"unit": "0-based"}),
        pa.field("frame", pa.int32(), metadata={"unit": "0-based index in the sequence"}),
        *(pa.field(c, pa.float64(), metadata={"unit": "px, 0-based; NaN: none"}) for c in "xywh"),
        pa.field("seconds", pa.float64(), metadata={"unit": "s, without reading the frame"}),
        pa.field(
            "state",
            pa.int8(),
            metadata={"unit": "0 tracked, 1 started, 2 failed, 3 skipped after a failure"},
        ),
    ]
)


@dataclass(frozen=True)
class _Sequence:
    """A task: all runs over one sequence. `output` is its file, its runs lie beside it."""

    dataset: Dataset
    name: str
    settings: AnyTrackerSettings
    model: Path | None
    running: Running
    output: Path

    def __str__(self) -> str:
        return f"sequence {self.name}"

    @property
    def runs(self) -> Path:
        """The folder of the runs."""
        return self.output.with_suffix("")

    def piece(self, repetition: int) -> Path:
        """Return the file of a run."""
        return self.runs / f"{repetition:03d}.parquet"


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Track all sequences; returns their number and where the tracker crashed.

    Raises InputError for bad data, and if the tracker crashes on every sequence.
    """
    if isinstance(job.config.tracker(job.names["tracker"]), ResultsTrackerSettings):
        return convert(job, path, SCHEMA)
    tasks = _tasks(job, scratch_folder(path))
    missing = [t for t in tasks if not t.output.exists()]
    with Progress("track", len(tasks), "sequences", len(tasks) - len(missing)) as progress:
        for _ in run_tasks(_track, missing, workers=job.workers, progress=progress):
            pass
    crashed = _crashes(job.names["tracker"], tasks)
    table = pa.concat_tables([pq.read_table(t.output, schema=SCHEMA) for t in tasks])
    metadata = job.recipe.metadata() | {CRASHED.decode(): json.dumps(crashed)}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)
    names = [t.name for t in tasks]
    stats = {"sequences": len(names), "frames": table.num_rows, "digest": digest_tracks(table)}
    return stats | ({"crashed": crashed} if crashed else {})


def _tasks(job: Job, pieces: Path) -> list[_Sequence]:
    benchmark = job.benchmark
    running = running_of(job.config.benchmark(job.names["benchmark"]), benchmark.manifest)
    return [
        _Sequence(
            dataset=benchmark,
            name=name,
            settings=job.config.tracker(job.names["tracker"]),
            model=job.input("model").resolve() if job.inputs else None,
            running=running,
            output=(pieces / f"{name}.parquet").resolve(),
        )
        for name in benchmark.names()
    ]


def _crashes(tracker: str, tasks: Sequence[_Sequence]) -> dict[str, str]:
    """Return, and log, the sentences of the sequences in which the tracker crashed.

    Raises InputError if it did in every run over each: it is broken, and is run again next time.
    """
    crashed: dict[str, str] = {}
    for task in tasks:
        crashed |= _crashes_in(task.output)
    if crashed and all(_crashes_in(p) for t in tasks for p in t.runs.glob("*.parquet")):
        for task in tasks:
            shutil.rmtree(task.runs)
            task.output.unlink()
        raise InputError(
            f"tracker {tracker} crashed on every sequence, on {tasks[0].name} with "
            f"{crashed[tasks[0].name]}; mend it and run `socl track` again"
        )
    for name, sentence in crashed.items():
        logger.warning("%s crashed on %s: %s", tracker, name, sentence)
    return crashed


def _track(task: _Sequence) -> int:
    torch.set_num_threads(1)  # one process is one core, with or without workers
    cv2.setNumThreads(1)
    video = task.dataset.read(task.name)
    tracker = build_tracker(task.settings, task.model)

    def run_again(repetition: int) -> Run:
        nonlocal tracker
        if repetition and _crashes_in(task.piece(repetition - 1)):
            tracker = build_tracker(task.settings, task.model)  # not what a crash has left of it
        return _finished_run(task, tracker, video, repetition)

    runs = repeat(run_again, task.running.repetitions, is_deterministic(tracker))
    pieces = [task.piece(repetition) for repetition in range(len(runs))]
    crashes = [found for found in map(_crashes_in, pieces) if found]
    tables = pa.concat_tables([pq.read_table(piece) for piece in pieces])
    _write(task.output, tables, crashes[0] if crashes else {})
    return len(runs)


def _finished_run(task: _Sequence, tracker: Tracker, video: Video, repetition: int) -> Run:
    """Return a run, made now unless it has been."""
    piece = task.piece(repetition)
    if not piece.exists():
        seed_generators(task.name, repetition)
        made = _pass(tracker, video, task.running)
        crashed = {} if made.crash is None else {task.name: _sentence(made.crash)}
        _write(piece, table_of({task.name: [made.run]}, SCHEMA, repetition), crashed)
    return read_tracks(piece, {task.name: len(video)}).tracks[task.name].runs[0]


def _pass(tracker: Tracker, video: Video, running: Running) -> Pass:
    frames = _Frames(video.frames)
    try:
        if running.skip is None:
            return run_once(tracker, frames, video.boxes[0])
        return run_with_restarts(tracker, frames, video.boxes, truth_regions(video), running.skip)
    except InputError as error:
        raise InputError(f"{video.name}: {error}") from None


def _sentence(crash: Exception) -> str:
    """Return the class and the message of a crash on one line."""
    return " ".join(f"{type(crash).__name__}: {crash}".split())


def _write(path: Path, rows: pa.Table, crashed: Mapping[str, str]) -> None:
    metadata = {CRASHED.decode(): json.dumps(crashed)}
    with atomic_path(path) as temporary:
        pq.write_table(rows.replace_schema_metadata(metadata), temporary)


def _crashes_in(path: Path) -> dict[str, str]:
    """Return the sentences of crashes, by sequence, in the file of a run or a sequence."""
    found: dict[str, str] = json.loads(pq.read_schema(path).metadata[CRASHED])
    return found


class _Frames(Sequence[Image]):
    """The frames of a video, read when they are asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> "_Frames": ...
    def __getitem__(self, index: int | slice) -> "Image | _Frames":
        if isinstance(index, slice):
            return _Frames(self._paths[index])
        return read_image(self._paths[index])
