"""Stage `scores`: score all trackers on a benchmark.

One row per tracker and sequence, and one per tracker with sequence null: the benchmark's own
average. A protocol fills the columns of its figures and leaves the others null.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from socl_pipeline.benchmarks.protocols import CURVES, METRICS, Protocol, protocol_of
from socl_pipeline.benchmarks.track_table import Tracks, read_tracks
from socl_pipeline.benchmarks.tracks import FAILED, TRACKED, Score, Track, TrackerScore
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.video import Video, require_truth
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pipeline.job import Job
from socl_pipeline.settings import BenchmarkSettings

SCHEMA = pa.schema(
    [
        pa.field("tracker", pa.string()),
        pa.field("sequence", pa.string(), metadata={"unit": "name; null: the benchmark"}),
        *(pa.field(n, pa.float64(), metadata={"unit": m.unit}) for n, m in METRICS.items()),
        pa.field("frames", pa.int64(), metadata={"unit": "that the figures rest on"}),
        pa.field("missing", pa.int64(), metadata={"unit": "sequences left out of the average"}),
        pa.field("frames_per_second", pa.float64()),
        pa.field("failed", pa.string(), metadata={"unit": "why the tracker crashed; null: fine"}),
        *(pa.field(name, pa.list_(pa.float64())) for name in CURVES),
    ]
)


@dataclass(frozen=True, eq=False)
class Scorer:
    """A benchmark's truth, read once, and how trackers are scored against it."""

    protocol: Protocol
    convention: str
    manifest: Manifest
    videos: Sequence[Video]

    @classmethod
    def of(cls, settings: BenchmarkSettings, dataset: Dataset) -> "Scorer":
        """Read the truth of a benchmark.

        Raises InputError for an unknown convention and for truth that is withheld.
        """
        protocol = protocol_of(settings, dataset.manifest)
        videos = [_truth(settings, dataset, name) for name in dataset.names()]
        return cls(protocol, settings.convention, dataset.manifest, videos)

    def read(self, path: Path) -> Tracks:
        """Read a table of tracks. Raises InputError if it does not fit the truth."""
        return read_tracks(path, {v.name: len(v.boxes) for v in self.videos})

    def score(self, tracks: Tracks) -> TrackerScore:
        """Score a tracker; sequences of which it has no results are left out."""
        shown = [v for v in self.videos if v.name in tracks.tracks]
        return self.protocol.score(self.manifest, shown, tracks.tracks, self.convention)


def _truth(settings: BenchmarkSettings, dataset: Dataset, name: str) -> Video:
    """Return a sequence without its frames: LaSOT's paths alone would take 200 MiB."""
    video = dataset.read(name)
    require_truth(video, settings.manifest, settings.split)
    return replace(video, frames=[])


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Score every tracker of the config; returns the figures that rank them."""
    scorer = Scorer.of(job.config.benchmark(job.names["benchmark"]), job.benchmark)
    rows: list[dict[str, Any]] = []
    for tracker in job.inputs:
        tracks = scorer.read(job.input(tracker))
        try:
            scored = scorer.score(tracks)
        except InputError as error:
            raise InputError(f"{tracker}: {error}") from None
        rows += _rows(tracker, tracks, scored)
    with atomic_path(path) as temporary:
        table = pa.Table.from_pylist(rows, SCHEMA)
        pq.write_table(table.replace_schema_metadata(job.recipe.metadata()), temporary)
    means = [r for r in rows if r["sequence"] is None]
    shown = {m: {r["tracker"]: _rounded(r[m]) for r in means} for m in scorer.protocol.headline}
    crashes = {r["tracker"]: r["failed"] for r in means if r["failed"]}
    return {"sequences": len(scorer.videos), **shown, **({"failed": crashes} if crashes else {})}


def _rows(tracker: str, tracks: Tracks, scored: TrackerScore) -> list[dict[str, Any]]:
    found = tracks.tracks
    rows = [
        _row(tracker, name, score, [found[name]]) | {"failed": found[name].failed, "missing": 0}
        for name, score in scored.sequences.items()
    ]
    failed = [name for name, track in found.items() if track.failed is not None]
    crashes = f"crashed in {len(failed)} of {len(found)} sequences: {', '.join(failed)}"
    mean = _row(tracker, None, scored.overall, found.values())
    return [*rows, mean | {"failed": crashes if failed else None, "missing": len(tracks.missing)}]


def _row(
    tracker: str, sequence: str | None, score: Score, tracks: Iterable[Track]
) -> dict[str, Any]:
    return {
        "tracker": tracker,
        "sequence": sequence,
        **{name: _known(value) for name, value in score.values.items()},
        **{name: np.asarray(curve).tolist() for name, curve in score.curves.items()},
        "frames": score.frames,
        "frames_per_second": _speed(tracks),
    }


def _speed(tracks: Iterable[Track]) -> float | None:
    """Return the updates a second of tracks, without frames on which a tracker was started.

    None where no time is known, as of most foreign trackers. Frames from a crash on took none.
    """
    updates, seconds = 0, 0.0
    for run in (run for track in tracks for run in track.runs):
        known = np.isfinite(run.seconds) & (run.seconds > 0)
        timed = known & np.isin(run.states, (TRACKED, FAILED))
        timed[:1] = False
        updates += int(timed.sum())
        seconds += float(run.seconds[timed].sum())
    return updates / seconds if updates else None


def _known(value: float) -> float | None:
    """Return a figure, None for one that a sequence has not (NaN)."""
    return value if np.isfinite(value) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
