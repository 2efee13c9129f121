"""Stage `patches`: one square JPEG per annotated frame, packed with its TOP boxes.

A patch is centred on the click and `context` times as wide as the TOP extent, so the target is
about size / context pixels large in it. Training then never opens an original frame. The artifact
is a folder of Arrow IPC files, memory-mapped by the reader; boxes are in patch pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from socl_pipeline.annotation.table import FrameRow, frame_rows, read_points, shard_ranges
from socl_pipeline.boxes import FloatArray
from socl_pipeline.datasets.images import encode_jpeg
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pipeline.parallel import run_tasks
from socl_pipeline.pipeline.progress import Progress
from socl_pipeline.pipeline.stages import Job
from socl_pipeline.settings import PatchSettings
from socl_pipeline.top.store import TopStore
from socl_pipeline.trackers.crops import crop_square, mean_color


@dataclass(frozen=True)
class _Shard:
    """A task: the rows `start` to `stop` of the points table."""

    points: Path
    store: Path
    root: Path
    start: int
    stop: int
    output: Path
    settings: PatchSettings
    skip_bad_frames: bool

    def __str__(self) -> str:
        return f"patches of rows {self.start} to {self.stop - 1} of {self.points}"


def patch_schema(top_k: int, metadata: dict[str, str]) -> pa.Schema:
    """Return the schema of a patch file; boxes are padded with zeros to top_k."""
    return pa.schema(
        [
            pa.field("video", pa.string()),
            pa.field("frame", pa.int32()),
            pa.field("jpeg", pa.binary(), metadata={"unit": "JPEG bytes"}),
            pa.field("region", pa.list_(pa.float32(), 3), metadata={"unit": "frame px: x y side"}),
            pa.field("extent", pa.float32(), metadata={"unit": "patch px"}),
            pa.field("boxes", pa.list_(pa.float32(), 4 * top_k), metadata={"unit": "patch px"}),
            pa.field("scores", pa.list_(pa.float32(), top_k)),
        ],
        metadata=metadata,
    )


def run(job: Job, path: Path) -> Mapping[str, Any]:
    """Build the patches of a dataset; returns counts and size."""
    settings = job.config.patches
    points = job.input("points").resolve()
    store = job.input("top_maps").resolve()
    rows = len(TopStore(store))
    shards = [
        _Shard(
            points=points,
            store=store,
            root=job.dataset.root.resolve(),
            start=start,
            stop=stop,
            output=(path / f"{start:09d}.arrow").resolve(),
            settings=settings,
            skip_bad_frames=job.on_bad_frame == "skip",
        )
        for start, stop in shard_ranges(rows, settings.shard_frames)
    ]
    missing = [s for s in shards if not s.output.exists()]
    done = rows - sum(s.stop - s.start for s in missing)
    with Progress("patches", rows, "frames", done) as progress:
        for _ in run_tasks(
            _cut_shard,
            missing,
            workers=job.workers,
            progress=progress,
            size=lambda s: s.stop - s.start,
        ):
            pass
    files = sorted(path.glob("*.arrow"))
    return {
        "patches": sum(_count(file) for file in files),
        "frames": rows,
        "size_px": settings.size,
        "target_px": round(settings.size / settings.context, 2),
        "megabytes": round(sum(f.stat().st_size for f in files) / 1e6, 2),
    }


def _count(file: Path) -> int:
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all().num_rows


def patch_region(
    point: FloatArray, extent: float, long_side: float, s: PatchSettings
) -> FloatArray:
    """Return the square (3,: x, y, side) of a patch in frame pixels around a click (2,)."""
    side = min(extent * s.context, s.max_frame_share * long_side)
    return np.array([point[0] - side / 2, point[1] - side / 2, side])


def _cut_shard(shard: _Shard) -> int:
    table = read_points(shard.points).slice(shard.start, shard.stop - shard.start)
    top = TopStore(shard.store).rows(shard.start, shard.stop, maps=False)
    records = []
    for i, row in enumerate(frame_rows(table, shard.root)):
        if top.count[i] == 0:
            continue
        try:
            records.append(_cut(row, top.boxes[i], top.scores[i], top.extents[i], shard.settings))
        except InputError:
            if not shard.skip_bad_frames:
                raise
    schema = patch_schema(top.boxes.shape[1], {"size": str(shard.settings.size)})
    with (
        atomic_path(shard.output) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as writer,
    ):
        writer.write_table(pa.Table.from_pylist(records, schema))
    return len(records)


def _cut(
    row: FrameRow, boxes: FloatArray, scores: FloatArray, extent: float, settings: PatchSettings
) -> dict[str, Any]:
    image = row.read()
    region = patch_region(row.point, float(extent), max(row.width, row.height), settings)
    scale = settings.size / region[2]
    patch = crop_square(image, row.point, region[2], settings.size, mean_color(image))
    inside = boxes.copy()
    inside[:, :2] -= region[:2]
    inside *= scale
    inside[scores == 0] = 0
    return {
        "video": row.video,
        "frame": row.frame,
        "jpeg": encode_jpeg(patch, settings.jpeg_quality),
        "region": region.astype(np.float32),
        "extent": float(extent) * scale,
        "boxes": inside.astype(np.float32).ravel(),
        "scores": scores.astype(np.float32),
    }
