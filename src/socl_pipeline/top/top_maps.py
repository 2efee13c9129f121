"""Stage `top_maps`: Dask workers score objectness in parallel, each shard written by one task."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from socl_pipeline.annotation.table import FrameRow, frame_rows, read_points, shard_ranges
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.parallel import run_tasks
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job
from socl_pipeline.settings import TopMapSettings
from socl_pipeline.top.maps import score_map, top_map
from socl_pipeline.top.objectness import load_objectness
from socl_pipeline.top.proposals import read_edge_boxes, read_templates
from socl_pipeline.top.scoring import FrameScorer, map_region, top_extent
from socl_pipeline.top.store import TopRows, TopStore, create_store, shard_done, write_rows


@dataclass(frozen=True)
class _Shard:
    """A task: one shard of the store."""

    points: Path
    proposals: Path
    root: Path
    store: Path
    start: int
    stop: int
    settings: TopMapSettings
    skip_bad_frames: bool

    def __str__(self) -> str:
        return f"TOP maps of rows {self.start} to {self.stop - 1} of {self.points}"


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Build the TOP-map store of a dataset; returns counts."""
    settings = job.config.top_maps
    points = job.input("points").resolve()
    rows = pq.read_metadata(points).num_rows
    load_objectness(settings.objectness)  # an unreadable file must not wait for the workers
    _create(job, path, read_points(points))
    shards = [
        _Shard(
            points=points,
            proposals=job.input("proposals").resolve(),
            root=job.dataset.root.resolve(),
            store=path.resolve(),
            start=start,
            stop=stop,
            settings=settings,
            skip_bad_frames=job.on_bad_frame == "skip",
        )
        for start, stop in shard_ranges(rows, settings.shard_frames)
    ]
    missing = [s for s in shards if not shard_done(path, s.start, settings.shard_frames)]
    done = rows - sum(s.stop - s.start for s in missing)
    with Progress("top_maps", rows, "frames", done) as progress:
        for _ in run_tasks(
            _score_shard,
            missing,
            workers=job.workers,
            progress=progress,
            size=lambda s: s.stop - s.start,
        ):
            pass
    return _statistics(path)


def _create(job: Job, path: Path, table: Any) -> None:
    settings = job.config.top_maps
    video = table["video"].combine_chunks()
    create_store(
        path,
        table.num_rows,
        settings.top_k,
        settings.map_size,
        settings.shard_frames,
        {
            "recipe": json.loads(job.recipe.metadata()["socl_recipe"]),
            "video_names": video.dictionary.to_pylist(),
            "clip": settings.clip,
            "gain": 10.0,
        },
        video.indices.to_numpy().astype(np.int32),
        table["frame"].to_numpy().astype(np.int32),
    )


def _score_shard(shard: _Shard) -> int:
    table = read_points(shard.points).slice(shard.start, shard.stop - shard.start)
    templates, min_side = read_templates(shard.proposals)
    scorer = FrameScorer(
        templates, min_side, load_objectness(shard.settings.objectness), shard.settings
    )
    proposals = read_edge_boxes(shard.proposals, shard.start, shard.stop)
    rows = _empty_rows(len(proposals), shard.settings)
    for i, (row, found) in enumerate(zip(frame_rows(table, shard.root), proposals, strict=True)):
        rows.points[i] = row.point
        rows.sizes[i] = row.width, row.height
        if found.problem is None:
            _score_frame(rows, i, row, found.boxes, scorer)
        elif not shard.skip_bad_frames:
            raise InputError(f"{found.problem}; mend it, or pass --on-bad-frame skip")
    write_rows(shard.store, shard.start, rows)
    return len(proposals)


def _empty_rows(n: int, settings: TopMapSettings) -> TopRows:
    k, side = settings.top_k, settings.map_size
    return TopRows(
        boxes=np.zeros((n, k, 4), np.float32),
        scores=np.zeros((n, k), np.float32),
        count=np.zeros(n, np.int64),
        points=np.zeros((n, 2), np.float32),
        sizes=np.zeros((n, 2), np.int64),
        extents=np.zeros(n, np.float32),
        regions=np.zeros((n, 4), np.float32),
        maps=np.zeros((n, side, side), np.float32),
    )


def _score_frame(
    rows: TopRows, i: int, row: FrameRow, edge_boxes: np.ndarray, scorer: FrameScorer
) -> None:
    settings = scorer.settings
    boxes, scores = scorer.kept_boxes(row.read(), row.point, edge_boxes)
    rows.boxes[i, : len(boxes)], rows.scores[i, : len(scores)] = boxes, scores
    rows.count[i] = len(boxes)
    rows.extents[i] = top_extent(boxes, scores)
    rows.regions[i] = map_region(row.point, float(rows.extents[i]), settings.map_context)
    size = settings.map_size
    probability = top_map(score_map(boxes, scores, rows.regions[i], size, size), settings.clip)
    rows.maps[i] = probability / probability.max()


def _statistics(path: Path) -> dict[str, Any]:
    store = TopStore(path)
    rows = store.rows(0, len(store), maps=False)
    good = rows.count > 0
    return {
        "frames": len(store),
        "left_out": int((~good).sum()),
        "boxes_per_frame": round(float(rows.count[good].mean()), 2) if good.any() else 0.0,
        "median_extent_px": round(float(np.median(rows.extents[good])), 2) if good.any() else 0.0,
    }
