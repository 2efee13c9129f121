"""What the tables and figures of the paper take."""

from typing import Any

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job, Names, Target, open_dataset
from socl_pipeline.pipeline.recipes.sources import benchmark_entry
from socl_pipeline.pipeline.recipes.tracking import scoring_of
from socl_pipeline.pipeline.targets import trainings_of
from socl_pipeline.settings import Config
from socl_pipeline.settings.derived import is_outline
from socl_pipeline.settings.tables import COSTS
from socl_pipeline.tables.cells import table_benchmarks, table_cells
from socl_pipeline.tables.missing import missing


def table_params(config: Config, names: Names) -> dict[str, Any]:
    """Return the cells of a table, how they are scored, and what is not there to fill them."""
    settings = config.table(names["table"])
    params = {
        **names,
        "settings": settings.model_dump(mode="json"),
        "palette": list(config.report.palette),
    }
    if settings.columns == COSTS:
        return params | {"costs": config.costs.model_dump(mode="json")}
    cells = table_cells(config, names["dataset"], names["table"])
    trainings: int | InputError = 0
    if is_outline(names["table"]):
        try:
            trainings = len(trainings_of(config, names["dataset"], names["table"]))
        except InputError as error:  # a variant that the config's model cannot take
            trainings = error
    return params | {
        "cells": [cell.plain() for cell in cells],
        "benchmarks": {b: scoring_of(config, b) for b in table_benchmarks(config)},
        "missing": missing(config, names["table"], trainings),
    }


def table_inputs(config: Config, names: Names) -> dict[str, Target]:
    """Return the tracks behind each cell; of a table of costs, the points."""
    if config.table(names["table"]).columns == COSTS:
        return {"points": Target.of("points", **names)}
    return {
        cell.role(benchmark, tracker): Target.of(
            "track", dataset=cell.dataset, benchmark=benchmark, tracker=tracker
        )
        for benchmark in table_benchmarks(config)
        for cell in table_cells(config, names["dataset"], names["table"])
        for tracker in cell.trackers
    }


def table_files(job: Job) -> dict[str, str]:
    """Return the digests of the annotations of the benchmarks that a table shows."""
    names = table_benchmarks(job.config)
    return {f"annotations/{b}": open_dataset(job.config.benchmark(b)).digest() for b in names}


def watched_by_tables(config: Config, names: Names) -> Any:
    """Return where the benchmarks that a table shows are."""
    return [benchmark_entry(config, {"benchmark": b}) for b in table_benchmarks(config)]
