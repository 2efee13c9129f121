"""Stage `box_quality`: pseudo boxes against true ones, as CSV, Markdown and pictures."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from socl_pipeline.annotation.cost import mixed_cost
from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError
from socl_pipeline.figures.files import figure_png
from socl_pipeline.pipeline.artifact import write_atomic
from socl_pipeline.pipeline.job import Job
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pseudo_boxes.making import SPARSE
from socl_pipeline.pseudo_boxes.quality import Measured, extreme_frames
from socl_pipeline.pseudo_boxes.quality_pictures import (
    frame_panel,
    frames_picture,
    videos_picture,
)
from socl_pipeline.pseudo_boxes.quality_text import quality_csv, quality_markdown, videos_csv
from socl_pipeline.pseudo_boxes.table import read_pseudo_boxes
from socl_pipeline.report.pictures import Image
from socl_pipeline.settings import InterpolatedBoxSettings

Float = NDArray[np.floating]

DPI = 130  # readable at its own size


@dataclass(frozen=True)
class _Rows:
    """The n frames that every entry has: names of videos; video (n,) and frame (n,) numbers,
    truth (n, 4), NaN where there is none, and sparse (n,), which have a sparse box.
    """

    names: list[str]
    videos: NDArray[np.integer]
    frames: NDArray[np.integer]
    truth: Float
    sparse: NDArray[np.bool_]


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Write quality.md, quality.csv, videos.csv and pictures; returns the mean overlaps."""
    names = list(job.config.pseudo_boxes)
    if not names:
        raise InputError("box_quality: the config names no pseudo_boxes to measure; add an entry")
    dataset, palette = job.dataset, job.config.report.palette
    tables = {name: read_pseudo_boxes(job.input(f"boxes/{name}")) for name in names}
    with Progress("box_quality", 1 + len(names), "parts") as progress:
        _require_same_rows(job, tables)
        rows = _rows(tables[names[0]], dataset)
        boxes = {name: _boxes(table) for name, table in tables.items()}
        used = _measurable(rows, boxes, job)
        progress.advance(1, "true boxes")
        entries = [
            Measured.of(
                name,
                rows.videos[used],
                boxes[name][used],
                rows.truth[used],
                tables[name]["failure"].to_numpy()[used],
                job.input_summary(f"boxes/{name}").stats["seconds_per_frame"],
                _cost(job, name),
            )
            for name in names
        ]
        name = _control_name(job)
        control = next((e for e in entries if e.name == name), None)
        boxed = int(rows.sparse.sum())
        path.mkdir(parents=True, exist_ok=True)
        text = quality_markdown(job.names["dataset"], entries, control, boxed)
        write_atomic(path / "quality.md", text)
        write_atomic(path / "quality.csv", quality_csv(entries, control))
        write_atomic(path / "videos.csv", videos_csv(entries, rows.names))
        picture = videos_picture(entries, rows.names, control or entries[0], palette)
        (path / "videos.png").write_bytes(figure_png(picture, DPI))
        for entry in entries:
            panels = _example_panels(job, dataset, rows, entry, boxes[entry.name], used)
            title = f"{entry.name}: true boxes blue, pseudo boxes yellow"
            png = figure_png(frames_picture(title, panels), DPI)
            (path / f"frames_{entry.name}.png").write_bytes(png)
            progress.advance(1, entry.name)
    return {
        "videos": len(np.unique(rows.videos[used])),
        "frames": len(used),
        "mean_iou": {e.name: round(float(e.values["iou"].mean()), 4) for e in entries},
    }


def _cost(job: Job, name: str) -> float:
    """Return what an entry costs, annotation and tracking, in seconds a frame."""
    stats = job.input_summary(f"boxes/{name}").stats
    clicked, boxed = (stats[key] / stats["frames"] for key in ("clicked", "boxes"))
    click = job.config.dataset(job.names["dataset"]).points.seconds_per_frame
    tracker = stats["seconds_per_frame"]
    return mixed_cost(clicked, boxed, click, tracker, job.config.costs.box_seconds)


def _require_same_rows(job: Job, tables: Mapping[str, pa.Table]) -> None:
    first = next(iter(tables.values())).select(["video", "frame"])
    for name, table in tables.items():
        if not table.select(["video", "frame"]).equals(first):
            raise InputError(
                f"{job.input(f'boxes/{name}')}: made from other points than the entries before it; "
                "run `socl pseudo_boxes` again"
            )


def _control_name(job: Job) -> str | None:
    entries = job.config.pseudo_boxes
    kinds = (n for n, e in entries.items() if isinstance(e, InterpolatedBoxSettings))
    return job.config.box_quality.control or next(kinds, None)


def _rows(table: pa.Table, dataset: Dataset) -> _Rows:
    """Return the frames of a table of pseudo boxes with their true boxes."""
    column = table["video"].combine_chunks()
    names = column.dictionary.to_pylist()
    videos, frames = column.indices.to_numpy(), table["frame"].to_numpy()
    truth = np.full((len(frames), 4), np.nan)
    for number, name in enumerate(names):
        own = videos == number
        truth[own] = dataset.read(name).boxes[frames[own]]
    sparse = pc.equal(pc.cast(table["source"], pa.string()), SPARSE).to_numpy()
    return _Rows(names, videos, frames, truth, sparse)


def _boxes(table: pa.Table) -> Float:
    return np.stack([table[c].to_numpy() for c in "xywh"], axis=1).astype(np.float64)


def _measurable(rows: _Rows, boxes: Mapping[str, Float], job: Job) -> NDArray[np.integer]:
    """Return the frames with a true box, no sparse one, and a pseudo box of every entry.

    Raises InputError if there is none.
    """
    there = np.isfinite(rows.truth[:, 0]) & (rows.truth[:, 2:] > 0).all(axis=1) & ~rows.sparse
    for own in boxes.values():
        there &= np.isfinite(own[:, 0])
    if not there.any():
        raise InputError(
            f"{job.dataset.root}: no frame has a true box beside the sparse ones, so there is "
            "nothing to compare pseudo boxes with; use a dataset with a box on every frame"
        )
    return np.flatnonzero(there)


def _example_panels(
    job: Job,
    dataset: Dataset,
    rows: _Rows,
    entry: Measured,
    boxes: Float,
    used: NDArray[np.integer],
) -> list[tuple[str, list[tuple[str, Image]]]]:
    """Return the worst and the best frames of an entry as rows of panels."""
    overlap = entry.values["iou"]
    worst, best = extreme_frames(overlap, entry.videos, job.config.box_quality.examples)

    def panels(chosen: Sequence[int]) -> Iterator[tuple[str, Image]]:
        for i in chosen:
            row = used[i]
            name, frame = rows.names[rows.videos[row]], int(rows.frames[row])
            with suppress(InputError):  # interpolation reads no frame, so it may be a broken one
                image = read_image(dataset.read(name).frames[frame])
                label = f"{name}, frame {frame}\nIoU {overlap[i]:.2f}"
                yield label, frame_panel(image, rows.truth[row], boxes[row])

    return [("worst", list(panels(worst))), ("best", list(panels(best)))]
