"""Stage `top_maps`: Dask workers score objectness in parallel, each shard written by one task."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from socl_pipeline.annotation.shards import FrameShard, frame_shards, run_shards
from socl_pipeline.annotation.table import FrameRow, read_points
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.job import Job
from socl_pipeline.settings import TopMapSettings
from socl_pipeline.top.frame_priors import frame_prior, warm_up, warn_of_other_views
from socl_pipeline.top.maps import AUTO_GAIN, score_map, top_map
from socl_pipeline.top.priors import ScoredBoxes
from socl_pipeline.top.scoring import map_region, top_extent
from socl_pipeline.top.store.check import require_sound
from socl_pipeline.top.store.ledger import shard_done
from socl_pipeline.top.store.left_out import skipped_frames, write_reasons
from socl_pipeline.top.store.store import (
    SCORED,
    UNREADABLE,
    Layout,
    TopRows,
    TopStore,
    content_digest,
    create_store,
    require_reach,
    write_rows,
)


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Build the TOP-map store of a dataset; returns counts."""
    if job.config.top_maps.prior == "top":
        job.require_same_params("proposals")  # boxes that are not stored are found by the config
    frame_prior(job)  # what cannot be read or imported must not wait for the workers
    warn_of_other_views(job)
    warm_up(job)
    _create(job, path)
    # an unfinished store goes on with the shard size that it was begun with
    shard_frames = TopStore(path).shard_frames
    run_shards(
        job,
        frame_shards(job, shard_frames),
        lambda shard: shard_done(path, shard.start // shard_frames),
        partial(_score_shard, store=path.resolve(), job=job),
    )
    for leftover in path.rglob("*.partial"):  # of a writer that was killed
        leftover.unlink(missing_ok=True)
    require_sound(path)
    return _statistics(path)


def _create(job: Job, path: Path) -> None:
    settings = job.config.top_maps
    table = read_points(job.input("points"), ["video", "frame", "width", "height"])
    require_reach(path, max(pc.max(table[side]).as_py() or 0 for side in ("width", "height")))
    video = table["video"].combine_chunks()
    create_store(
        path,
        Layout(table.num_rows, settings.top_k, settings.map_size, settings.shard_frames),
        job.recipe.key,
        video.indices.to_numpy().astype(np.int32),
        table["frame"].to_numpy().astype(np.int32),
        {
            "recipe": json.loads(job.recipe.metadata()["socl_recipe"]),
            "points": {"rows": table.num_rows, "digest": job.recipe.inputs["points"]},
            "video_names": video.dictionary.to_pylist(),
        },
        {
            "clip": settings.clip,
            "gain": AUTO_GAIN,
            "region_rule": f"a square around the click, {settings.map_context:g} extents wide",
        },
    )


def _score_shard(shard: FrameShard, store: Path, job: Job) -> None:
    settings = job.config.top_maps
    prior = frame_prior(job, shard.start, shard.stop)
    rows = _empty_rows(len(shard), settings)
    reasons: dict[int, str] = {}
    for i, row in enumerate(shard.rows()):
        rows.points[i] = row.point
        rows.sizes[i] = row.width, row.height
        try:
            _score_frame(rows, i, row, prior(shard.start + i, row), settings)
        except InputError as error:
            if not shard.skip_bad_frames:
                raise InputError(f"{error}; mend it, or pass --on-bad-frame skip") from None
            rows.status[i] = UNREADABLE
            reasons[shard.start + i] = str(error)
    write_reasons(store, shard.start, reasons)
    write_rows(store, shard.start, rows)


def _empty_rows(n: int, settings: TopMapSettings) -> TopRows:
    k, side = settings.top_k, settings.map_size
    return TopRows(
        boxes=np.zeros((n, k, 4), np.float32),
        scores=np.zeros((n, k), np.float32),
        count=np.zeros(n, np.int64),
        status=np.full(n, SCORED),
        points=np.zeros((n, 2), np.float32),
        sizes=np.zeros((n, 2), np.int64),
        extents=np.zeros(n, np.float32),
        regions=np.zeros((n, 4), np.float32),
        maps=np.zeros((n, side, side), np.float32),
    )


def _score_frame(
    rows: TopRows, i: int, row: FrameRow, scored: ScoredBoxes, settings: TopMapSettings
) -> None:
    boxes, scores = scored
    if not len(boxes):  # left out: its count stays 0
        return
    rows.boxes[i, : len(boxes)], rows.scores[i, : len(scores)] = boxes, scores
    rows.count[i] = len(boxes)
    rows.extents[i] = top_extent(boxes, scores)
    rows.regions[i] = map_region(row.point, float(rows.extents[i]), settings.map_context)
    size = settings.map_size
    values = score_map(boxes, scores, rows.regions[i], size, size)
    probability = top_map(values, settings.clip, AUTO_GAIN)
    rows.maps[i] = probability / probability.max()


def _statistics(path: Path) -> dict[str, Any]:
    store = TopStore(path)
    count, extents = store.column("count"), store.column("extents")
    good = count > 0
    skipped = skipped_frames(store, path)
    return {
        "frames": len(count),
        "left_out": int((~good).sum()),  # those that cannot be read and those without a box
        "boxes_per_frame": round(float(count[good].mean()), 2) if good.any() else 0.0,
        "median_extent_px": round(float(np.median(extents[good])), 2) if good.any() else 0.0,
        "skipped": skipped,
        # neither the shard size nor the recipe is part of it: equal maps leave what follows alone
        "digest": content_digest(store),
    }
