"""Stage `report`: one self-contained HTML file; its pictures are inside, it asks for nothing.

It depends on its inputs alone, except for the timings, which Snakemake measured beside them.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from jinja2 import Environment, StrictUndefined

from socl_pipeline import __version__
from socl_pipeline.annotation.table import read_points
from socl_pipeline.benchmarks.protocols import protocol_of
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.patches.loader import load_batch
from socl_pipeline.patches.patch_set import PatchSet
from socl_pipeline.pipeline.artifact import Summary, atomic_path
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.targets import made_tables
from socl_pipeline.report.gaussian_control import compare_with_gaussian
from socl_pipeline.report.pictures import HEAT, SCORES, data_uri, heat_bar, png
from socl_pipeline.report.sections import (
    benchmark_pictures,
    overview,
    recipe_rows,
    score_section,
    skipped_section,
    table_section,
    timing_rows,
    training_section,
)
from socl_pipeline.report.top_examples import (
    SHOWN_BOXES,
    Example,
    top_examples,
)
from socl_pipeline.report.weight_maps import (
    shown_videos,
    spread_pair,
    weight_maps,
    weight_strip,
)
from socl_pipeline.settings import SoclModelSettings
from socl_pipeline.top.store.store import TopStore
from socl_pipeline.trackers.build import load_backbone

TEMPLATE = "template.html"


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write the report of a dataset; returns what it holds."""
    dataset = job.names["dataset"]
    settings = job.config.report
    summaries = {role: job.input_summary(role) for role in job.inputs}
    models = _by_prefix(summaries, "model/")
    palette = settings.palette
    table, store = read_points(job.input("points")), TopStore(job.input("top_maps"))
    with Progress("report", 3 + len(models), "parts") as progress:
        benchmarks = [_benchmark_section(job, name) for name in _by_prefix(summaries, "scores/")]
        progress.advance(1, "scores")
        examples = top_examples(table, store, job.dataset.root, settings.examples)
        progress.advance(1, "TOP maps")
        chosen = summaries["top_maps"].recipe.params["prior"]
        prior = compare_with_gaussian(table, store, chosen)
        progress.advance(1, "boxes")
        weights: list[dict[str, Any]] = []
        training = []
        videos = [e.video for e in examples]
        for name, summary in models.items():
            model = job.config.models[name]
            if isinstance(model, SoclModelSettings):  # others have no soft samples to show
                weights.append(_weight_section(job, name, model, summary, videos))
            training.append(training_section(name, job.input(f"model/{name}"), summary, palette))
            progress.advance(1, f"model {name}")
    tables = table_section(made_tables(job))
    tracked = _by_prefix(summaries, "track/")  # by benchmark/tracker
    content = {
        "title": settings.title,
        "dataset": dataset,
        "version": __version__,
        "overview": overview(summaries["points"], job.config.costs),
        "benchmarks": benchmarks,
        "withheld": list(dict.fromkeys(name.split("/")[0] for name in tracked)),
        "top": _top_section(examples, summaries["top_maps"]),
        "prior": prior,
        "weights": weights,
        "training": training,
        "tables": tables,
        # what the proposals left out is among the frames without a TOP map
        "skipped": skipped_section({s: summaries[s] for s in ("points", "top_maps")}),
        "timings": timing_rows(job.results / dataset / "benchmarks"),
        "recipes": recipe_rows(job),
        "bars": {name: data_uri(png(heat_bar(name))) for name in (HEAT, SCORES)},
        "heat": HEAT,
        "scores": SCORES,
    }
    html = render(content)
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return {
        "benchmarks": len(benchmarks),
        "models": len(models),
        "tables": len(tables),
        "examples": len(examples),
        "boxes_tested": prior.n if prior else 0,
    }


def _benchmark_section(job: Job, name: str) -> dict[str, Any]:
    """Return what the page says of one benchmark."""
    entry = job.config.benchmark(name)
    figures = benchmark_pictures(job.input(f"figures/{name}"), job.input_summary(f"figures/{name}"))
    table = pq.read_table(job.input(f"scores/{name}"))
    protocol = protocol_of(entry, load_manifest(entry.manifest))
    return score_section(name, table, protocol, entry.convention, figures)


def render(content: Mapping[str, Any]) -> str:
    """Return the page; every text is escaped, and a value that is missing is an error."""
    source = resources.files("socl_pipeline.report").joinpath(TEMPLATE).read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(content)


def _by_prefix(summaries: Mapping[str, Summary], prefix: str) -> dict[str, Summary]:
    """Return the inputs of one kind by name: role `model/socl` is model `socl`."""
    return {r.removeprefix(prefix): s for r, s in summaries.items() if r.startswith(prefix)}


def _top_section(examples: list[Example], summary: Summary) -> dict[str, Any]:
    params = summary.recipe.params
    return {
        "strips": [
            {
                "src": data_uri(png(e.picture)),
                "alt": f"Frame {e.frame} of {e.video}: the click, the kept boxes, the TOP map",
                "label": f"{e.video}, frame {e.frame}" + ("" if e.box else " (no box)"),
            }
            for e in examples
        ],
        "shown": min(SHOWN_BOXES, params["top_k"]),
        "top_k": params["top_k"],
        "clip": params["clip"],
        "prior": params["prior"],
    }


def _weight_section(
    job: Job, name: str, settings: SoclModelSettings, summary: Summary, videos: list[str]
) -> dict[str, Any]:
    """Return the strips of a model's weight maps, one a video."""
    patches = PatchSet(job.input("patches"))
    pairs = {
        v: spread_pair(patches.frames[patches.videos[v]], patches.videos[v], settings.max_gap)
        for v in shown_videos(videos, patches.videos, job.config.report.examples)
    }
    # resolved: `load_backbone` remembers paths, and a published link can come to mean another model
    backbone = load_backbone(job.input(f"model/{name}").resolve())
    batch = load_batch(patches, [row for pair in pairs.values() for row in pair])
    maps = weight_maps(backbone, batch, settings, summary.stats["top_clip"])
    strips = []
    for i, (video, rows) in enumerate(pairs.items()):
        a, b = (int(patches.frames[row]) for row in rows)
        known = "held out" if video in summary.stats["held_out_videos"] else "trained on"
        strips.append(
            {
                "src": data_uri(png(weight_strip(maps, i))),
                "alt": f"Frames {a} and {b} of {video} with the GST and SNS weights of {name}",
                "label": f"{video}, frames {a} and {b} ({known})",
            }
        )
    return {
        "name": name,
        "strips": strips,
        "cells": maps.grid.cells,
        "window": settings.window,
        "clip": summary.stats["top_clip"],
        "mass": settings.background_mass,
        "sns": settings.sns,
        "head": settings.projection_head,
    }
