"""What the report's tables say: plain data for the template, from summaries and tables.

A figure is a mapping of `src` (the address of a picture), `alt` and, in a list, `label`.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from socl_pipeline.benchmarks.protocols import METRICS, Protocol
from socl_pipeline.figures.benchmark import FIGURES
from socl_pipeline.figures.files import figure_png
from socl_pipeline.figures.training import loss_plot
from socl_pipeline.pipeline.artifact import Summary, read_summary
from socl_pipeline.pipeline.job import Job
from socl_pipeline.report.pictures import data_uri
from socl_pipeline.settings import CostSettings

MOST_SKIPPED = 200  # rows of the table of frames left out
SHORT = 12  # digits of a digest that tell artifacts apart

Row = dict[str, Any]


def overview(points: Summary, costs: CostSettings) -> Row:
    """Return the counts and the cost of a dataset's annotation, from the summary of `points`."""
    stats = points.stats
    frames = stats["frames"]
    return {
        "videos": stats["videos"],
        "frames": frames,
        "boxes": stats["boxes"],
        "seconds_per_frame": points.recipe.params["seconds_per_frame"],
        "hours": stats["annotation_hours"],
        "box_seconds": costs.box_seconds,
        "box_hours": frames * costs.box_seconds / 3600,
        "sparse_hours": stats["boxes"] * costs.box_seconds / 3600,
    }


def score_section(
    name: str, table: pa.Table, protocol: Protocol, convention: str, figures: Sequence[Row]
) -> Row:
    """Return a benchmark's table, best tracker first, its figures and what went wrong.

    table: of stage `scores`. figures: of stage `figure` (`benchmark_pictures`). Ties keep the
    config's order. Sequences that a tracker crashed on come with the sentence that says why. One
    that lacks sequences is never the best: its figures are of the others.
    """
    rows = table.to_pylist()
    means = [r for r in rows if r["sequence"] is None]
    columns = [(m, protocol.label(m), METRICS[m].higher) for m in protocol.headline]
    columns.append(("frames_per_second", "Frames/s", True))
    complete = [r for r in means if not r["missing"]]  # others are not comparable with them
    best = {c: _best([r[c] for r in complete], higher) for c, _, higher in columns}
    first, _, higher = columns[0]
    ranking = sorted(means, key=lambda r: _rank(r[first], higher))
    return {
        "name": name,
        "protocol": protocol.name,
        "convention": convention,
        "sequences": len({r["sequence"] for r in rows} - {None}),
        "frames": _frames(rows),
        "columns": [{"name": c, "label": label} for c, label, _ in columns],
        "trackers": [
            r | {"best": {c: r in complete and _is(r[c], best[c]) for c, _, _ in columns}}
            for r in ranking
        ],
        "figures": figures,
        "crashes": [r for r in rows if r["sequence"] is not None and r["failed"]],
        "missing": [r for r in means if r["missing"]],
    }


def _best(values: Sequence[float | None], higher: bool) -> float | None:
    known = [v for v in values if v is not None]
    return (max if higher else min)(known) if known else None


def _frames(rows: Sequence[Row]) -> int:
    """Return how many frames of a benchmark are scored; a tracker that is repeated has more."""
    counts: dict[str, int] = {}
    for r in rows:
        if r["sequence"] is not None:
            counts[r["sequence"]] = min(r["frames"], counts.get(r["sequence"], r["frames"]))
    return sum(counts.values())


def _is(value: float | None, best: float | None) -> bool:
    return value is not None and value == best


def _rank(value: float | None, higher: bool) -> tuple[bool, float]:
    return value is None, 0.0 if value is None else -value if higher else value


def benchmark_pictures(folder: Path, summary: Summary) -> list[Row]:
    """Return the pictures that stage `figure` made of a benchmark, in its order.

    A summary has its keys sorted, so the order is not in it.
    """
    captions: Mapping[str, str] = summary.stats["figures"]
    return [
        {"src": data_uri((folder / f"{name}.png").read_bytes()), "alt": caption}
        for name, caption in sorted(captions.items(), key=lambda item: FIGURES.index(item[0]))
    ]


def table_section(tables: Mapping[str, Job]) -> list[Row]:
    """Return the tables and figures that stage `table` made, each with what it lacks.

    tables: by name, those that are up to date (`stages.made_tables`).
    """
    found = []
    for name, job in tables.items():
        stats = read_summary(job.summary_path).stats
        found.append(
            {
                "name": name,
                "title": stats["title"],
                "src": data_uri((job.output / "table.png").read_bytes()),
                "outline": stats["outline"],
            }
        )
    return found


# What training watches that lies between 0 and 1, by its column: of kinds socl, bce and transt.
SHARES = {"accuracy": "accuracy", "coverage": "mask coverage", "hit": "hits"}
SHARES |= {"box_iou": "box IoU", "kept": "pairs kept"}


def training_section(name: str, model: Path, summary: Summary, palette: Sequence[str]) -> Row:
    """Return a model's training plots and how it ended. model: its folder."""
    metrics = pq.read_table(model / "metrics.parquet").to_pydict()
    validation = pq.read_table(model / "validation.parquet").to_pydict()
    steps = metrics["step"]
    shares = {label: metrics[name] for name, label in SHARES.items() if name in metrics}
    plots = [
        (
            "training loss",
            loss_plot(steps, {"loss": metrics["loss"]}, "Training loss", colors=palette),
        ),
        (
            " and ".join(shares),
            loss_plot(steps, shares, "Watched in training", ylabel="Share", colors=palette),
        ),
    ]
    if validation.get("step"):
        boxes = "mean_iou" in validation
        label = "box IoU" if boxes else "hit rate"
        plots.append(
            (
                f"{label} on held-out videos",
                loss_plot(
                    validation["step"],
                    {label: validation["mean_iou" if boxes else "hit_rate"]},
                    "Boxes of held-out pairs" if boxes else "Held-out clicks found",
                    ylabel="Mean box IoU" if boxes else "Hit rate (within 16 px)",
                    smoothing=0,
                    colors=palette,
                ),
            )
        )
    for _, figure in plots:
        if figure.axes[0].get_ylabel() != "Loss":
            figure.axes[0].set_ylim(-0.02, 1.02)
    return {
        "name": name,
        "kind": summary.recipe.params["kind"],
        "stats": summary.stats,
        "held_out": len(summary.stats["held_out_videos"]),
        "figures": [
            {"src": data_uri(figure_png(figure, dpi=120)), "alt": f"{what} of {name} by step"}
            for what, figure in plots
        ],
    }


def skipped_section(summaries: Mapping[str, Summary]) -> Row:
    """Return the frames that stages left out, by stage; at most `MOST_SKIPPED` are listed."""
    rows = [
        {"stage": stage} | dict(item)
        for stage, summary in summaries.items()
        for item in summary.stats.get("skipped", [])
    ]
    return {"count": len(rows), "rows": rows[:MOST_SKIPPED]}


def timing_rows(folder: Path) -> list[Row]:
    """Return what Snakemake measured: its benchmark files in a folder, by name.

    Each row: `name`, `seconds`, `cpu_seconds` and `megabytes` (largest resident memory); a value
    that Snakemake could not measure is None. A job that it repeated counts with its last run.
    """
    rows = []
    for file in sorted(folder.rglob("*.tsv")):
        with file.open(newline="") as stream:
            runs = list(csv.DictReader(stream, delimiter="\t"))
        if runs:
            values = {
                key: _number(runs[-1].get(column))
                for key, column in (
                    ("seconds", "s"),
                    ("cpu_seconds", "cpu_time"),
                    ("megabytes", "max_rss"),
                )
            }
            rows.append({"name": file.relative_to(folder).with_suffix("").as_posix()} | values)
    return rows


def _number(text: str | None) -> float | None:
    """Return a number of a benchmark file; Snakemake writes `-` or `NA` for what it missed."""
    return None if text in (None, "", "-", "NA") else float(text)


def recipe_rows(job: Job) -> list[Row]:
    """Return what made each artifact that the report rests on, upstream first."""
    rows = []
    for upstream in _upstream(job):
        summary = read_summary(upstream.summary_path)
        rows.append(
            {
                "name": str(upstream.target),
                "stage": summary.recipe.stage,
                "version": summary.recipe.version,
                "package": summary.package_version,
                "key": summary.recipe.key,
                "digest": summary.digest[:SHORT],
                "inputs": {role: d[:SHORT] for role, d in summary.recipe.inputs.items()},
                "params": json.dumps(summary.recipe.params, indent=1, sort_keys=True),
            }
        )
    return rows


def _upstream(job: Job) -> Iterator[Job]:
    """Yield every job that a job depends on once, each after those it depends on itself."""
    seen = {job.target}

    def visit(current: Job) -> Iterator[Job]:
        for upstream in current.inputs.values():
            if upstream.target not in seen:
                seen.add(upstream.target)
                yield from visit(upstream)
                yield upstream

    return visit(job)
