"""Stage `table`: score the runs of a table and write it as CSV, Markdown and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from socl_pipeline.annotation.schemes import prices_text
from socl_pipeline.benchmarks.protocols import Protocol, protocol_of
from socl_pipeline.benchmarks.tracks import TrackerScore
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.figures.files import save
from socl_pipeline.pipeline.artifact import write_atomic
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.settings import TableSettings
from socl_pipeline.settings.derived import is_outline
from socl_pipeline.settings.tables import COSTS, HOURS
from socl_pipeline.tables.cells import table_benchmarks, table_cells, unchanged_trackers
from socl_pipeline.tables.costs import cost_grids, costs_csv, row_costs
from socl_pipeline.tables.crossover import crossover_sentences
from socl_pipeline.tables.curve_picture import curve_picture
from socl_pipeline.tables.picture import table_picture
from socl_pipeline.tables.references import references
from socl_pipeline.tables.results import Result, table_results
from socl_pipeline.tables.scoring import benchmark_scores
from socl_pipeline.tables.text import Training, cells_csv, grids, made_from, markdown, table_csv

DPI = 130  # readable at its own size


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write table.md, table.csv, cells.csv, table.png and table.pdf; returns what they rest on."""
    path.mkdir(parents=True, exist_ok=True)
    settings = job.config.table(job.names["table"])
    if settings.columns == COSTS:
        return _costs(job, settings, path)
    missing: list[str] = job.params["missing"]
    cells = table_cells(job.config, job.names["dataset"], job.names["table"])
    with Progress("table", len(job.inputs), "runs", quiet=not job.inputs) as progress:
        names = table_benchmarks(job.config) if cells else ()
        scores = {b: benchmark_scores(job, b, progress) for b in names}
    results = _results(job, settings, scores)
    trainings = {role: _training(upstream) for role, upstream in job.inputs.items()}
    sequences = {b: len(next(iter(runs.values())).sequences) for b, runs in scores.items()}
    made = made_from(results, sequences, list(trainings.values())) if results else ""
    remarks = _crossover(settings, results)
    blocks = grids(settings, results)
    text = markdown(settings, blocks, results, made=made, missing=missing, remarks=remarks)
    write_atomic(path / "table.md", text)
    write_atomic(path / "table.csv", table_csv(blocks))
    write_atomic(path / "cells.csv", cells_csv(results, trainings))
    notes = [n for n in (settings.note, *remarks, made, *missing) if n]
    figure: Figure | None = None
    if settings.curves:
        figure = curve_picture(settings, results, notes, job.config.report.palette)
    save(figure or table_picture(settings.title, blocks, notes), path / "table", DPI)
    return {
        "title": settings.title,
        "outline": is_outline(job.names["table"]),
        "cells": len(cells),
        "runs": len(trainings),
        "models": len(_models(job)),
        "sequences": sequences,
        "missing": missing,
    }


def _results(
    job: Job, settings: TableSettings, scores: Mapping[str, Mapping[str, TrackerScore]]
) -> list[Result]:
    cells = table_cells(job.config, job.names["dataset"], job.names["table"])
    if not cells:
        return []
    compared = references(settings, cells, unchanged_trackers(job.config, settings))
    protocols = {b: _protocol(job, b) for b in scores}
    return table_results(cells, settings.metrics, protocols, scores, compared)


def _protocol(job: Job, benchmark: str) -> Protocol:
    entry = job.config.benchmark(benchmark)
    return protocol_of(entry, load_manifest(entry.manifest))


def _costs(job: Job, settings: TableSettings, path: Path) -> Mapping[str, Any]:
    """Write a table of what annotating the dataset costs."""
    stats = job.input_summary("points").stats
    prices = job.config.costs
    costs = row_costs(settings, stats["frames"], stats["boxes"], prices)
    blocks = cost_grids(settings, costs, job.names["dataset"], prices.currency)
    note = prices_text(prices)
    write_atomic(path / "table.md", markdown(settings, blocks, made=note))
    write_atomic(path / "table.csv", table_csv(blocks))
    write_atomic(path / "cells.csv", costs_csv(costs))
    notes = [n for n in (settings.note, note) if n]
    save(table_picture(settings.title, blocks, notes), path / "table", DPI)
    return {
        "title": settings.title,
        "outline": False,
        "frames": stats["frames"],
        "fees": {label: round(cost.total_fee, 2) for label, cost in costs},
        "missing": [],
    }


def _crossover(settings: TableSettings, results: Sequence[Result]) -> list[str]:
    """Return sentences about the hours that rows need for the best of the first row."""
    if settings.columns != HOURS:
        return []
    sentences = []
    for benchmark, metric in dict.fromkeys((r.benchmark, r.metric) for r in results):
        own = [r for r in results if (r.benchmark, r.metric) == (benchmark, metric)]
        curves: dict[str, list[tuple[float, float]]] = {}
        for r in own:
            if r.cell.x is not None:
                curves.setdefault(r.cell.row, []).append((r.cell.x, r.mean))
        sentences += crossover_sentences(curves, f"Ours, {own[0].label} on {benchmark}")
    for p in settings.paper:
        places = [_hours(c) for c in p.columns]
        printed = {
            row.label: [
                (x, v)
                for x, v in zip(places, p.rows[row.label], strict=True)
                if x and v is not None
            ]
            for row in settings.rows
            if row.label in p.rows
        }
        sentences += crossover_sentences(printed, f"The paper, {p.metric} on {p.benchmark}")
    return sentences


def _hours(column: str) -> float | None:
    """Return the hours that a column of the paper names: `110 h`."""
    number, _, unit = column.partition(" ")
    return float(number) if unit == "h" else None


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
