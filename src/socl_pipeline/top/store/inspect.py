"""What a TOP-map store holds, in words, for `socl inspect`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from socl_pipeline.annotation.table import read_points
from socl_pipeline.errors import InputError, listed
from socl_pipeline.pipeline.artifact import SUMMARY, read_summary
from socl_pipeline.top.store.check import array_sizes, points_mismatch
from socl_pipeline.top.store.store import STATUS_MEANINGS, UNWRITTEN, TopStore

QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
LISTED = 10  # left-out frames; the summary has them all


def describe(store: TopStore, points: Path | None) -> Iterator[str]:
    """Yield lines about a store. points: its points table, if one lies where it should."""
    status, count = store.column("status"), store.column("count")
    scored = count > 0
    videos = store.column("video")
    yield f"{store.path}"
    yield f"frames       {len(store):,} in {len(np.unique(videos)):,} videos"
    yield f"status       {_counts(status)}"
    yield f"shards       {len(store.shards):,} of {store.shard_frames} frames"
    if scored.any():
        yield f"boxes        {count[scored].mean():.1f} a frame, at most {count.max()}"
        shares = np.quantile(store.column("extents")[scored], QUANTILES)
        shown = ", ".join(f"{q:.0%} {v:.1f}" for q, v in zip(QUANTILES, shares, strict=True))
        yield f"extents, px  {shown}"
    yield f"disk         {_sizes(store, int((status != UNWRITTEN).sum()))}"
    yield f"maps         {_rendering(store)}"
    yield f"points       {_points(store, points)}"
    yield from _recipe(store.attributes.get("recipe", {}))
    yield from _left_out(store)


def find_row(store: TopStore, video: str, frame: int) -> int:
    """Return the row of a frame. Raises InputError if the store does not have it."""
    rows = video_rows(store, video)
    frames = store.column("frame")[rows]
    found = rows[frames == frame]
    if not len(found):
        raise InputError(
            f"{store.path}: frame {frame} of {video} is not in the store; its {len(frames)} frames "
            f"of that video are between {frames.min()} and {frames.max()}"
        )
    return int(found[0])


def video_rows(store: TopStore, video: str) -> np.ndarray:
    """Return the rows (n,) of a video. Raises InputError if the store does not have it."""
    names = store.video_names
    if video not in names:
        raise InputError(
            f"{store.path}: there is no video {video!r} in the store; it has "
            f"{listed(names, LISTED)}"
        )
    return np.flatnonzero(store.column("video") == names.index(video))


def _counts(status: np.ndarray) -> str:
    found = zip(*np.unique(status, return_counts=True), strict=True)
    return ", ".join(f"{n:,} {STATUS_MEANINGS.get(int(value), value)}" for value, n in found)


def _sizes(store: TopStore, written: int) -> str:
    sizes = array_sizes(store.path)
    if not written:
        return f"{sum(sizes.values()):,} bytes, nothing written yet"
    shown = ", ".join(f"{name} {size / written:.1f}" for name, size in sizes.items())
    return f"{sum(sizes.values()) / written:.1f} bytes a frame: {shown}"


def _rendering(store: TopStore) -> str:
    maps = store.group["maps"]
    rules = ", ".join(f"{k} {maps.attrs[k]}" for k in ("clip", "gain") if k in maps.attrs)
    region = maps.attrs.get("region_rule", "region: see the array regions")
    return f"{maps.shape[1]} x {maps.shape[2]}, {rules}; {region}"


def _points(store: TopStore, points: Path | None) -> str:
    built_from = store.attributes.get("points", {})
    origin = f"built from {built_from.get('rows', '?')} rows, digest {built_from.get('digest')}"
    if points is None:
        return f"no points.parquet beside the store (give --points); {origin}"
    verdict = points_mismatch(store, read_points(points)) or "the same frames and clicks"
    return f"{points}: {verdict}; {origin}"


def _recipe(recipe: Mapping[str, Any]) -> Iterator[str]:
    yield f"recipe       stage {recipe.get('stage')}, version {recipe.get('version')}"
    for key, value in recipe.get("params", {}).items():
        yield f"  {key:12} {value}"


def _left_out(store: TopStore) -> Iterator[str]:
    summary = store.path.resolve().parent / SUMMARY
    if not summary.exists():
        yield "left out     reasons are in the summary of a finished store; there is none here"
        return
    skipped = read_summary(summary).stats.get("skipped", [])
    yield f"left out     {len(skipped)} frames"
    for item in skipped[:LISTED]:
        yield f"  {item['video']}:{item['frame']}  {item['reason']}"
    if len(skipped) > LISTED:
        yield f"  ... all of them are in {summary}"
