"""Stage `figure`: draw the figures of a benchmark, each as PNG and as PDF."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from socl_pipeline.benchmarks.protocols import protocol_of
from socl_pipeline.figures.benchmark import BenchmarkScores, benchmark_figures
from socl_pipeline.figures.files import save
from socl_pipeline.pipeline.job import Job


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write the figures; returns the caption of each by the name of its files."""
    name = job.names["benchmark"]
    benchmark = job.benchmark
    scores = BenchmarkScores(
        name=name,
        protocol=protocol_of(job.config.benchmark(name), benchmark.manifest),
        constants=benchmark.manifest.constants,
        rows=pq.read_table(job.input("scores")).to_pylist(),
        attributes={
            sequence: benchmark.read(sequence).attributes for sequence in benchmark.names()
        },
    )
    drawn = benchmark_figures(scores, job.config.report.palette)
    for item in drawn:
        save(item.figure, path / item.name)
    return {"trackers": len(scores.means), "figures": {d.name: d.caption for d in drawn}}
