"""Stage `table`: score the runs of a table and write it as CSV, Markdown and a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from socl_pipeline.benchmarks.scores import Scorer
from socl_pipeline.benchmarks.tracks import Score
from socl_pipeline.pipeline.artifact import write_atomic
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job, open_dataset
from socl_pipeline.report.curves import figure_png
from socl_pipeline.tables.cells import table_benchmarks, table_cells, unchanged_trackers
from socl_pipeline.tables.picture import curve_picture, table_picture
from socl_pipeline.tables.references import references
from socl_pipeline.tables.results import table_results
from socl_pipeline.tables.text import Training, cells_csv, grids, made_from, markdown, table_csv

DPI = 130  # readable at its own size


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write table.md, table.csv, cells.csv and table.png; returns how many runs they rest on."""
    config = job.config
    settings = config.table(job.names["table"])
    cells = table_cells(config, job.names["dataset"], job.names["table"])
    benchmarks = table_benchmarks(config)
    with Progress("table", len(job.inputs), "runs") as progress:
        scores = {b: _benchmark_scores(job, b, progress) for b in benchmarks}
    compared = references(settings, cells, unchanged_trackers(config, settings))
    results = table_results(cells, settings.metrics, scores, compared)
    trainings = {role: _training(upstream) for role, upstream in job.inputs.items()}
    sequences = {b: len(next(iter(runs.values()))) for b, runs in scores.items()}
    runs = list(trainings.values())
    path.mkdir(parents=True, exist_ok=True)
    write_atomic(path / "table.md", markdown(settings, results, sequences, runs))
    write_atomic(path / "table.csv", table_csv(settings, results))
    write_atomic(path / "cells.csv", cells_csv(results, trainings))
    note = made_from(results, sequences, runs).replace("`", "")
    if settings.curves:
        figure = curve_picture(settings, results, note, config.report.palette)
    else:
        figure = table_picture(settings.title, grids(settings, results), note)
    (path / "table.png").write_bytes(figure_png(figure, DPI))
    return {
        "cells": len(cells),
        "runs": len(runs),
        "models": len(_models(job)),
        "sequences": sequences,
    }


def _benchmark_scores(job: Job, benchmark: str, progress: Progress) -> dict[str, list[Score]]:
    """Return the score of each sequence, by the role of each run on a benchmark."""
    settings = job.config.benchmark(benchmark)
    scorer = Scorer.of(settings, open_dataset(settings))
    scores: dict[str, list[Score]] = {}
    for role, upstream in job.inputs.items():
        if upstream.names["benchmark"] == benchmark:
            scored = scorer.score(scorer.read(job.input(role)))
            scores[role] = list(scored.sequences.values())
            progress.advance(1, role)
    return scores


def _training(track: Job) -> Training:
    """Return what the model of a track was trained on."""
    dataset = track.names["dataset"]
    if "model" not in track.inputs:
        return Training(dataset, None, None, None)
    stats = track.input_summary("model").stats
    epochs = track.inputs["model"].params.get("epochs")
    return Training(dataset, stats.get("train_videos"), stats.get("steps"), epochs)


def _models(job: Job) -> set[Any]:
    return {t.inputs["model"].target for t in job.inputs.values() if "model" in t.inputs}
