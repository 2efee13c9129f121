"""Stage `scores`: score all trackers on a benchmark.

One row per tracker and sequence, and one per tracker with sequence null: the mean over sequences.
Curves are list columns at the thresholds of `benchmarks.ope`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from socl_pipeline.benchmarks.ope import FloatArray, OpeScore, mean_score, score_sequence
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pipeline.stages import Job

SCHEMA = pa.schema(
    [
        pa.field("tracker", pa.string()),
        pa.field("sequence", pa.string(), metadata={"unit": "name; null: mean over sequences"}),
        pa.field("auc", pa.float64()),
        pa.field("precision", pa.float64(), metadata={"unit": "share within 20 px"}),
        pa.field("mean_iou", pa.float64()),
        pa.field("frames", pa.int64()),
        pa.field("frames_per_second", pa.float64()),
        pa.field("success_curve", pa.list_(pa.float64())),
        pa.field("precision_curve", pa.list_(pa.float64())),
    ]
)


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Score every tracker of the config; returns their mean scores."""
    settings = job.config.benchmark(job.names["benchmark"])
    benchmark = job.benchmark
    truth = {name: benchmark.read(name).boxes for name in benchmark.names()}
    rows: list[dict[str, Any]] = []
    for tracker in job.inputs:
        scores, seconds = [], 0.0
        for name, predicted, spent in read_tracks(job.input(tracker), truth):
            score = score_sequence(predicted, truth[name], convention=settings.convention)
            updates = len(predicted) - 1
            rows.append(_row(tracker, name, score, updates / max(spent, 1e-9)))
            scores.append(score)
            seconds += spent
        updates = sum(len(b) - 1 for b in truth.values())
        rows.append(_row(tracker, None, mean_score(scores), updates / max(seconds, 1e-9)))
    with atomic_path(path) as temporary:
        table = pa.Table.from_pylist(rows, SCHEMA)
        pq.write_table(table.replace_schema_metadata(job.recipe.metadata()), temporary)
    means = [r for r in rows if r["sequence"] is None]
    return {
        "sequences": len(truth),
        "auc": {r["tracker"]: round(r["auc"], 4) for r in means},
        "precision": {r["tracker"]: round(r["precision"], 4) for r in means},
    }


def read_tracks(
    path: Path, truth: Mapping[str, FloatArray]
) -> Iterator[tuple[str, FloatArray, float]]:
    """Yield each sequence's name, tracked boxes (n, 4) and seconds after its first frame.

    truth: the true boxes (n, 4) of each sequence. Raises InputError if the numbers differ.
    """
    tracks = pq.read_table(path)
    for name, boxes in truth.items():
        own = tracks.filter(pc.equal(tracks["sequence"], name))
        if own.num_rows != len(boxes):
            raise InputError(
                f"{path}: {own.num_rows} boxes of {name}, its truth has {len(boxes)}; run "
                "`socl track` again"
            )
        predicted = np.stack([own[c].to_numpy() for c in "xywh"], axis=1)
        yield name, predicted, float(own["seconds"].to_numpy()[1:].sum())


def _row(tracker: str, sequence: str | None, score: OpeScore, speed: float) -> dict[str, Any]:
    return {
        "tracker": tracker,
        "sequence": sequence,
        "auc": score.auc,
        "precision": score.precision,
        "mean_iou": score.mean_iou,
        "frames": score.frames,
        "frames_per_second": speed,
        "success_curve": score.success_curve.tolist(),
        "precision_curve": score.precision_curve.tolist(),
    }
